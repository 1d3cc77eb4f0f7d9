//! The one sentence: what to do next and who must do it, in every situation that a night can bring.

use cutover::runbook::Role;
use cutover::session::advice::{Urgency, next_action, next_action_seen, next_line};
use cutover::session::attempt::SALVAGED;
use cutover::session::facts::{Brought, BroughtTable, Salvage, TableCost};
use cutover::session::live::{CostView, TriggerView};
use cutover::session::roles::Act;
use cutover::session::{Check, Command, Event, Found, Outcome, TriggerPhase, Undo, brought, cost};

use super::story::Story;

fn advice(story: &Story) -> (Urgency, Option<Act>, Vec<Role>, String) {
    let advice = next_action(&story.session, story.at_ms);
    (
        advice.urgency,
        advice.act,
        advice.waits_for,
        advice.sentence,
    )
}

fn sentence(story: &Story) -> String {
    advice(story).3
}

#[test]
fn the_night_from_its_beginning() {
    let mut story = Story::begin();
    let (urgency, act, who, text) = advice(&story);
    assert_eq!((urgency, act), (Urgency::Waiting, Some(Act::StartStep)));
    assert_eq!(who, [Role::ReleaseManager]);
    assert_eq!(
        text,
        "Robin Marsh (release manager) starts P1: Announce the freeze and the window."
    );
    story.start();
    assert_eq!(
        sentence(&story),
        "P1 is running: Announce the freeze and the window. Meanwhile Robin Marsh (release manager) signs K8; \
         Ada Lindqvist (engineer) signs K8; Quinn Sato (QA) signs K8."
    );
    story.end(Outcome::done("announced"));
    assert_eq!(sentence(&story), "P2 (Who is on call) starts by itself.");
    assert_eq!(
        next_line(&story.session),
        "nothing to do: P2 (Who is on call) starts by itself"
    );
    story
        .start()
        .command("robin", Command::Confirm { step: None })
        .command("quinn", Command::Confirm { step: None });
    let (_, act, who, text) = advice(&story);
    assert_eq!(act, Some(Act::Confirm));
    assert_eq!(who, [Role::Engineer, Role::Dba]);
    assert_eq!(
        text,
        "P2 waits for Ada Lindqvist (engineer), Dan Okafor (DBA) to confirm being on call."
    );
}

#[test]
fn gates_name_their_signers_and_then_what_is_missing() {
    let mut story = Story::begin();
    story.reach("A1");
    assert_eq!(
        sentence(&story),
        "A1 waits: Robin Marsh (release manager) signs K7 and K8; Ada Lindqvist (engineer) signs K8; Quinn Sato (QA) signs K8."
    );
    assert!(
        next_line(&story.session).starts_with(
            "next: cutover sign K7 (release manager), cutover sign K8 (release manager, engineer, QA); A1 also waits for evidence of K3"
        ),
        "{}",
        next_line(&story.session)
    );
    story.sign("robin", &["K7", "K8"]).sign("ada", &["K8"]);
    story.sign("quinn", &["K8"]);
    let line = next_line(&story.session);
    assert!(line.starts_with("next: NO-GO: A1 waits for K3"), "{line}");
    assert_eq!(
        sentence(&story),
        "NO-GO for A1: K3 lacks evidence: no rehearsal: run `cutover rehearse`."
    );
    let mut story = Story::begin();
    story.reach("F1");
    assert_eq!(sentence(&story), "F1 waits: Quinn Sato (QA) signs K5.");
    assert_eq!(next_line(&story.session), "next: cutover sign K5 (QA)");
    story.sign("quinn", &["K5"]);
    assert_eq!(next_line(&story.session), "next: cutover start --step F1");
    assert_eq!(
        sentence(&story),
        "GO: every gate is green. Robin Marsh (release manager) starts F1: Switch the provider configuration."
    );
}

#[test]
fn what_went_wrong_comes_before_what_comes_next() {
    let mut story = Story::begin();
    story.reach("D2").start();
    story.end(Outcome::failed("connection lost").passing());
    assert_eq!(
        sentence(&story),
        "D2 failed (connection lost) and is tried again by itself: attempt 2 of 3."
    );
    story
        .start()
        .end(Outcome::failed("row 7 of Tags: a date that is none."));
    let (urgency, act, _, text) = advice(&story);
    assert_eq!((urgency, act), (Urgency::Alarm, Some(Act::StartStep)));
    assert_eq!(
        text,
        "D2 FAILED: row 7 of Tags: a date that is none. Robin Marsh (release manager) removes the cause and starts it again, or anyone rolls back."
    );
}

#[test]
fn an_interrupted_step_asks_a_person_only_when_no_machine_can_tell() {
    let mut story = Story::begin();
    story.reach("C1").start();
    let (step, attempt) = ("C1".to_owned(), 1);
    story.happen(Event::StepLost { step, attempt });
    assert_eq!(
        sentence(&story),
        "C1 was interrupted: the engine finds out how far it came."
    );
    story.happen(Event::StepFoundOut {
        step: "C1".to_owned(),
        found: Found::AskPerson {
            detail: "one of two migrations is there".to_owned(),
        },
        by: None,
    });
    let (urgency, act, who, text) = advice(&story);
    assert_eq!((urgency, act), (Urgency::Alarm, Some(Act::Decide)));
    assert_eq!(who, [Role::ReleaseManager, Role::Engineer]);
    assert!(text.contains("one of two migrations is there"), "{text}");
}

/// Events say how a trigger stood when it began to burn; who sees it as it is now goes by that.
#[test]
fn what_burns_is_told_as_it_is_now() {
    let mut story = Story::begin();
    story.reach("G1").start();
    story.burn("T3b", "5xx 10.1 % of 100 requests").pass(60_000);
    let seen = |armed: bool, phase: TriggerPhase| TriggerView {
        id: "T3b".to_owned(),
        armed,
        phase,
        streak_ms: 180_000,
        full_ms: 300_000,
        reason: "5xx 1.2 % of 900 requests".to_owned(),
    };
    let told = |view: TriggerView| next_action_seen(&story.session, story.at_ms, &[view]);
    assert_eq!(
        told(seen(true, TriggerPhase::Burning)).sentence,
        "T3b burns and fires in about 2:00 unless it clears: 5xx 1.2 % of 900 requests. \
         Find the cause, or roll back now: anyone may."
    );
    for view in [
        seen(true, TriggerPhase::Clear),
        seen(false, TriggerPhase::Burning),
    ] {
        assert_eq!(told(view).urgency, Urgency::Calm);
    }
}

/// An instance that F2 has just restarted is not ready for a while: no reason to tell everybody to roll back.
#[test]
fn an_instance_that_is_being_restarted_is_no_alarm_until_half_of_the_time_has_gone() {
    let mut story = Story::begin();
    story.reach("F2").start();
    let undo = Undo::Restart {
        instance: "app-1".to_owned(),
    };
    story.happen(Event::UndoRecorded {
        step: "F2".to_owned(),
        undo,
    });
    story
        .burn("T1a.app-1", "app-1: connection refused")
        .pass(60_000);
    let (urgency, ..) = advice(&story);
    assert_ne!(urgency, Urgency::Alarm, "{}", sentence(&story));
    story.pass(100_000);
    let (urgency, act, ..) = advice(&story);
    assert_eq!((urgency, act), (Urgency::Alarm, Some(Act::RollBack)));
    story
        .burn("T1a.app-2", "app-2: connection refused")
        .pass(1_000);
    says!(sentence(&story), "T1a.app-2 burns too");
}

#[test]
fn burning_held_and_overrun() {
    let mut story = Story::begin();
    story.reach("G1").start();
    let reason = "alarm in the database room".to_owned();
    story.command("dan", Command::Hold { reason });
    assert_eq!(
        sentence(&story),
        "HELD by dan: alarm in the database room. G1 runs on. Robin Marsh (release manager) resumes it."
    );
    story.burn("T3a", "5xx 0.3 % is above 0.24 %").pass(120_000);
    assert_eq!(
        sentence(&story),
        "T3a burns and fires in about 8:00 unless it clears: 5xx 0.3 % is above 0.24 %. \
         Find the cause, or roll back now: anyone may."
    );
    story.burn("T3b", "5xx 1.3 % is above 1 %").pass(60_000);
    let (urgency, act, who, text) = advice(&story);
    assert_eq!((urgency, act), (Urgency::Alarm, Some(Act::RollBack)));
    assert_eq!(who, Role::ALL);
    assert_eq!(
        text,
        "T3b burns and fires in about 4:00 unless it clears: 5xx 1.3 % is above 1 %. T3a burns too. \
         Find the cause, or roll back now: anyone may."
    );
    let mut story = Story::begin();
    story.reach("D2").start();
    story.happen(Event::FreezeOverran {
        limit_ms: 45 * 60_000,
    });
    assert_eq!(
        sentence(&story),
        "The freeze has lasted longer than the agreed 45:00: Robin Marsh (release manager) extends it or rolls back."
    );
}

#[test]
fn the_countdown_and_the_rollback() {
    let mut story = Story::begin();
    story.reach("G1").start().fire("T3b", "5xx 1.3 % for 5:00");
    story.pass(17_001);
    let (urgency, act, _, text) = advice(&story);
    assert_eq!((urgency, act), (Urgency::Rollback, Some(Act::RollBack)));
    assert!(
        text.starts_with("ROLLBACK in 13 s: T3b fired: 5xx 1.3 % for 5:00."),
        "{text}"
    );
    assert_eq!(
        next_line(&story.session),
        "nothing to do: the rollback begins by itself; `cutover rollback` begins it now"
    );
    story.pass(13_000).roll_back_to("R3").pass(4_000);
    assert_eq!(
        sentence(&story),
        "Rolling back (T3b fired): R3, Release the fence and restart the instances; 0:40 of 10:00. Wait: it goes on by itself."
    );
    let mut healthy = Story {
        entries: story.entries.clone(),
        session: story.session.clone(),
        at_ms: story.at_ms,
    };
    let ended = |row: &str, outcome| Event::RollbackRowFinished {
        row: row.to_owned(),
        outcome,
    };
    healthy.happen(ended("R3", Outcome::done("restarted")));
    healthy.roll_back_to("the end");
    let (urgency, .., text) = advice(&healthy);
    assert_eq!(urgency, Urgency::Calm);
    assert!(
        text.starts_with("Rolled back: the application serves from SQLite again"),
        "{text}"
    );
    let written = |table: &str, broke_off| TableCost {
        table: table.to_owned(),
        inserted: 3,
        broke_off,
        ..TableCost::default()
    };
    let kept = Salvage {
        file: Some("salvage.db".into()),
        tables: vec![written("Tags", false), written("Steps", true)],
        ..Salvage::default()
    };
    healthy.happen(ended("R5", Outcome::done("kept").with_fact(kept)));
    let (urgency, .., text) = advice(&healthy);
    assert_eq!(urgency, Urgency::Waiting);
    says!(
        text,
        "In the salvage file: 3 rows that users wrote to PostgreSQL"
    );
    story.happen(ended("R3", Outcome::failed("app-4 did not start")));
    story.roll_back_to("the end");
    let (urgency, .., text) = advice(&story);
    assert_eq!(urgency, Urgency::Rollback);
    assert_eq!(
        text,
        "Rolled back, and NOT healthy: R3 failed: app-4 did not start. Ada Lindqvist (engineer) must look at the application by hand; what failed \
         can be tried again until the session is closed."
    );
}

#[test]
fn what_a_rollback_has_brought_back_is_said_with_its_end() {
    let mut story = Story::begin();
    story.reach("G1").start().fire("T3b", "5xx 1.3 % for 5:00");
    story.pass(30_000).roll_back_to("the end");
    let ended = |row: &str, outcome| Event::RollbackRowFinished {
        row: row.to_owned(),
        outcome,
    };
    let came_back = |inserted| {
        let fact = Brought {
            tables: vec![BroughtTable {
                table: "Tags".to_owned(),
                inserted,
                ..BroughtTable::default()
            }],
            left_rows: 312 - inserted,
            ..Brought::default()
        };
        ended("R2+", Outcome::done("brought").with_fact(fact))
    };
    let kept = |rows| Salvage {
        file: Some("salvage.db".into()),
        tables: vec![TableCost {
            table: "Tags".to_owned(),
            inserted: rows,
            ..TableCost::default()
        }],
        ..Salvage::default()
    };
    story.happen(came_back(312));
    story.happen(ended("R5", Outcome::done("kept").with_fact(kept(312))));
    let (urgency, .., text) = advice(&story);
    assert_eq!(urgency, Urgency::Calm, "nothing is left to bring in");
    says!(
        text,
        ", with 312 rows that users wrote to PostgreSQL. Before"
    );
    assert_eq!(
        brought::told(&story.session),
        [
            "R1+: nobody writes to PostgreSQL any more",
            "R2+: brought",
            "R5: kept"
        ]
    );
    story.happen(came_back(309));
    let (urgency, .., text) = advice(&story);
    assert_eq!(urgency, Urgency::Waiting);
    says!(text, ", with 309 rows that users wrote to PostgreSQL. In");
    says!(text, "In the salvage file: 3 rows that users wrote");
    let red = Check::new(SALVAGED, false, "PostgreSQL did not answer");
    story.happen(ended("R5", Outcome::failed("no file").with_check(red)));
    says!(
        sentence(&story),
        ", with 309 rows that users wrote to PostgreSQL, and what else they wrote is NOT kept: PostgreSQL did not answer."
    );
    says!(
        brought::told(&story.session).join("\n"),
        "R5: FAILED: no file\nR5: PostgreSQL did not answer"
    );
}

#[test]
fn the_good_end() {
    let mut story = Story::begin();
    story.reach("the end");
    let (_, act, who, text) = advice(&story);
    assert_eq!(
        (act, who),
        (Some(Act::Complete), vec![Role::ReleaseManager])
    );
    assert!(text.starts_with("Every step is done"), "{text}");
    let name = &story.session.charter.session;
    assert_eq!(
        next_line(&story.session),
        format!("next: cutover complete --confirm {name}")
    );
    story.command("robin", Command::Complete);
    assert_eq!(
        sentence(&story),
        "The release is complete: nothing is left to do here."
    );
    assert_eq!(next_line(&story.session), "next: cutover close");
}

#[test]
fn rows_that_are_red_are_named_where_the_application_is_back_all_the_same() {
    let mut story = Story::begin();
    story.reach("G1").start().fire("T3b", "5xx 1.3 % for 5:00");
    story.pass(30_000).roll_back_to("the end");
    assert_eq!(
        next_line(&story.session),
        "over: the application is on SQLite"
    );
    let ended = |row: &str, outcome| Event::RollbackRowFinished {
        row: row.to_owned(),
        outcome,
    };
    story.happen(ended("R6", Outcome::failed("the disk is full")));
    let (urgency, act, _, text) = advice(&story);
    assert_eq!((urgency, act), (Urgency::Waiting, Some(Act::Retry)));
    says!(
        text,
        "Rolled back: the application serves from SQLite again"
    );
    says!(
        text,
        ". Not done: R6; `cutover retry` runs it again. Before"
    );
    story.happen(ended("R1+", Outcome::failed("somebody still writes")));
    assert_eq!(
        next_line(&story.session),
        "over: the application is on SQLite. Not done: R1+, R6; `cutover retry` runs them again"
    );
    story.happen(Event::SessionClosed {
        by: "robin".to_owned(),
        found: Vec::new(),
        stays_open: false,
    });
    says!(sentence(&story), ". Not done: R1+, R6. Before");
    assert_eq!(advice(&story).1, None, "nothing of it runs again");
}

#[test]
fn what_a_rollback_costs_in_words() {
    let mut story = Story::begin();
    story.reach("F4");
    story.session.charter.keeps_writes = false;
    let view = super::states::cost(story.at_ms);
    let told = |story: &Story, view: Option<&CostView>| {
        let session = &story.session;
        // What a feed says is for a rollback that brings it back.
        let feed = super::states::feed(story.at_ms);
        let sentence = cost::sentence(session, view, Some(&feed), super::price::zone());
        (sentence, cost::short(session, view, Some(&feed)))
    };
    let (sentence, short) = told(&story, None);
    assert_eq!(
        sentence,
        "It loses nothing that users wrote, for writes are frozen. What the application wrote by itself since the switch it looks for, and \
         keeps."
    );
    assert_eq!(short, None);
    story.start();
    let (sentence, short) = told(&story, None);
    assert_eq!(
        sentence,
        "What it leaves behind on PostgreSQL is not known."
    );
    assert_eq!(short.as_deref(), Some("leaves ? rows"));
    let (sentence, short) = told(&story, Some(&view));
    assert_eq!(
        sentence,
        "It leaves behind what users have written to PostgreSQL since writes were reopened, by its own count, which is some seconds \
         late: 39 inserted, 4 changed and 1 deleted rows (ToolContents 41, ToolFeatures 3). SQLite does not have them."
    );
    assert_eq!(short.as_deref(), Some("leaves ~44 rows"));
    let blind = CostView {
        given_out: Default::default(),
        unknown: Some("no answer within 2 s".to_owned()),
        ..view
    };
    let (sentence, short) = told(&story, Some(&blind));
    assert!(
        sentence
            .starts_with("Not known at the moment: no answer within 2 s. As last seen: It leaves"),
        "{sentence}"
    );
    assert_eq!(short.as_deref(), Some("leaves ? rows"));
    let nothing = CostView {
        given_out: Default::default(),
        tables: Vec::new(),
        unknown: None,
        ..blind
    };
    let (sentence, short) = told(&story, Some(&nothing));
    assert!(
        sentence.starts_with("As last counted, nobody has written"),
        "{sentence}"
    );
    assert_eq!(short, None);
}

/// What was on PostgreSQL before this session does not come back by its rollback, so it is never said that nothing is lost.
#[test]
fn a_rollback_over_rows_of_before_is_never_said_to_lose_nothing() {
    let mut story = Story::begin();
    story.reach("D2");
    let sentence = |story: &Story| {
        let zone = super::price::zone();
        cost::sentence(&story.session, None, None, zone)
    };
    assert_eq!(
        sentence(&story),
        "It loses nothing: the application has not been switched to PostgreSQL."
    );
    story.session.charter.again = Some("tools".to_owned());
    let said = sentence(&story);
    assert!(!said.contains("loses nothing"), "{said}");
    says!(said, "An earlier release was completed on this database");
    story.session.charter.again = None;
    let rows = [("Tools".to_owned(), 12)].into();
    let (step, by) = ("D2".to_owned(), "robin".to_owned());
    story.happen(Event::DiscardAgreed { step, by, rows });
    let said = sentence(&story);
    assert!(!said.contains("loses nothing"), "{said}");
    says!(
        said,
        "D2 deletes rows that PostgreSQL had and SQLite does not (12 of Tools)"
    );
}
