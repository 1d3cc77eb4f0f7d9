//! Keys that change nothing but the screen: views, what is read over them, the search among actions, the filter, themes.

use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::{Look, Overlay, View};
use cutover::cockpit::news::News;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Effect, Message, update};
use cutover::session::Command;

use super::keys::{press, said, sent};
use super::states;

#[test]
fn who_is_here_and_who_may_do_what_is_a_key_away() {
    let mut model = states::half_signed();
    press(&mut model, "b");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    for part in [
        "Robin Marsh  release manager, you",
        "looks at Bridge, seen 0:01 ago",
        "engineer, deputy of Robin Marsh (release manager)",
        "not seen yet",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let row = |what: &str| {
        let line = text.lines().find(|l| l.contains(what)).expect(what);
        // What lies beside the overlay has marks of its own.
        let within = line.chars().skip(10).take(100);
        within.filter(|c| *c == '✓').count()
    };
    assert_eq!((row("start a step"), row("roll back ")), (1, 4));
    // Quinn's terminal is gone: what is known of her stays.
    let later = model.now_ms + 42_000;
    model.tick(Some(later), model.wall);
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("away, last seen 0:43 ago at Gates"), "{text}");
    press(&mut model, "b");
    assert!(model.ui.overlay.is_none());
    press(&mut model, "n");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("Everyone on the bridge sees it"), "{text}");
}

#[test]
fn what_is_not_armed_does_not_burn_on_the_screen() {
    let mut model = states::burning();
    let panel = |model: &Model| snapshot::text(model, &Theme::standard(), 120, 40);
    assert!(panel(&model).contains("2 BURNING"));
    let mut triggers = model.triggers.clone();
    triggers.iter_mut().for_each(|view| view.armed = false);
    model.take(News {
        triggers: Some(triggers),
        ..News::default()
    });
    let text = panel(&model);
    assert!(text.contains("none burns"), "{text}");
    assert!(
        !text.contains("BURNING") && !text.contains("ALARM"),
        "{text}"
    );
}

#[test]
fn views_and_panels_follow_the_keys() {
    let mut model = states::importing();
    for (key, view) in ["2", "3", "4", "5", "6", "7", "8", "1"].iter().zip([
        View::Steps,
        View::Pool,
        View::Traffic,
        View::Fleet,
    ]) {
        assert_eq!(press(&mut model, key), [Effect::Present(view)]);
        assert_eq!(model.ui.view, view);
    }
    press(&mut model, "\u{1b}\tk");
    assert_eq!(model.ui.step, Some(model.current_index() - 1));
    press(&mut model, "\u{1b}");
    assert_eq!(model.ui.step, None, "Esc follows the running step again");
}

#[test]
fn enter_reads_the_table_under_the_cursor_and_starts_nothing() {
    let mut model = states::comparing();
    assert_eq!(press(&mut model, "9"), [Effect::Present(View::Data)]);
    let opened = |model: &Model| match &model.ui.overlay {
        Some(Overlay::Table { table, .. }) => Some(table.clone()),
        _ => None,
    };
    press(&mut model, "\n");
    assert_eq!(
        opened(&model).as_deref(),
        Some("ToolFeatures"),
        "the one that differs"
    );
    press(&mut model, "\n");
    assert_eq!(opened(&model), None);
    press(&mut model, "k");
    assert!(press(&mut model, "\n").is_empty());
    assert_eq!(opened(&model).as_deref(), Some("ToolContents"));
    press(&mut model, "\u{1b}");
    assert_eq!((opened(&model), model.ui.view), (None, View::Data));
    press(&mut model, "\u{1b}");
    assert_eq!((model.ui.table, model.ui.view), (None, View::Bridge));
}

#[test]
fn an_idle_screen_is_not_drawn() {
    let mut model = states::completed();
    let tick = |model: &Model, ms: i64| Message::Ticked {
        now_ms: Some(model.now_ms + ms),
        wall: model.wall,
    };
    let message = tick(&model, 5_000);
    assert!(!update(&mut model, message).redraw);
    assert!(!update(&mut model, Message::Came(Box::default())).redraw);
    let mut model = states::importing();
    let message = tick(&model, 100);
    let first = update(&mut model, message).redraw;
    let message = tick(&model, 100);
    assert!(
        !(first && update(&mut model, message).redraw),
        "at most once a second"
    );
}

#[test]
fn enter_opens_the_differences_while_rows_are_compared_and_closes_them_again() {
    let mut model = states::comparing();
    let effects = press(&mut model, "\n");
    let watched = effects
        .iter()
        .any(|e| matches!(e, Effect::Watch { step, .. } if step == "E2"));
    assert!(watched && sent(&effects).is_empty(), "{effects:?}");
    let shown = snapshot::text(&model, &Theme::load("default").expect("embedded"), 120, 40);
    assert!(shown.contains("Output of E2"), "{shown}");
    press(&mut model, "\n");
    assert!(model.ui.overlay.is_none());
}

#[test]
fn an_action_is_found_by_its_words_and_done_as_by_its_key() {
    let mut by_key = states::fresh();
    let mut by_words = states::fresh();
    let expected = sent(&press(&mut by_key, "\n"));
    assert_eq!(sent(&press(&mut by_words, ":start\n")), expected);
    assert_eq!(expected.len(), 1);
    let mut model = states::importing();
    press(&mut model, ":roll\n");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(
        text.contains("why (optional)"),
        "its name is typed as ever: {text}"
    );
}

#[test]
fn a_search_shows_what_cannot_be_done_and_enter_says_why() {
    let mut model = states::half_signed();
    press(&mut model, ":complete");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    says!(text, "Not now: the release cannot be completed");
    assert_eq!(sent(&press(&mut model, "\n")), []);
    assert!(model.ui.overlay.is_none());
    assert!(said(&model).starts_with("the release cannot be completed: A1"));
    press(&mut model, ":zzz\n");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("No action has these words"), "{text}");
    assert_eq!(press(&mut model, "q\u{1b}"), [], "q is typed, Esc leaves");
    assert!(model.ui.overlay.is_none());
}

#[test]
fn the_countdown_is_not_covered_by_a_search() {
    let mut model = states::fired();
    press(&mut model, ":");
    assert!(model.ui.overlay.is_none());
    assert!(said(&model).contains("countdown"), "{}", said(&model));
}

/// The words of the events that the journal view shows, the latest last.
fn listed(model: &Model) -> Vec<String> {
    let shown = model.shown_events();
    shown.iter().map(|told| told.text.clone()).collect()
}

#[test]
fn a_filter_leaves_the_events_that_have_every_word() {
    let mut model = states::burning();
    let all = listed(&model).len();
    let effects = press(&mut model, "/FAIL");
    assert_eq!(effects, [Effect::Present(View::Journal)]);
    assert_eq!(listed(&model), [] as [String; 0]);
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("No event has these words"), "{text}");
    press(&mut model, "\u{8}\u{8}\u{8}\u{8}Gate_Signed dan k2\n");
    assert_eq!(listed(&model), ["dan signed K2 as DBA"]);
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains(&format!("1 of {all}")), "{text}");
    assert_eq!(press(&mut model, "2").len(), 1, "keys are keys again");
    assert_eq!(listed(&model).len(), all, "elsewhere everything is shown");
    press(&mut model, "7\u{1b}");
    assert_eq!((model.ui.view, listed(&model).len()), (View::Journal, all));
    press(&mut model, "\u{1b}");
    assert_eq!(model.ui.view, View::Bridge, "Esc always goes back");
    press(&mut model, "/note\u{1b}");
    assert_eq!(listed(&model).len(), all, "Esc drops what is being typed");
}

#[test]
fn what_comes_in_moves_no_event_away_from_under_the_cursor() {
    let mut story = states::after_reopening();
    let mut model = story.seen_by("robin");
    press(&mut model, "7kk");
    let under = |model: &Model| model.selected_event().expect("an event").seq;
    let chosen = under(&model);
    let note = Command::Note {
        text: "more".to_owned(),
    };
    story.command("dan", note);
    let entries = story.entries[model.session.seq as usize..].to_vec();
    let news = News {
        entries,
        ..News::default()
    };
    update(&mut model, Message::Came(Box::new(news)));
    assert_eq!(under(&model), chosen);
    press(&mut model, "G");
    assert_eq!(under(&model), model.session.seq);
    assert_eq!(model.ui.event, None, "the latest is followed again");
}

#[test]
fn enter_in_the_journal_shows_all_of_an_event_and_starts_nothing() {
    let mut model = states::half_signed();
    press(&mut model, "/p3 step_finished\n");
    assert_eq!(sent(&press(&mut model, "\n")), []);
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    for part in [
        "step_finished",
        "outcome.summary",
        "outcome.facts.baseline.latency_p95_ms",
        "+02:00",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    press(&mut model, "\n");
    assert!(model.ui.overlay.is_none());
    // What Enter would do elsewhere is not promised here.
    let mut model = states::fresh();
    press(&mut model, "7");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("[Esc, then Enter: start]"), "{text}");
    assert!(!text.contains("Enter start "), "{text}");
    assert_eq!(sent(&press(&mut model, "\u{1b}\n")).len(), 1);
}

#[test]
fn an_event_is_copied_with_all_its_fields_and_nothing_that_a_shell_obeys() {
    let mut story = states::after_reopening();
    let note = Command::Note {
        text: "\u{1b}]0;x\u{7}first\nrm -rf /".to_owned(),
    };
    story.command("dan", note);
    let mut model = story.seen_by("robin");
    assert_eq!(press(&mut model, "y"), [], "{}", said(&model));
    assert!(said(&model).contains("7 shows the journal"));
    let effects = press(&mut model, "7y");
    let Some(Effect::Copy(text)) = effects.last() else {
        panic!("{effects:?}");
    };
    assert!(text.contains("note_written\n"), "{text}");
    says!(text, "text: \\u{1b}]0;x\\u{7}first\\nrm -rf /\n");
    assert!(!text.contains('\u{1b}'));
    let again = press(&mut model, "\ny");
    assert_eq!(again, effects[1..], "the same while it is read");
    assert!(model.ui.overlay.is_some());
}

#[test]
fn themes_are_shown_under_the_cursor_and_worn_with_enter() {
    let set_theme = |name: &str| Effect::SetTheme(name.to_owned());
    let mut model = states::importing();
    assert_eq!(press(&mut model, "T"), []);
    assert_eq!(press(&mut model, "j"), [set_theme("light")]);
    assert_eq!(press(&mut model, "\u{1b}"), [set_theme("default")], "back");
    assert_eq!(model.ui.look.theme, "default");
    let last = press(&mut model, ":theme\njjj\n").pop();
    assert_eq!(last, Some(set_theme("high-contrast")));
    assert_eq!(model.ui.look.theme, "high-contrast");
    assert!(model.ui.overlay.is_none());
    model.ui.look.no_color = true;
    assert_eq!(press(&mut model, "T"), []);
    assert!(said(&model).contains("NO_COLOR"), "{}", said(&model));
}

#[test]
fn a_theme_of_ones_own_can_be_chosen_again() {
    let mut model = states::importing();
    model.ui.look = Look::of("mine.toml", false);
    press(&mut model, "Tk");
    assert_eq!(model.ui.look.theme, "mine.toml", "only shown so far");
    let effects = press(&mut model, "j\n");
    assert_eq!(
        effects.last(),
        Some(&Effect::SetTheme("mine.toml".to_owned()))
    );
}

#[test]
fn a_countdown_takes_off_a_theme_that_is_only_shown() {
    let mut story = states::after_reopening();
    let mut model = story.seen_by("robin");
    press(&mut model, "Tjj");
    story.fire("T3a", "5xx too high");
    let news = News {
        entries: story.entries[model.session.seq as usize..].to_vec(),
        ..News::default()
    };
    let effects = update(&mut model, Message::Came(Box::new(news))).effects;
    assert!(
        effects.contains(&Effect::SetTheme("default".to_owned())),
        "{effects:?}"
    );
}

#[test]
fn in_the_sandbox_a_deputy_is_told_whom_to_play() {
    let model = states::sandbox().seen_by("ada");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("[p: play Robin Marsh, then Enter]"), "{text}");
}
