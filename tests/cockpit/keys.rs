//! Keys that drive the cutover: what they ask the engine for, and what they say when they do nothing.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use cutover::cockpit::actions::ACTIONS;
use cutover::cockpit::bridge::Fault;
use cutover::cockpit::model::Model;
use cutover::cockpit::news::News;
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Effect, Message, Parting, update};
use cutover::cockpit::{BridgeError, Left, snapshot};
use cutover::runbook::Role;
use cutover::session::signing::SigningRules;
use cutover::session::{Command, Refusal};

use super::states;
use super::story::Story;

/// Presses keys, one per character: `\n` Enter, `\t` Tab, `\u{1b}` Esc, `\u{8}` Backspace.
pub fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        let event = KeyEvent::new(code, KeyModifiers::NONE);
        effects.extend(update(model, Message::Key(event)).effects);
    }
    effects
}

pub fn said(model: &Model) -> String {
    let toast = model.ui.toast.as_ref();
    toast.map_or_else(String::new, |t| t.text.clone())
}

pub fn sent(effects: &[Effect]) -> Vec<Command> {
    let commands = effects.iter().filter_map(|e| match e {
        Effect::Send { command, .. } => Some(command.clone()),
        _ => None,
    });
    commands.collect()
}

/// The engine has carried it out, or not.
fn answer(model: &mut Model, result: Result<Option<u64>, BridgeError>) {
    let asked = model.ui.asked.clone().expect("something was asked");
    update(model, Message::Answered { asked, result });
}

#[test]
fn enter_starts_the_next_step_by_name_and_only_once() {
    let mut model = states::fresh();
    let effects = press(&mut model, "\n\n");
    let step = Some("P1".to_owned());
    assert_eq!(sent(&effects), [Command::StartStep { step }]);
    says!(said(&model), "the engine has yet to answer");
    let seq = model.session.seq + 1;
    answer(&mut model, Ok(Some(seq)));
    assert_eq!(
        sent(&press(&mut model, "\n")),
        [],
        "the journal does not show it yet"
    );
    let mut story = Story::begin();
    story.pass(13_000).start();
    let entries = story.entries.split_off(seq as usize - 1);
    let news = News {
        entries,
        ..News::default()
    };
    update(&mut model, Message::Came(Box::new(news)));
    assert_eq!(said(&model), "done: started P1");
}

#[test]
fn a_key_that_does_nothing_now_says_why() {
    let mut model = states::half_signed();
    let mut why = |key: &str| {
        assert_eq!(sent(&press(&mut model, key)), []);
        said(&model)
    };
    assert_eq!(why("\n"), "NO-GO: A1 waits for K6, K7, K8");
    assert!(why("c").starts_with("the release cannot be completed: A1"));
    assert_eq!(why("x"), "the freeze has not begun, or is over");
    assert_eq!(
        why("s"),
        "A1 cannot be skipped: the runbook does not allow it"
    );
    assert_eq!(why("d"), "no step waits for a decision");
    assert_eq!(why("E"), "engine 4242 works on this session");
    assert_eq!(why("F"), "that exists in the sandbox alone");
    assert_eq!(why("w"), "K6 is not signed by robin");
}

#[test]
fn space_signs_what_can_be_signed_and_shows_what_it_covers() {
    let mut model = states::half_signed();
    assert_eq!(sent(&press(&mut model, " ")), []);
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("Sign K6 as release manager"), "{text}");
    says!(text, "rehearsal.rollback: R1–R4+ took 1:12");
    assert!(text.contains("A signature covers the runbook"), "{text}");
    let expected = Command::Sign {
        gate: "K6".to_owned(),
        role: Some(Role::ReleaseManager),
        note: None,
        proof: None,
    };
    assert_eq!(sent(&press(&mut model, " ")), [expected]);
}

#[test]
fn a_gate_that_wants_an_ssh_key_says_so_and_the_key_comes_in_on_the_way() {
    let mut model = states::half_signed();
    let gates = vec!["K6".to_owned()];
    model.session.charter.signing = Some(SigningRules { gates });
    press(&mut model, " ");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("made with your SSH key"), "{text}");
    let commands = sent(&press(&mut model, " "));
    assert!(
        matches!(commands.as_slice(), [Command::Sign { proof: None, .. }]),
        "{commands:?}"
    );
}

#[test]
fn a_signature_can_carry_a_note_and_esc_gives_none() {
    let mut model = states::half_signed();
    assert_eq!(sent(&press(&mut model, " \u{1b}")), []);
    assert!(model.ui.overlay.is_none());
    let commands = sent(&press(&mut model, " timed twice\n"));
    let [Command::Sign { note, .. }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!(note.as_deref(), Some("timed twice"));
}

#[test]
fn a_note_in_the_view_of_the_gates_is_a_comment_on_the_selected_one() {
    let mut story = Story::begin();
    story.pass(2_000);
    let hostile = "K5: two\u{1b}[2J pages are wrong";
    for (who, text) in [("quinn", hostile), ("dan", "K50: elsewhere"), ("dan", "K5")] {
        let text = text.to_owned();
        story.command(who, Command::Note { text });
    }
    let mut model = story.seen_by("robin");
    press(&mut model, "n");
    assert_eq!(sent(&press(&mut model, "seen\n")), [note("seen")]);
    let mut model = story.seen_by("robin");
    press(&mut model, "6");
    model.ui.gate = Some(4);
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    let line = text.lines().find(|l| l.contains("» Quinn Sato at "));
    let line = line.unwrap_or_else(|| panic!("no comment: {text}"));
    assert!(
        line.contains("pages are wrong") && !line.contains('\u{1b}'),
        "{line}"
    );
    assert!(
        !text.contains("elsewhere") && !text.contains("Dan Okafor at"),
        "{text}"
    );
    // Nothing was typed: that is no comment.
    assert_eq!(press(&mut model, "n\n"), []);
    assert_eq!(sent(&press(&mut model, "fine\n")), [note("K5: fine")]);
}

fn note(text: &str) -> Command {
    let text = text.to_owned();
    Command::Note { text }
}

#[test]
fn a_deputy_signs_in_their_own_role_first() {
    let mut story = Story::begin();
    story.pass(2_000).reach("A1").rehearsed();
    let mut model = story.seen_by("ada");
    press(&mut model, "jjjjjjj");
    let commands = sent(&press(&mut model, "  "));
    let [Command::Sign { gate, role, .. }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!((gate.as_str(), *role), ("K8", Some(Role::Engineer)));
}

#[test]
fn rolling_back_by_hand_takes_the_sessions_name() {
    let mut model = states::importing();
    assert_eq!(sent(&press(&mut model, "Rtool-catalogue\n")), []);
    let text = snapshot::text(&model, &Theme::standard(), 80, 24);
    says!(text, "✗ type tool-catalogue-7 to roll back");
    let expected = Command::RollBack {
        reason: "decided on the bridge".to_owned(),
        confirm: Some("tool-catalogue-7".to_owned()),
    };
    assert_eq!(sent(&press(&mut model, "-7\n")), [expected]);
}

#[test]
fn completing_the_release_takes_the_sessions_name() {
    let mut model = states::done().seen_by("robin");
    assert_eq!(sent(&press(&mut model, "c\n")), []);
    let text = snapshot::text(&model, &Theme::standard(), 80, 24);
    says!(text, "✗ type tool-catalogue-7 to complete the release");
    let commands = sent(&press(&mut model, "tool-catalogue-7\n"));
    assert_eq!(commands, [Command::Complete]);
}

/// What cannot be taken back is never a bare key, nor a key and Enter. A fired trigger's rollback is: then every second counts.
#[test]
fn no_key_and_enter_does_what_cannot_be_taken_back() {
    let mut states = states::all();
    states.retain(|(name, _)| *name != "fired");
    states.push(("done", states::done().seen_by("robin")));
    for (name, model) in states {
        for action in ACTIONS {
            let mut model = model.clone();
            let mut effects = Vec::new();
            for code in [action.keys[0].code, KeyCode::Enter, KeyCode::Enter] {
                let mut event = KeyEvent::new(code, KeyModifiers::NONE);
                if action.keys[0].ctrl && code == action.keys[0].code {
                    event.modifiers = KeyModifiers::CONTROL;
                }
                effects.extend(update(&mut model, Message::Key(event)).effects);
            }
            let harmless = |c: &Command| {
                !matches!(
                    c,
                    Command::RollBack { .. }
                        | Command::Complete
                        | Command::Skip { .. }
                        | Command::DecideUnknown { .. }
                        | Command::ExtendFreeze { .. }
                )
            };
            let commands = sent(&effects);
            assert!(
                commands.iter().all(harmless),
                "{name}, {:?}: {commands:?}",
                action.act
            );
        }
    }
}

#[test]
fn after_a_trigger_fired_one_key_rolls_back() {
    let mut model = states::fired();
    let expected = Command::RollBack {
        reason: "decided on the bridge".to_owned(),
        confirm: None,
    };
    assert_eq!(sent(&press(&mut model, "R")), [expected]);
}

#[test]
fn a_countdown_that_comes_up_under_typing_does_not_take_the_typed_keys() {
    let mut story = states::after_reopening();
    let mut model = story.seen_by("robin");
    press(&mut model, "nTRAFFIC LOOKS W");
    story.fire("T3a", "5xx too high");
    let news = News {
        entries: story.entries[model.session.seq as usize..].to_vec(),
        ..News::default()
    };
    update(&mut model, Message::Came(Box::new(news)));
    assert!(model.ui.overlay.is_none(), "the countdown has the screen");
    assert_eq!(sent(&press(&mut model, "RONG\n")), []);
    let later = Message::Ticked {
        now_ms: Some(story.at_ms + 2_000),
        wall: model.wall,
    };
    update(&mut model, later);
    assert_eq!(sent(&press(&mut model, "R")).len(), 1);
}

#[test]
fn a_journal_that_cannot_be_read_leaves_nothing_live() {
    let mut model = states::after_reopening().seen_by("robin");
    assert!(model.engine.is_live());
    let why = "the folder is gone".to_owned();
    update(&mut model, Message::FollowFailed(why));
    let shown = snapshot::text(&model, &Theme::standard(), 200, 60);
    assert!(shown.contains("NOT KNOWN"), "{shown}");
    assert!(shown.contains("Nothing on this screen is live"), "{shown}");
    let narrow = snapshot::text(&model, &Theme::standard(), 80, 24);
    assert!(narrow.contains("bring it back"), "{narrow}");
    press(&mut model, "E");
    assert!(said(&model).contains("cannot be read"), "{}", said(&model));
}

#[test]
fn with_the_engine_gone_keys_say_so_and_rolling_back_starts_one() {
    let mut model = states::engine_gone();
    press(&mut model, "h");
    assert!(said(&model).contains("E starts one"), "{}", said(&model));
    assert_eq!(press(&mut model, "E"), [Effect::StartEngine]);
    answer(&mut model, Err(BridgeError::NoEngine));
    let effects = press(&mut model, "Rtool-catalogue-7\n");
    let [Effect::Send { start_engine, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert!(start_engine);
}

#[test]
fn a_refusal_of_the_engine_is_shown_as_it_is() {
    let mut model = states::fresh();
    press(&mut model, "\n");
    let refusal = Refusal::Held {
        by: "dan".to_owned(),
        reason: "disk".to_owned(),
    };
    answer(&mut model, Err(BridgeError::Refused(refusal.clone())));
    assert_eq!(said(&model), refusal.to_string());
}

#[test]
fn pasted_text_is_typed_and_never_a_command() {
    let mut model = states::fresh();
    update(&mut model, Message::Pasted("R\nq".to_owned()));
    assert!(model.ui.overlay.is_none());
    press(&mut model, "n");
    update(&mut model, Message::Pasted("see\nthe \u{1b}log".to_owned()));
    let commands = sent(&press(&mut model, "\n"));
    let text = "see the log".to_owned();
    assert_eq!(commands, [Command::Note { text }]);
}

#[test]
fn leaving_stops_nothing_and_says_so() {
    let mut model = states::importing();
    assert_eq!(press(&mut model, "q"), [Effect::Leave(Parting::Asked)]);
    let left = Left {
        parting: Parting::Asked,
        phase: model.session.phase,
        session: "tool-catalogue-7".to_owned(),
        engine: true,
    };
    assert!(left.to_string().contains("nothing is stopped"));
}

#[test]
fn playing_another_person_changes_what_the_keys_may() {
    let mut model = states::sandbox().seen_by("nobody");
    assert!(model.me.is_none());
    press(&mut model, "\n");
    says!(said(&model), "not on this bridge");
    press(&mut model, "p2");
    assert_eq!(model.me.as_ref().map(|m| m.id.as_str()), Some("ada"));
    press(&mut model, "p1");
    assert_eq!(sent(&press(&mut model, "\n")).len(), 1);
}

#[test]
fn a_fault_that_this_sandbox_cannot_have_says_so_and_is_not_asked_for() {
    let mut model = states::sandbox().seen_by("robin");
    let fault = |name: &str, unavailable: Option<&str>| Fault {
        name: name.to_owned(),
        what: format!("what {name} does"),
        active: false,
        unavailable: unavailable.map(str::to_owned),
    };
    let why = cutover::demo::guest::unavailable(cutover::demo::faults::Fault::TargetDown);
    let faults = vec![fault("slow", None), fault("target-down", why)];
    press(&mut model, "F");
    update(&mut model, Message::FaultsListed(faults));
    let shown = snapshot::text(&model, &Theme::standard(), 120, 40);
    says!(shown, "what slow does");
    says!(
        shown,
        "target-down        not available: it stops the server, which is not the sandbox's own"
    );
    assert_eq!(press(&mut model, "2"), []);
    says!(said(&model), "target-down is not available");
    press(&mut model, "F");
    assert_eq!(
        press(&mut model, "1"),
        [Effect::Inject(Some("slow".to_owned()))]
    );
}
