//! The language of the scenarios. A line that begins with two blanks is what happened; all others make it happen:
//!
//! - `ada: sign K8 as engineer`, `robin: start A1`, `dan: roll back "tonight" because`: a person's command
//! - `step A1 ok quiet`, `step C1 failed migration_exit exit 1`, `step D2 passing connection lost`: a step ends
//! - `asks D2 Tools=12`: it fails, for it would delete so many rows that the source does not have
//! - `lost D2`, `found D2 done|again|ask …`, `drift …`, `written …` (after the switch), `trigger T3a burning|fired …`, `row R1 ok|failed`
//! - `rehearsal`, `rehearsal of-source Tools Tags=2`, `rehearsal aged 3h`; `source Tools`: the source's schema is seen
//! - `+5m`: time goes by; `due`: what is due by itself; `reach F1`: everything goes well until F1 is next
//! - `show steps|gates|freeze|phase|rollback|confidence`

mod shown;

use cutover::runbook::{RehearsalPart, Role};
use cutover::session::due::{check_triggers, due, step_ended};
use cutover::session::shape::Shape;
use cutover::session::{
    Actor, Charter, Check, Command, Event, Found, LineKind, Outcome, Recorded, RehearsalEvidence,
    Session, StepStatus, TriggerPhase, decide,
};
use shown::{show, shown};

/// A session, its journal and its clock.
pub struct Bridge {
    pub session: Session,
    pub journal: Vec<Recorded>,
    pub now_ms: i64,
}

impl Bridge {
    pub fn open() -> Bridge {
        Bridge::on(super::charter())
    }

    /// A session of another charter.
    pub fn on(charter: Charter) -> Bridge {
        let first = Recorded {
            seq: 1,
            at_ms: 0,
            wall: chrono::DateTime::UNIX_EPOCH,
            event: Event::SessionOpened {
                charter: Box::new(charter),
            },
        };
        Bridge {
            session: Session::open(&first).expect("a session"),
            journal: vec![first],
            now_ms: 0,
        }
    }

    pub fn append(&mut self, event: Event) {
        let recorded = Recorded {
            seq: self.session.seq + 1,
            at_ms: self.now_ms,
            wall: chrono::DateTime::UNIX_EPOCH,
            event,
        };
        self.session.apply(&recorded);
        self.journal.push(recorded);
    }

    pub fn append_all(&mut self, events: &[Event]) {
        events.iter().cloned().for_each(|e| self.append(e));
    }

    pub fn actor(&self, id: &str) -> Actor {
        Actor::identify(&self.session.charter, "nobody", Some(id))
            .unwrap_or_else(|| panic!("nobody is called {id}"))
    }

    /// Appends what is due until nothing is.
    pub fn settle(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            let events = due(&self.session, self.now_ms);
            if events.is_empty() {
                return all;
            }
            self.append_all(&events);
            all.extend(events);
            assert!(all.len() < 1_000, "what is due never ends");
        }
    }

    /// A night that was rolled back from PostgreSQL: T3b fires after F3, and every row of the rollback takes so long.
    pub fn rolled_back(each_ms: i64) -> Bridge {
        let mut bridge = Bridge::open();
        bridge.reach("F3");
        bridge.append(Event::TriggerFired {
            trigger: "T3b".into(),
            reason: "5xx at 3.2 % for 5 min".into(),
        });
        bridge.now_ms += 30_000;
        bridge.settle();
        bridge.do_rollback_rows(each_ms);
        bridge
    }

    /// Ends every row of a rollback that has begun, each after so long.
    pub fn do_rollback_rows(&mut self, each_ms: i64) {
        while let Some(row) = self.session.rollback.as_ref().and_then(|r| {
            let running = r.rows.iter().find(|s| s.status == StepStatus::Running)?;
            Some(running.id.clone())
        }) {
            self.now_ms += each_ms;
            let outcome = Outcome::done("put back");
            self.append(Event::RollbackRowFinished { row, outcome });
            self.settle();
        }
    }

    /// What went into the journal, read back, is the same session.
    pub fn assert_replays(&self) {
        let text = serde_json::to_string(&self.journal).expect("JSON");
        let read: Vec<Recorded> = serde_json::from_str(&text).expect("the journal reads back");
        let replayed = Session::replay(&read).expect("a session");
        assert!(
            replayed == self.session,
            "the state is not the fold of its events"
        );
    }

    /// Everything goes well until a step is next, its gates green.
    pub fn reach(&mut self, step: &str) {
        for _ in 0..500 {
            self.now_ms += 1_000;
            let Some((line, state)) = self.session.next_step() else {
                break;
            };
            let (id, kind, status) = (line.id.clone(), line.kind.clone(), state.status);
            self.sign_what_can_be_signed();
            if id == step && status == StepStatus::Pending {
                return;
            }
            let events = match (status, kind) {
                (StepStatus::Running, LineKind::Confirm(roles)) => {
                    self.confirm(&roles);
                    continue;
                }
                (StepStatus::Running, _) => step_ended(&self.session, &id, Outcome::done("fine")),
                _ => match due(&self.session, self.now_ms) {
                    events if !events.is_empty() => events,
                    _ => decide(
                        &self.session,
                        &self.actor("robin"),
                        &Command::StartStep { step: None },
                    )
                    .unwrap_or_else(|why| panic!("{id}: {why}")),
                },
            };
            self.append_all(&events);
        }
        assert!(
            step == "end" && self.session.next_step().is_none(),
            "{step} is never next"
        );
    }

    fn confirm(&mut self, roles: &[Role]) {
        for role in roles {
            let actor = self.actor(role.key());
            if let Ok(events) = decide(&self.session, &actor, &Command::Confirm { step: None }) {
                self.append_all(&events);
            }
        }
    }

    pub fn sign_what_can_be_signed(&mut self) {
        if self.session.rehearsal.is_none() {
            self.append(Event::RehearsalRecorded {
                rehearsal: rehearsal(&self.session),
            });
        }
        for view in self.session.gates() {
            for role in view.missing_roles() {
                let command = Command::Sign {
                    gate: view.id.clone(),
                    role: Some(role),
                    note: None,
                    proof: None,
                };
                if let Ok(events) = decide(&self.session, &self.actor(role.key()), &command) {
                    self.append_all(&events);
                }
            }
        }
    }
}

pub fn rehearsal(session: &Session) -> RehearsalEvidence {
    let part = |part| (part, true, "fine".to_owned());
    RehearsalEvidence {
        session: "rehearsal-1".into(),
        runbook_hash: session.charter.runbook_hash.clone(),
        sandbox: true,
        head: "abc".into(),
        ended_unix_s: 0,
        source: None,
        parts: vec![
            part(RehearsalPart::Migrations),
            part(RehearsalPart::Import),
            part(RehearsalPart::Rollback),
        ],
        rollback_ms: 1_000,
        took_ms: vec![],
        not_run: Vec::new(),
        against: Vec::new(),
        not_rehearsed: Vec::new(),
    }
}

/// Plays a scenario and writes it down again with what happened now.
pub fn play(text: &str) -> String {
    let mut bridge = Bridge::open();
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.starts_with("  ")) {
        out.push_str(line);
        out.push('\n');
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for happened in act(&mut bridge, line) {
            out.push_str("  ");
            out.push_str(&happened);
            out.push('\n');
        }
    }
    bridge.assert_replays();
    out
}

fn act(bridge: &mut Bridge, line: &str) -> Vec<String> {
    if let Some((who, what)) = line.split_once(": ").filter(|(who, _)| !who.contains(' ')) {
        let actor = bridge.actor(who);
        return match decide(&bridge.session, &actor, &command(what)) {
            Ok(events) => {
                bridge.append_all(&events);
                events.iter().map(shown).collect()
            }
            Err(refusal) => vec![format!("refused: {refusal}")],
        };
    }
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let events = match verb {
        "due" => return bridge.settle().iter().map(shown).collect(),
        "reach" => {
            bridge.reach(rest);
            return Vec::new();
        }
        "show" => return show(bridge, rest),
        time if time.starts_with('+') => {
            bridge.now_ms += duration_ms(&time[1..]);
            return Vec::new();
        }
        "step" => step(bridge, rest),
        // `asks D2 Tools=12`: it fails, and would delete so many rows that the source does not have.
        "asks" => {
            let (step, rows) = rest.split_once(' ').expect("a step and rows");
            let outcome = Outcome::failed("rows would be lost")
                .with_fact(cutover::session::facts::Discard(discarded(&words(rows))));
            step_ended(&bridge.session, step, outcome)
        }
        "lost" => vec![Event::StepLost {
            step: rest.to_owned(),
            attempt: bridge.session.step(rest).map_or(1, |s| s.attempt),
        }],
        "found" => found(bridge, rest),
        "drift" => vec![Event::DriftFound {
            detail: rest.to_owned(),
        }],
        "written" => vec![Event::WrittenAfterSwitch {
            detail: rest.to_owned(),
        }],
        "trigger" => trigger(rest),
        "source" => vec![Event::SourceSeen { shape: shape(rest) }],
        "rehearsal" => vec![Event::RehearsalRecorded {
            rehearsal: changed_rehearsal(bridge, rest),
        }],
        "row" => vec![row(rest)],
        _ => panic!("no such line: {line}"),
    };
    bridge.append_all(&events);
    events.iter().map(shown).collect()
}

/// `Tools=12 Tags=3`.
fn discarded(rows: &[&str]) -> std::collections::BTreeMap<String, u64> {
    let each = rows.iter().map(|row| {
        let (table, n) = row.split_once('=').expect("TABLE=N");
        (table.to_owned(), n.parse().expect("a number"))
    });
    each.collect()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn command(text: &str) -> Command {
    let owned = |word: &str| word.to_owned();
    let role = |key: &str| {
        Role::ALL
            .into_iter()
            .find(|r| r.key() == key)
            .expect("a role")
    };
    match words(text).as_slice() {
        ["start"] => Command::StartStep { step: None },
        ["start", step] => Command::StartStep {
            step: Some(owned(step)),
        },
        ["start", step, "discarding", rows @ ..] => Command::StartDiscarding {
            step: owned(step),
            rows: discarded(rows),
        },
        ["confirm"] => Command::Confirm { step: None },
        ["confirm", step] => Command::Confirm {
            step: Some(owned(step)),
        },
        ["sign", gate, rest @ ..] => Command::Sign {
            gate: owned(gate),
            role: rest.get(1).map(|key| role(key)),
            note: None,
            proof: None,
        },
        ["withdraw", gate, rest @ ..] => Command::Withdraw {
            gate: owned(gate),
            role: rest.get(1).map(|key| role(key)),
        },
        ["hold", reason @ ..] => Command::Hold {
            reason: reason.join(" "),
        },
        ["resume"] => Command::Resume,
        ["skip", step, reason @ ..] => Command::Skip {
            step: owned(step),
            reason: reason.join(" "),
        },
        ["decide", step, what, reason @ ..] => Command::DecideUnknown {
            step: owned(step),
            done: *what == "done",
            reason: reason.join(" "),
        },
        ["extend", by] => Command::ExtendFreeze {
            by_ms: duration_ms(by),
        },
        ["roll", "back", reason @ ..] => {
            let typed = reason
                .first()
                .and_then(|w| w.strip_prefix('"')?.strip_suffix('"'));
            let reason = &reason[usize::from(typed.is_some())..];
            Command::RollBack {
                reason: reason.join(" "),
                confirm: typed.map(owned),
            }
        }
        ["complete"] => Command::Complete,
        ["retry"] => Command::Retry { row: None },
        ["retry", row] => Command::Retry {
            row: Some(owned(row)),
        },
        ["close"] => Command::Close {
            found: Vec::new(),
            accepts_open: false,
        },
        ["close", "accepting", found @ ..] => Command::Close {
            found: vec![found.join(" ")],
            accepts_open: true,
        },
        ["close", found @ ..] => Command::Close {
            found: vec![found.join(" ")],
            accepts_open: false,
        },
        ["correct", what @ ..] => Command::Correct {
            what: what.join(" "),
            gives_up_rows: false,
        },
        ["note", text @ ..] => Command::Note {
            text: text.join(" "),
        },
        _ => panic!("no such command: {text}"),
    }
}

fn step(bridge: &Bridge, text: &str) -> Vec<Event> {
    let words = words(text);
    let (id, how, rest) = (words[0], words[1], &words[2..]);
    let outcome = match how {
        "ok" => Outcome::done(rest.join(" ")),
        "passing" => Outcome::failed(rest.join(" ")).passing(),
        "failed" => match rest {
            [check, why @ ..] if *check != "-" => {
                Outcome::done(why.join(" ")).with_check(Check::new(check, false, why.join(" ")))
            }
            why => Outcome::failed(why[1..].join(" ")),
        },
        _ => panic!("a step ends ok, failed or passing: {text}"),
    };
    step_ended(&bridge.session, id, outcome)
}

fn found(bridge: &Bridge, text: &str) -> Vec<Event> {
    let words = words(text);
    let detail = words[2..].join(" ");
    let found = match words[1] {
        "done" => Found::Done {
            outcome: Outcome::done(detail),
        },
        "bad" => Found::Done {
            outcome: Outcome::done("").with_check(Check::new(
                words[2],
                false,
                words[3..].join(" "),
            )),
        },
        "again" => Found::RunAgain { detail },
        _ => Found::AskPerson { detail },
    };
    let judged = match &found {
        Found::Done { outcome } => check_triggers(&bridge.session, outcome),
        _ => Vec::new(),
    };
    let event = Event::StepFoundOut {
        step: words[0].to_owned(),
        found,
        by: None,
    };
    [vec![event], judged].concat()
}

fn trigger(text: &str) -> Vec<Event> {
    let words = words(text);
    let (trigger, reason) = (words[0].to_owned(), words[2..].join(" "));
    let state = match words[1] {
        "fired" => return vec![Event::TriggerFired { trigger, reason }],
        "burning" => TriggerPhase::Burning,
        "blind" => TriggerPhase::Blind,
        _ => TriggerPhase::Clear,
    };
    vec![Event::TriggerMoved {
        trigger,
        state,
        reason,
    }]
}

fn changed_rehearsal(bridge: &Bridge, how: &str) -> RehearsalEvidence {
    let mut rehearsal = rehearsal(&bridge.session);
    match how {
        "" => {}
        "newer" => rehearsal.head = "def".into(),
        "of-another-runbook" => rehearsal.runbook_hash.0 = "other".into(),
        "without-rollback" => rehearsal.parts.truncate(2),
        "with-bad-import" => {
            rehearsal.parts[1] = (RehearsalPart::Import, false, "3 rows differ".into())
        }
        how => {
            let (what, rest) = how.split_once(' ').unwrap_or((how, ""));
            match what {
                "of-source" => rehearsal.source = Some(shape(rest)),
                "aged" => {
                    let opened_s = bridge.session.opened.timestamp();
                    rehearsal.ended_unix_s = opened_s - duration_ms(rest) / 1_000;
                    rehearsal.source = bridge.session.shape().expect("readable");
                }
                _ => panic!("no such rehearsal: {how}"),
            }
        }
    }
    rehearsal
}

/// `A B=2`: tables with a hash each.
fn shape(text: &str) -> Shape {
    let tables = words(text).into_iter().map(|word| {
        let (name, hash) = word.split_once('=').unwrap_or((word, "1"));
        (format!("table {name}"), hash.to_owned())
    });
    Shape(tables.collect())
}

fn row(text: &str) -> Event {
    let words = words(text);
    let outcome = match words[1] {
        "ok" => Outcome::done("fine"),
        _ => Outcome::failed(words[2..].join(" ")),
    };
    Event::RollbackRowFinished {
        row: words[0].to_owned(),
        outcome,
    }
}

fn duration_ms(text: &str) -> i64 {
    let unit = text.find(|c: char| !c.is_ascii_digit()).expect("a unit");
    let n: i64 = text[..unit].parse().expect("a number");
    match &text[unit..] {
        "ms" => n,
        "s" => n * 1_000,
        "m" => n * 60_000,
        "h" => n * 3_600_000,
        _ => panic!("no such unit: {text}"),
    }
}
