//! The sections of a page, from a report: which there are, in which order, and what stands in each. Not in here: what lies along time
//! (`pictures`), and how anything is written down.

mod rollback;
mod signatures;

use self::rollback::rolled_back;
use self::signatures::gates;
use super::{Block, Section, Span, Table, Text, Tone, after, pictures, short_span, span};
use crate::format;
use crate::report::{Report, RowReport, RowStatus, Section as Part};
use crate::session::TriggerPhase;
use crate::trigger::wording;

pub(super) fn of(report: &Report) -> Vec<Section> {
    let mut sections = vec![
        section("timeline", "Timeline", timeline(report)).listed("Timeline"),
        section("signals", "Signals", signals(report)).listed("Signals"),
    ];
    if let Some(rollback) = &report.rollback {
        sections.push(section("rollback", "Rollback", rolled_back(rollback)).listed("Rollback"));
    }
    sections.extend([
        section("parity", "Parity per table", parity(report)).listed("Parity"),
        section("gates", "Who signed what, when", gates(&report.gates)).listed("Signatures"),
        section("plan", "Planned and actual", plan(report)).listed("Plan"),
        section("steps", "Steps", vec![rows(report, Part::Step)]).listed("Steps"),
        section("triggers", "Triggers", triggers(report)).listed("Triggers"),
        section(
            "monitoring",
            "Monitoring checklist",
            vec![checklist(report)],
        ),
        section("confidence", "Confidence (X1)", confidence(report)).listed("Confidence"),
        section("people", "People", vec![people(report)]),
        section(
            "checks",
            "Parity, verification and other checks",
            vec![checks(report)],
        ),
        section("kept", "Kept", vec![kept(report)]),
        section("events", "Every event", vec![events(report)]).listed("Events"),
    ]);
    sections
}

fn section(id: &'static str, title: &'static str, blocks: Vec<Block>) -> Section {
    Section {
        id,
        title,
        short: None,
        blocks,
    }
}

impl Section {
    fn listed(mut self, short: &'static str) -> Section {
        self.short = Some(short);
        self
    }
}

fn table(
    columns: &'static [&'static str],
    lines: impl IntoIterator<Item = Vec<Text>>,
    otherwise: &'static str,
) -> Block {
    Block::Table(Table {
        columns,
        lines: lines.into_iter().collect(),
        otherwise,
    })
}

fn heading(words: &'static str) -> Block {
    Block::Heading(words.into())
}

fn or_dash(text: Option<&str>) -> Text {
    text.map_or_else(|| "–".into(), Text::foreign)
}

fn timeline(report: &Report) -> Vec<Block> {
    vec![
        Block::Night(pictures::night(report)),
        Block::Key(pictures::NIGHT_KEY),
    ]
}

fn signals(report: &Report) -> Vec<Block> {
    let mut blocks = vec![
        Block::Key(pictures::CURVE_KEY),
        Block::Note("Samples lie beside the chain; they are kept, not chained."),
    ];
    let curves = report.charts.iter().map(pictures::curve);
    blocks.extend(curves.map(Block::Curve));
    let lines = report.signals.iter().map(|s| {
        let value = |v: Option<f64>| -> Text {
            v.map_or_else(String::new, |v| wording::value(&s.signal, v))
                .into()
        };
        vec![
            Text::foreign(&s.signal),
            value(s.baseline),
            s.samples.to_string().into(),
            s.no_data.to_string().into(),
            value(s.min),
            value(s.max),
            value(s.last),
        ]
    });
    const COLUMNS: &[&str] = &[
        "signal",
        "#baseline",
        "#samples",
        "#no data",
        "#least",
        "#most",
        "#last",
    ];
    blocks.push(heading("All that triggers and checklist judge"));
    blocks.push(table(COLUMNS, lines, "Nothing is judged."));
    blocks
}

fn parity(report: &Report) -> Vec<Block> {
    let count = |n: Option<u64>| -> Text { n.map_or_else(String::new, format::count).into() };
    let lines = report.tables.iter().map(|t| {
        let state = match (t.equal_rows, t.different_rows) {
            (Some(_), Some(0)) => Text::state(Tone::Good, Some('✓'), "all equal"),
            (_, Some(_)) => Text::state(Tone::Bad, Some('✗'), "differs"),
            (_, None) => Text::state(Tone::Quiet, None, "not compared"),
        };
        vec![
            Text::foreign(&t.table),
            count(t.backup_rows),
            count(t.imported_rows),
            count(t.equal_rows),
            count(t.different_rows),
            state,
        ]
    });
    const COLUMNS: &[&str] = &[
        "table",
        "#in the backup",
        "#imported",
        "#equal",
        "#different",
        "comparison",
    ];
    vec![
        table(COLUMNS, lines, "Nothing was compared."),
        Block::Note(
            "Every row and every value is compared; the counts of the comparison lie beside the chain, its outcome (E1–E4) in it.",
        ),
    ]
}

fn plan(report: &Report) -> Vec<Block> {
    let limits = report.plan.iter().map(|line| {
        let kept = match line.kept {
            Some(true) => Text::state(Tone::Good, Some('✓'), "kept"),
            Some(false) => Text::state(Tone::Bad, Some('✗'), "not kept"),
            None => Text::state(Tone::Quiet, None, "did not happen"),
        };
        vec![
            line.what.into(),
            span(line.planned_seconds).into(),
            line.actual_seconds.map(span).unwrap_or_default().into(),
            kept,
        ]
    });
    let rows = report.rows.iter().filter_map(|row| {
        let (took, rehearsed) = (row.seconds?, row.rehearsed_seconds?);
        let longer = took - rehearsed;
        let sign = if longer < 0.0 { "−" } else { "+" };
        Some(vec![
            row.id.clone().into(),
            Text::foreign(&row.title),
            short_span(rehearsed).into(),
            short_span(took).into(),
            format!("{sign}{}", short_span(longer.abs())).into(),
        ])
    });
    const COLUMNS: &[&str] = &["row", "what", "#in the rehearsal", "#took", "#difference"];
    let nothing = "No rehearsal that kept the times of its rows counted here.";
    vec![
        table(&["what", "#agreed", "#took", "state"], limits, "None."),
        heading("Each row against its rehearsal"),
        table(COLUMNS, rows, nothing),
    ]
}

const ROW_COLUMNS: &[&str] = &["row", "what", "state", "by", "#at", "#took", "result"];

fn row(row: &RowReport) -> Vec<Text> {
    let by = row.by.iter().fold(Text::default(), |all, by| {
        let comma = if all.0.is_empty() { "" } else { ", " };
        all.then(comma).then(Text::foreign(by))
    });
    vec![
        row.id.clone().into(),
        Text::foreign(&row.title),
        status(row.status),
        by,
        row.started_ms.map(after).unwrap_or_default().into(),
        row.seconds.map(short_span).unwrap_or_default().into(),
        Text::foreign(&row.summary),
    ]
}

fn of_part(report: &Report, part: Part) -> impl Iterator<Item = &RowReport> {
    report.rows.iter().filter(move |row| row.section == part)
}

fn rows(report: &Report, part: Part) -> Block {
    table(ROW_COLUMNS, of_part(report, part).map(row), "None.")
}

/// What nobody does and nothing times.
fn seen(row: &RowReport) -> Vec<Text> {
    vec![
        row.id.clone().into(),
        Text::foreign(&row.title),
        status(row.status),
        Text::foreign(&row.summary),
    ]
}

fn checklist(report: &Report) -> Block {
    let items = of_part(report, Part::Monitoring).map(seen);
    table(&["row", "what", "state", "seen"], items, "None.")
}

fn triggers(report: &Report) -> Vec<Block> {
    let rows = of_part(report, Part::Trigger).map(seen);
    let moves = report.triggers.iter().flat_map(|trigger| {
        trigger.moves.iter().map(|step| {
            let to = match step.to {
                TriggerPhase::Clear => RowStatus::Clear,
                TriggerPhase::Burning => RowStatus::Burning,
                TriggerPhase::Blind => RowStatus::Blind,
                TriggerPhase::Fired => RowStatus::Fired,
            };
            vec![
                Text::foreign(&trigger.id),
                after(step.at_ms).into(),
                status(to),
                Text::foreign(&step.reason),
            ]
        })
    });
    const COLUMNS: &[&str] = &["trigger", "what", "state", "because"];
    const MOVES: &[&str] = &["trigger", "#at", "became", "because"];
    vec![
        table(COLUMNS, rows, "The runbook has no triggers."),
        heading("Every move"),
        table(MOVES, moves, "No trigger moved."),
    ]
}

fn status(status: RowStatus) -> Text {
    let (tone, glyph, word) = match status {
        RowStatus::Pending => (Tone::Quiet, None, "pending"),
        RowStatus::Running => (Tone::Warn, Some('…'), "running"),
        RowStatus::Done => (Tone::Good, Some('✓'), "done"),
        RowStatus::Failed => (Tone::Bad, Some('✗'), "failed"),
        RowStatus::Skipped => (Tone::Warn, Some('–'), "skipped"),
        RowStatus::Unknown => (Tone::Bad, Some('?'), "unknown"),
        RowStatus::Green => (Tone::Good, Some('✓'), "green"),
        RowStatus::Red => (Tone::Bad, Some('✗'), "red"),
        RowStatus::Open => (Tone::Warn, Some('○'), "open"),
        RowStatus::Clear => (Tone::Good, Some('✓'), "clear"),
        RowStatus::Burning => (Tone::Warn, Some('!'), "burning"),
        RowStatus::Blind => (Tone::Warn, Some('?'), "blind"),
        RowStatus::Fired => (Tone::Bad, Some('✗'), "fired"),
        RowStatus::NotJudged => (Tone::Quiet, None, "not judged"),
        RowStatus::NotNeeded => (Tone::Quiet, None, "not needed"),
    };
    Text::state(tone, glyph, word)
}

fn confidence(report: &Report) -> Vec<Block> {
    let x1 = &report.confidence;
    let mut told = Text::from(Span::Strong(format!("{} of 100.", x1.score).into()));
    if let Some(critical) = &x1.critical {
        let why = Text::foreign(critical);
        told = told
            .then(" It is 0 whatever the parts say: ")
            .then(why)
            .then(".");
    }
    let parts = x1.parts.iter().map(|p| {
        vec![
            p.id.clone().into(),
            format!("{} of {}", p.points, p.of).into(),
            Text::foreign(&p.why),
        ]
    });
    vec![
        Block::Paragraph(told),
        table(&["row", "#points", "from"], parts, "No parts."),
    ]
}

fn people(report: &Report) -> Block {
    let people = report.people.iter().map(|person| {
        let roles: Vec<&str> = person.roles.iter().map(|r| r.title()).collect();
        vec![
            Text::foreign(&person.id),
            Text::foreign(&person.name),
            roles.join(", ").into(),
            person.rows.to_string().into(),
        ]
    });
    const COLUMNS: &[&str] = &["id", "name", "roles", "#rows they had a part in"];
    table(COLUMNS, people, "Nobody.")
}

fn checks(report: &Report) -> Block {
    let lines = report.checks.iter().map(|check| {
        let state = match check.ok {
            true => Text::state(Tone::Good, Some('✓'), "holds"),
            false => Text::state(Tone::Bad, Some('✗'), "does not"),
        };
        vec![
            check.step.clone().into(),
            Text::foreign(&check.check),
            state,
            Text::foreign(&check.detail),
        ]
    });
    table(
        &["step", "check", "state", "detail"],
        lines,
        "Nothing was checked.",
    )
}

fn kept(report: &Report) -> Block {
    let lines = report.artefacts.iter().map(|artefact| {
        vec![
            Text::foreign(&artefact.name),
            Text::foreign(&artefact.kind),
            format::count(artefact.full_size_bytes).into(),
            Span::Hash(artefact.sha256.to_string()).into(),
        ]
    });
    table(
        &["name", "kind", "#bytes", "SHA-256"],
        lines,
        "Nothing was kept.",
    )
}

fn events(report: &Report) -> Block {
    let lines = report.timeline.iter().map(|line| {
        vec![
            line.seq.to_string().into(),
            line.wall.format("%H:%M:%S%.3f").to_string().into(),
            after(line.at_ms).into(),
            Text::foreign(&line.text),
        ]
    });
    table(&["#event", "UTC", "#at", "what happened"], lines, "None.")
}
