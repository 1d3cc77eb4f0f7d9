//! Samples, progress, output and artefacts: what was noted is read, bounded, and safe to show.

use cutover::journal::{
    ARTEFACT_MAX_BYTES, EngineState, FIRST_LINES, Follower, LAST_LINES, Progress, Reading,
    Retention, Sample, Scribe, Stream,
};
use cutover::session::live::{LoadView, LoadsView, key};

use super::{Engine, Session, engine, session};

/// A session whose engine lives, and who notes things for it.
fn begun(retention: Retention) -> (Session, Engine, Scribe) {
    let session = session();
    let engine = engine(&session.folder);
    let scribe = engine.journal.scribe(retention).expect("a scribe");
    (session, engine, scribe)
}

fn sample(signal: &str, at_ms: i64, reading: Reading) -> Sample {
    Sample {
        signal: signal.to_owned(),
        at_ms,
        reading,
        n: Some(7),
    }
}

#[test]
fn samples_come_in_order_and_nothing_is_no_zero() {
    let (session, _engine, mut scribe) = begun(Retention::default());
    let notes = scribe.notes();
    let written = [
        sample("p95", 1, Reading::Value(12.5)),
        sample("5xx", 1, Reading::NoData("connection refused".to_owned())),
        sample("p95", 2, Reading::Value(0.0)),
    ];
    for s in &written {
        notes.sample(s.clone());
    }
    notes.sample(sample("p95", 3, Reading::Value(f64::NAN)));
    let mut follower = Follower::open(&session.folder).expect("a follower");
    assert_eq!(
        follower.poll_samples().expect("samples"),
        [],
        "nothing is written before the flush"
    );
    scribe.flush(3, "boot", 17).expect("a flush");
    let read = follower.poll_samples().expect("samples");
    assert_eq!(read[..3], written);
    assert!(
        matches!(&read[3].reading, Reading::NoData(why) if why.contains("NaN")),
        "{:?}",
        read[3]
    );
    assert_eq!(follower.poll_samples().expect("samples"), []);
    assert_eq!(
        follower.samples("p95", 2, 3).expect("samples"),
        written[2..]
    );
    let EngineState::Alive { beat, .. } = follower.engine().expect("a state") else {
        panic!("the engine lives")
    };
    assert_eq!(beat.expect("a sign of life").boot_ms, 17);
}

#[test]
fn old_samples_are_thinned_and_the_journal_says_so() {
    let (session, _engine, mut scribe) = begun(Retention {
        full_ms: 100_000,
        then_every_ms: 10_000,
        max_rows: 150,
    });
    let notes = scribe.notes();
    for second in 0..200 {
        notes.sample(sample("lag", second * 1_000, Reading::Value(second as f64)));
    }
    notes.sample(sample("lag", 5_500, Reading::NoData("late".to_owned())));
    scribe.flush(199_000, "boot", 0).expect("a flush");
    let mut follower = Follower::open(&session.folder).expect("a follower");
    let kept = follower.poll_samples().expect("samples");
    let old: Vec<_> = kept
        .iter()
        .filter(|s| s.at_ms < 90_000)
        .map(|s| s.at_ms)
        .collect();
    let expected: Vec<_> = (0..9).map(|n| n * 10_000).chain([5_500]).collect();
    assert_eq!(old, expected, "one per span, and the one without a value");
    assert_eq!(kept.len(), 10 + 110);
    let thinned = follower.thinned().expect("what was taken");
    assert_eq!(
        (thinned.before_ms, thinned.every_ms, thinned.gone_before_ms),
        (Some(90_000), 10_000, None)
    );

    for second in 200..300 {
        notes.sample(sample("lag", second * 1_000, Reading::Value(second as f64)));
    }
    scribe.flush(260_000, "boot", 0).expect("a flush");
    let mut fresh = Follower::open(&session.folder).expect("a follower");
    assert_eq!(fresh.poll_samples().expect("samples").len(), 150);
    let gone = fresh.thinned().expect("what was taken").gone_before_ms;
    assert_eq!(gone, Some(60_001), "157 were left, the 7 oldest went");
}

#[test]
fn a_large_value_of_the_board_is_understood_once_until_it_is_another() {
    let (session, _engine, mut scribe) = begun(Retention::default());
    let notes = scribe.notes();
    let view = |at_ms| LoadsView {
        at_ms,
        instances: vec![LoadView {
            errors_ratio: Some(0.017),
            ..LoadView::unknown("app-1")
        }],
    };
    let follower = Follower::open(&session.folder).expect("a follower");
    let mut read = String::new();
    let mut look = || follower.board_if_new::<LoadsView>(key::LOADS, &mut read);
    assert_eq!(look().expect("a board"), None, "nothing was put up");
    for at_ms in [5, 10] {
        notes.board(key::LOADS, &view(at_ms));
        scribe.flush(at_ms, "boot", 17).expect("a flush");
        assert_eq!(look().expect("a board"), Some(view(at_ms)));
        assert_eq!(look().expect("a board"), None, "it reads the same");
    }
    notes.board(key::LOADS, &"of another version");
    scribe.flush(15, "boot", 17).expect("a flush");
    assert_eq!(look().expect("a board"), None);
}

#[test]
fn the_latest_progress_counts() {
    let (session, _engine, mut scribe) = begun(Retention::default());
    let progress = |item: &str, done| Progress {
        step: "D2".to_owned(),
        item: item.to_owned(),
        done,
        total: Some(100),
        unit: "rows".to_owned(),
        at_ms: done as i64,
    };
    let notes = scribe.notes();
    let follower = Follower::open(&session.folder).expect("a follower");
    for done in [10, 20] {
        notes.progress(progress("ToolContents", done));
        notes.progress(progress("ToolSteps", done * 2));
        scribe.flush(done as i64, "boot", 0).expect("a flush");
    }
    assert_eq!(
        follower.progress().expect("progress"),
        [progress("ToolContents", 20), progress("ToolSteps", 40)]
    );
}

#[test]
fn a_flood_of_output_keeps_both_ends_and_counts_the_middle() {
    let (session, _engine, mut scribe) = begun(Retention::default());
    let notes = scribe.notes();
    let lines = 20_000;
    for n in 0..lines {
        notes.output("C1", 1, Stream::Stdout, n, &format!("line {n}"));
        if n % 3_000 == 0 {
            scribe.flush(n, "boot", 0).expect("a flush");
        }
    }
    notes.output(
        "C1",
        2,
        Stream::Stderr,
        1,
        "\u{1b}]0;owned\u{7} second attempt",
    );
    scribe.flush(lines, "boot", 0).expect("a flush");
    let follower = Follower::open(&session.folder).expect("a follower");
    let output = follower.output("C1", 1, 0).expect("the output");
    assert_eq!(output.lines.len(), FIRST_LINES + LAST_LINES);
    assert_eq!(
        output.cut_lines as usize,
        lines as usize - FIRST_LINES - LAST_LINES
    );
    assert_eq!(output.lines[0].line, "line 0");
    assert_eq!(output.lines[FIRST_LINES - 1].line, "line 499");
    assert_eq!(output.lines[FIRST_LINES].line, "line 18000");
    assert_eq!(output.lines.last().expect("a line").line, "line 19999");
    let second = follower.output("C1", 2, 0).expect("the output");
    assert_eq!(second.lines[0].line, "\\u{1b}]0;owned\\u{7} second attempt");
    assert_eq!(second.lines[0].stream, Stream::Stderr);
    let latest = follower.latest_output(2).expect("the output");
    assert_eq!(latest.iter().map(|l| l.attempt).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn artefacts_are_cut_at_their_limit_and_say_so() {
    let (session, _engine, mut scribe) = begun(Retention::default());
    let notes = scribe.notes();
    let large = vec![b'x'; ARTEFACT_MAX_BYTES + 1];
    let cut = notes
        .publish("../../etc/passwd", "log", 1, &large)
        .expect("an artefact");
    assert_eq!(cut.size_bytes as usize, ARTEFACT_MAX_BYTES);
    assert_eq!(cut.full_size_bytes as usize, ARTEFACT_MAX_BYTES + 1);
    let small = notes.publish("log", "log", 2, b"").expect("an artefact");
    let again = notes.publish("log", "log", 3, b"").expect("the same again");
    assert_eq!(small.sha256, again.sha256);
    scribe.flush(3, "boot", 0).expect("a flush");
    let follower = Follower::open(&session.folder).expect("a follower");
    assert_eq!(follower.artefacts().expect("artefacts"), [cut, small]);
}
