//! What the pool view says of who is connected to PostgreSQL: what it does not see, whose the server is, who waits. Not in here: the view
//! in each state (`frames`), and how PostgreSQL is asked (`postgres::connect`).

use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::news::News;
use cutover::cockpit::theme::{Meaning, Theme};
use cutover::cockpit::{snapshot, view};
use cutover::session::live::{ClientView, ClientsView};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::states;

/// The pool view of a night in which PostgreSQL gave these answers, by seconds before now.
fn looking(answers: impl IntoIterator<Item = (i64, ClientsView)>) -> Model {
    let mut model = states::fresh();
    model.ui.view = View::Pool;
    for (seconds_ago, mut answer) in answers {
        answer.at_ms = model.now_ms - seconds_ago * 1_000;
        model.take(News {
            clients: Some(answer),
            ..News::default()
        });
    }
    model
}

fn answer(applications: Vec<ClientView>) -> ClientsView {
    ClientsView {
        most: 97,
        applications: Some(applications),
        ..ClientsView::default()
    }
}

fn client(application: &str) -> ClientView {
    ClientView {
        application: application.to_owned(),
        ..ClientView::default()
    }
}

/// The panel's lines, its title first.
fn panel(model: &Model, (width, height): (u16, u16)) -> Vec<String> {
    let theme = Theme::load("default").expect("embedded");
    let text = snapshot::text(model, &theme, width, height);
    let lines = text.lines().skip_while(|l| !l.contains("Per application"));
    lines.map(str::to_owned).collect()
}

fn line<'l>(lines: &'l [String], application: &str) -> &'l str {
    let line = lines.iter().find(|line| line.contains(application));
    line.unwrap_or_else(|| panic!("{lines:#?}"))
}

#[test]
fn connections_whose_state_is_hidden_are_counted_and_unknown() {
    let hidden = ClientView {
        hidden: 40,
        ..client("app-1")
    };
    let seen = ClientView {
        idle: 3,
        ..client("psql")
    };
    let model = looking([(1, answer(vec![hidden, seen]))]);
    for size in [(80, 24), (120, 40), (200, 60)] {
        let lines = panel(&model, size);
        assert!(lines[0].contains("43 here, "), "{lines:#?}");
        let told = "state of 40 hidden: grant pg_monitor";
        // On the smallest screen the rows go before it; the column says it as well.
        let heading = 1 + usize::from(size.1 > 24);
        assert_eq!(lines[1].contains(told), size.1 > 24, "{lines:#?}");
        assert!(lines[heading].contains("hidden"), "{lines:#?}");
        let app = line(&lines, "app-1").split('│').nth(1).expect("a panel");
        let numbers: Vec<_> = app.split_whitespace().rev().take(5).collect();
        assert_eq!(numbers, ["40", "?", "?", "?", "?"], "{app}");
        assert!(!app.contains('·') && app.contains('?'), "{app}");
        let psql = line(&lines, "psql").split('│').nth(1).expect("a panel");
        let numbers: Vec<_> = psql.split_whitespace().rev().take(5).collect();
        assert_eq!(numbers, ["0", "0", "0", "3", "0"], "{psql}");
    }
}

#[test]
fn the_limit_is_held_against_the_whole_server() {
    let mut crowded = answer(vec![ClientView {
        active: 5,
        waiting: 1,
        ..client("app-1")
    }]);
    crowded.server_total = 95;
    let model = looking([(1, crowded.clone())]);
    let lines = panel(&model, (120, 40));
    let words = "5 here, 95 of 97 on the server, NEARLY FULL, 1 waits for a lock";
    assert!(lines[0].contains(words), "{lines:#?}");
    crowded.server_total = 40;
    let lines = panel(&looking([(1, crowded)]), (120, 40));
    assert!(
        lines[0].contains("40 of 97 on the server, 1 waits"),
        "{lines:#?}"
    );
}

#[test]
fn connections_that_wait_are_counted_not_applications() {
    let waits = |application, waiting| ClientView {
        active: 9,
        waiting,
        ..client(application)
    };
    let model = looking([(1, answer(vec![waits("app-1", 4), waits("app-2", 1)]))]);
    let lines = panel(&model, (120, 40));
    assert!(lines[0].contains("5 wait for locks"), "{lines:#?}");
}

#[test]
fn most_are_idle_in_a_transaction_where_they_are_more_than_all_others() {
    let open = |application, idle| ClientView {
        idle,
        idle_in_transaction: 3,
        ..client(application)
    };
    let model = looking([(1, answer(vec![open("few", 20), open("most", 2)]))]);
    let lines = panel(&model, (120, 40));
    assert!(line(&lines, "few").contains('░'), "{lines:#?}");
    assert!(line(&lines, "most ").contains('▓'), "{lines:#?}");
}

#[test]
fn rows_stay_where_they_are_while_numbers_change() {
    let busy = |application, active| ClientView {
        active,
        ..client(application)
    };
    for order in [["app-1", "app-2"], ["app-2", "app-1"]] {
        let [most, fewer] = order;
        let model = looking([(1, answer(vec![busy(most, 9), busy(fewer, 8)]))]);
        let lines = panel(&model, (120, 40));
        let at = |name: &str| lines.iter().position(|line| line.contains(name));
        assert!(at("app-1") < at("app-2"), "{lines:#?}");
    }
}

#[test]
fn who_was_there_stays_in_sight_while_postgresql_does_not_answer() {
    let there = ClientView {
        active: 7,
        ..client("app-1")
    };
    let silence = ClientsView::default();
    let model = looking([
        (30, answer(vec![there])),
        (20, silence.clone()),
        (10, silence),
    ]);
    let lines = panel(&model, (120, 40));
    assert!(lines[1].contains("PostgreSQL did not answer"), "{lines:#?}");
    let app = line(&lines, "app-1");
    assert!(app.contains('▒') && app.contains(" 7 "), "{app}");

    let theme = Theme::load("default").expect("embedded");
    let mut screen = Buffer::empty(Rect::new(0, 0, 120, 40));
    view::draw(&model, &theme, &mut screen);
    let row = |y: u16| (0..120).map(move |x| (x, y));
    let text = |y: u16| -> String { row(y).map(|at| screen[at].symbol()).collect() };
    let y = (0..40).find(|y| text(*y) == app).expect("the same row");
    let seven = row(y).find(|at| screen[*at].symbol() == "7").expect("it");
    assert_eq!(
        screen[seven].fg,
        theme.style(Meaning::Stale).fg.expect("a colour")
    );
}

#[test]
fn why_nobody_is_shown() {
    let silence = ClientsView::default();
    let unasked = ClientsView {
        is_unasked: true,
        ..ClientsView::default()
    };
    for (answers, words) in [
        (vec![], "PostgreSQL was not asked yet"),
        (vec![(1, silence)], "PostgreSQL did not answer"),
        (vec![(1, unasked)], "no probe asks PostgreSQL"),
        (vec![(1, answer(vec![]))], "nobody is connected"),
    ] {
        let lines = panel(&looking(answers), (120, 40));
        assert!(lines[1].contains(words), "{lines:#?}");
    }
}

#[test]
fn few_rows_are_for_the_tables_and_not_for_half_a_chart() {
    let mut model = states::burning();
    model.ui.view = View::Pool;
    let lines = panel(&model, (80, 24));
    for row in ["app-3", "nightly job", "app-1"] {
        line(&lines[..5], row);
    }
    let theme = Theme::load("default").expect("embedded");
    let has_chart = |width, height| {
        let text = snapshot::text(&model, &theme, width, height);
        let pool = text.split("Per application").next().expect("the panel");
        pool.contains('╌')
    };
    assert!(!has_chart(80, 24) && has_chart(80, 40) && has_chart(120, 40));
}
