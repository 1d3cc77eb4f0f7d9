//! A report as people read it: verdict, figures, sections of paragraphs, tables and pictures. Built once, here and in [`sections`] and
//! [`pictures`]; each form (`html`, `markdown`) only writes it down, and knows of no meaning. So nothing is told in one form that the
//! other keeps to itself.
//!
//! Not in here: what is told (`report`), markup of any kind.

mod pictures;
mod sections;

use std::borrow::Cow;

use strum::IntoStaticStr;

use super::evidence::Limit;
use super::{Outcome, Report};
use crate::format;
use crate::session::RollbackCause;
use crate::text::printable;

/// Characters of the reason that stands below the score.
const REASON_CHARS: usize = 80;

pub struct Page {
    /// Name of the session; foreign.
    pub session: String,
    pub verdict: Verdict,
    /// What must be known before the rest is read.
    pub banners: Vec<Text>,
    pub figures: Vec<Figure>,
    /// In the order in which they are read.
    pub sections: Vec<Section>,
    /// What it was made from.
    pub foot: Vec<Text>,
    pub axis: Axis,
}

/// How it ended, in a word and a sentence.
pub struct Verdict {
    pub tone: Tone,
    /// Tells it without colour.
    pub glyph: char,
    pub word: &'static str,
    pub sentence: &'static str,
    pub cause: Text,
}

/// A number with what it is measured against.
pub struct Figure {
    pub label: &'static str,
    pub value: String,
    pub against: Text,
}

/// A part with its heading.
pub struct Section {
    /// As links name it.
    pub id: &'static str,
    pub title: &'static str,
    /// As the list of sections calls it, where it is worth a place there.
    pub short: Option<&'static str>,
    pub blocks: Vec<Block>,
}

/// A piece of a section.
pub enum Block {
    Heading(Text),
    Paragraph(Text),
    /// What else must be known of what stands beside it.
    Note(&'static str),
    Table(Table),
    /// How to read drawings; for forms that draw.
    Key(&'static str),
    /// The session along time; for forms that draw.
    Night(Night),
    /// A signal along time, with its name; for forms that draw.
    Curve(Curve),
}

/// Rows and columns.
pub struct Table {
    /// What stands in each; those that begin with `#` hold numbers.
    pub columns: &'static [&'static str],
    pub lines: Vec<Vec<Text>>,
    /// What is said where there are none.
    pub otherwise: &'static str,
}

/// Words, each with where they come from.
#[derive(Default)]
pub struct Text(pub Vec<Span>);

/// A piece of a text.
pub enum Span {
    /// Our own words, ids and numbers.
    Own(Cow<'static, str>),
    /// Words of somebody else.
    Foreign(String),
    /// Our own words, which must not be passed over.
    Strong(Cow<'static, str>),
    Code(String),
    Hash(String),
    State(State),
    Break,
}

/// Where something stands.
#[derive(Clone, Copy)]
pub struct State {
    pub tone: Tone,
    /// Tells it without colour.
    pub glyph: Option<char>,
    pub word: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Tone {
    Good,
    Warn,
    Bad,
    Quiet,
    Open,
}

pub use pictures::{Axis, Curve, Lane, Look, Night, Thing};

impl Text {
    /// Our own words.
    pub fn own(words: impl Into<Cow<'static, str>>) -> Text {
        Text(vec![Span::Own(words.into())])
    }

    /// Words of somebody else.
    pub fn foreign(words: &str) -> Text {
        Text(vec![Span::Foreign(words.to_owned())])
    }

    pub fn state(tone: Tone, glyph: Option<char>, word: &'static str) -> Text {
        Text(vec![Span::State(State { tone, glyph, word })])
    }

    pub fn then(mut self, more: impl Into<Text>) -> Text {
        self.0.extend(more.into().0);
        self
    }

    pub fn lines(texts: impl IntoIterator<Item = Text>) -> Text {
        texts.into_iter().fold(Text::default(), |all, text| {
            let between = if all.0.is_empty() {
                None
            } else {
                Some(Span::Break)
            };
            Text(all.0.into_iter().chain(between).chain(text.0).collect())
        })
    }
}

impl From<&'static str> for Text {
    fn from(words: &'static str) -> Text {
        Text::own(words)
    }
}

impl From<String> for Text {
    fn from(words: String) -> Text {
        Text::own(words)
    }
}

impl From<Span> for Text {
    fn from(span: Span) -> Text {
        Text(vec![span])
    }
}

impl Page {
    pub fn of(report: &Report) -> Page {
        Page {
            session: report.session.clone(),
            verdict: verdict(report),
            banners: banners(report),
            figures: figures(report),
            sections: sections::of(report),
            foot: foot(report),
            axis: pictures::axis(report),
        }
    }
}

fn verdict(report: &Report) -> Verdict {
    let is_unhealthy = report.rollback.as_ref().and_then(|r| r.healthy) == Some(false);
    let not_over = "This tells how it stood at the last event.";
    let (tone, glyph, word, sentence) = match (report.result, is_unhealthy) {
        (Outcome::Completed, _) => (
            Tone::Good,
            '✓',
            "Completed",
            "The release is complete: the application runs on PostgreSQL.",
        ),
        (Outcome::RolledBack, true) => (
            Tone::Bad,
            '✗',
            "Rolled back, not healthy",
            "A row of the rollback that the RTO covers failed: see below, and act on it.",
        ),
        (Outcome::RolledBack, false) => (
            Tone::Warn,
            '↩',
            "Rolled back",
            "The application runs on SQLite, as before the night.",
        ),
        (Outcome::NoGo, true) => (
            Tone::Bad,
            '✗',
            "No-go, not healthy",
            "It ended before anything touched PostgreSQL, and nobody has seen that the application runs on SQLite: see below.",
        ),
        (Outcome::NoGo, false) => (
            Tone::Warn,
            '–',
            "No-go",
            "It ended before anything touched PostgreSQL: the application runs on SQLite.",
        ),
        (Outcome::Open, _) => (Tone::Open, '…', "Not over", not_over),
        (Outcome::RollingBack, _) => (Tone::Open, '…', "Not over: the rollback runs", not_over),
    };
    let cause = report
        .rollback
        .as_ref()
        .map(|rollback| cause(&rollback.cause, &rollback.reason));
    Verdict {
        tone,
        glyph,
        word,
        sentence,
        cause: cause.unwrap_or_default(),
    }
}

/// Who or what began the rollback, and why.
fn cause(cause: &RollbackCause, reason: &str) -> Text {
    let who = match cause {
        RollbackCause::Person { by } => Text::own("Begun by ").then(Text::foreign(by)),
        RollbackCause::Trigger { trigger } => {
            Text::own("Begun by trigger ").then(Text::foreign(trigger))
        }
    };
    who.then(": ").then(Text::foreign(reason)).then(".")
}

fn banners(report: &Report) -> Vec<Text> {
    let mut banners = Vec::new();
    if report.sandbox {
        let speed = number(report.speed);
        banners.push(Text::own(format!(
            "Sandbox, runbook time ×{speed}: its evidence counts in the sandbox only."
        )));
    }
    if report.rehearsal {
        banners.push(Text::own("Rehearsal, on the scratch side."));
    }
    let unreadable = report.unreadable.iter();
    banners.extend(unreadable.map(|why| Text::foreign(why).then(".")));
    banners
}

fn figures(report: &Report) -> Vec<Figure> {
    let figure = |label, value, against: Text| Figure {
        label,
        value,
        against,
    };
    let opened = report.opened.format("from %Y-%m-%d %H:%M:%S");
    let last = report.last.format("to %Y-%m-%d %H:%M:%S UTC");
    let when = format!("{opened} {last}");
    let took = match report.result {
        // Nothing may have happened for a long time.
        Outcome::Open | Outcome::RollingBack => "Up to its last event",
        Outcome::Completed | Outcome::RolledBack | Outcome::NoGo => "Took",
    };
    let mut figures = vec![figure(took, span(report.seconds), when.into())];
    for line in &report.plan {
        let label = match line.limit {
            Limit::Freeze => "Writes were frozen for",
            Limit::Verification => "Verified after",
            Limit::Rollback => "On SQLite again after",
            Limit::FirstUndo | Limit::RehearsedRollback => continue,
        };
        let Some(actual) = line.actual_seconds else {
            continue;
        };
        let kept = match line.kept {
            Some(true) => "✓ within",
            Some(false) | None => "✗ beyond",
        };
        let planned = span(line.planned_seconds);
        figures.push(figure(
            label,
            span(actual),
            format!("{kept} the agreed {planned}").into(),
        ));
    }
    let green = report.gates.iter().filter(|g| g.green).count();
    let gates = format!("{green} of {}", report.gates.len());
    let when = match report.result {
        Outcome::Open | Outcome::RollingBack => "green so far",
        Outcome::Completed | Outcome::RolledBack | Outcome::NoGo => "green at the end",
    };
    figures.push(figure("Gates", gates, when.into()));
    let score = format!("{} of 100", report.confidence.score);
    let critical = report.confidence.critical.as_deref();
    let against = critical.map_or_else(
        || Text::own("points of evidence"),
        |why| Text::foreign(&printable(why, REASON_CHARS)),
    );
    figures.push(figure("Confidence", score, against));
    figures
}

fn foot(report: &Report) -> Vec<Text> {
    let runbook = Text::own("Runbook ").then(Span::Hash(report.runbook_hash.clone()));
    let events = report.chain.entries;
    let journal = Text::own(format!("Journal: {events} events, chain verified, head "));
    let journal = journal.then(Span::Hash(report.chain.head.clone()));
    let by = Text::own(concat!(
        "Written by cutover ",
        env!("CARGO_PKG_VERSION"),
        " from the session’s folder alone. "
    ));
    let check = by.then(Span::Code("cutover report --verify".to_owned()));
    vec![
        Text::lines([runbook, journal]),
        check.then(" checks the folder that this page lies in."),
    ]
}

/// Seconds as people read them.
fn span(seconds: f64) -> String {
    let whole = seconds.round() as i64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=119 => format!("{whole} s"),
        _ if whole < 7_200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// The same; less than one in milliseconds.
fn short_span(seconds: f64) -> String {
    match seconds {
        s if s < 0.95 => format!("{:.0} ms", s * 1_000.0),
        s => span(s),
    }
}

/// A moment of the session.
pub(super) fn after(at_ms: i64) -> String {
    format!("+{}", format::span(at_ms))
}

fn number(value: f64) -> String {
    let digits = if value.abs() < 1.0 { 4 } else { 1 };
    let text = format!("{value:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() {
        "0".into()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_numbers_as_people_read_them() {
        assert_eq!(span(0.25), "0.2 s");
        assert_eq!(span(95.0), "95 s");
        assert_eq!(span(600.0), "10 min 0 s");
        assert_eq!(span(7_260.0), "2 h 1 min");
        assert_eq!(number(0.0125), "0.0125");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(52.0), "52");
        assert_eq!(number(300.0), "300");
    }
}
