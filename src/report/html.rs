//! The report as one page that people want to read: verdict, pictures, tables. Self-contained: no network, no script; light, dark and
//! on paper; and no meaning hangs on colour alone.
//!
//! - [`write`]: the one way for foreign text into it.
//! - [`timeline`], [`chart`]: the pictures; [`axis`]: what they share. [`gates`]: who signed.
//!
//! Not in here: what it tells (`report`).

mod axis;
mod chart;
mod gates;
mod timeline;
mod write;

use std::fmt::Write as _;

use self::write::{esc, name, section, table};
use super::evidence::RollbackReport;
use super::markdown::{maybe_span, number, span};
use super::{Outcome, Report, RowReport, RowStatus, Section};
use crate::session::{RollbackCause, TriggerPhase};
use crate::trigger::wording;

const STYLE: &str = include_str!("html/style.css");
/// A browser that holds to it loads nothing and runs nothing, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole page.
pub fn render(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"generator\" content=\"cutover {}\">\n\
         <title>Cutover {}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        env!("CARGO_PKG_VERSION"),
        esc(&report.session),
        verdict(report).1
    );
    head(report, &mut out);
    section("timeline", "Timeline", &timeline::draw(report), &mut out);
    section("signals", "Signals", &charts(report), &mut out);
    if let Some(rollback) = &report.rollback {
        section("rollback", "Rollback", &rolled_back(rollback), &mut out);
    }
    section("parity", "Parity per table", &parity(report), &mut out);
    section(
        "gates",
        "Who signed what, when",
        &gates::draw(&report.gates),
        &mut out,
    );
    section("plan", "Planned and actual", &plan(report), &mut out);
    section(
        "steps",
        "Steps",
        &rows(report, Section::Step, &ROW_COLUMNS),
        &mut out,
    );
    section("triggers", "Triggers", &triggers(report), &mut out);
    let checklist = rows(report, Section::Monitoring, &SEEN_COLUMNS);
    section("monitoring", "Monitoring checklist", &checklist, &mut out);
    section("confidence", "Confidence", &confidence(report), &mut out);
    section("people", "People", &people(report), &mut out);
    section(
        "checks",
        "Parity, verification and other checks",
        &checks(report),
        &mut out,
    );
    section("kept", "Kept", &kept(report), &mut out);
    section("events", "Every event", &events(report), &mut out);
    foot(report, &mut out);
    out.push_str("</body>\n</html>\n");
    out
}

/// Its colour's class, the word, and a sentence.
fn verdict(report: &Report) -> (&'static str, &'static str, &'static str) {
    match report.result {
        Outcome::Completed => (
            "good",
            "✓ Completed",
            "The release is complete: the application runs on PostgreSQL.",
        ),
        Outcome::RolledBack => {
            let healthy = report.rollback.as_ref().and_then(|r| r.healthy);
            match healthy {
                Some(false) => (
                    "bad",
                    "✗ Rolled back, not healthy",
                    "A row of the rollback that the RTO covers failed: see below, and act on it.",
                ),
                _ => (
                    "warn",
                    "↩ Rolled back",
                    "The application runs on SQLite, as before the night.",
                ),
            }
        }
        Outcome::NoGo => {
            let healthy = report.rollback.as_ref().and_then(|r| r.healthy);
            match healthy {
                Some(false) => (
                    "bad",
                    "✗ No-go, not healthy",
                    "It ended before anything touched PostgreSQL, and nobody has seen that the application runs on SQLite: see below.",
                ),
                _ => (
                    "warn",
                    "– No-go",
                    "It ended before anything touched PostgreSQL: the application runs on SQLite.",
                ),
            }
        }
        Outcome::Open => (
            "open",
            "… Not over",
            "This tells how it stood at the last event.",
        ),
        Outcome::RollingBack => (
            "open",
            "… Not over: the rollback runs",
            "This tells how it stood at the last event.",
        ),
    }
}

fn head(report: &Report, out: &mut String) {
    let (class, word, sentence) = verdict(report);
    let _ = write!(
        out,
        "<header>\n<h1>Cutover {}</h1>\n",
        name(&report.session)
    );
    if report.sandbox {
        let speed = number(Some(report.speed));
        let _ = writeln!(
            out,
            "<p class=\"banner\">Sandbox, runbook time ×{speed}: its evidence counts in the sandbox only.</p>"
        );
    }
    if report.rehearsal {
        out.push_str("<p class=\"banner\">Rehearsal, on the scratch side.</p>\n");
    }
    let _ = write!(
        out,
        "<div class=\"verdict {class}\"><strong>{word}</strong>{sentence}"
    );
    if let Some(rollback) = &report.rollback {
        let _ = write!(out, " {}", cause(rollback));
    }
    out.push_str("</div>\n<dl class=\"facts\">\n");
    for (what, value, more) in facts(report) {
        let _ = writeln!(
            out,
            "<div><dt>{what}</dt><dd>{value}<small>{more}</small></dd></div>"
        );
    }
    out.push_str("</dl>\n<nav>");
    for (id, title) in [
        ("timeline", "Timeline"),
        ("signals", "Signals"),
        ("rollback", "Rollback"),
        ("parity", "Parity"),
        ("gates", "Signatures"),
        ("plan", "Plan"),
        ("steps", "Steps"),
        ("triggers", "Triggers"),
        ("confidence", "Confidence"),
        ("events", "Events"),
    ] {
        if id != "rollback" || report.rollback.is_some() {
            let _ = write!(out, "<a href=\"#{id}\">{title}</a>");
        }
    }
    out.push_str("</nav>\n</header>\n");
}

fn cause(rollback: &RollbackReport) -> String {
    let who = match &rollback.cause {
        RollbackCause::Person { by } => format!("Begun by {}", name(by)),
        RollbackCause::Trigger { trigger } => format!("Begun by trigger {}", name(trigger)),
    };
    format!("{who}: {}.", name(&rollback.reason))
}

/// What is asked first: label, value, and what it is measured against.
fn facts(report: &Report) -> Vec<(&'static str, String, String)> {
    let time = |t: &chrono::DateTime<chrono::Utc>| t.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let mut facts = vec![(
        "Took",
        span(report.seconds),
        format!("from {}", time(&report.opened)),
    )];
    for (what, label) in [
        ("freeze, extensions included", "Writes were frozen for"),
        ("verification after the switch", "Verified after"),
        ("rollback (RTO)", "On SQLite again after"),
    ] {
        let line = report.plan.iter().find(|line| line.what == what);
        let Some((line, actual)) = line.and_then(|l| Some((l, l.actual_seconds?))) else {
            continue;
        };
        let kept = match line.kept {
            Some(true) => "✓ within",
            _ => "✗ beyond",
        };
        let planned = span(line.planned_seconds);
        facts.push((label, span(actual), format!("{kept} the agreed {planned}")));
    }
    let green = report.gates.iter().filter(|g| g.green).count();
    facts.push((
        "Gates",
        format!("{green} of {}", report.gates.len()),
        "green at the end".into(),
    ));
    let score = format!("{} of 100", report.confidence.score);
    let critical = report.confidence.critical.as_deref().map_or_else(
        || "points of evidence".to_owned(),
        |why| write::short(why, 80),
    );
    facts.push(("Confidence", score, critical));
    facts
}

fn charts(report: &Report) -> String {
    let mut out = String::from(
        "<p class=\"muted legend\">Solid: what was measured. Long dashes: a limit, and the rows that hold it. Dots: the baseline. Short strokes at the bottom: no \
         data. Dotted uprights: moments of the night. Samples lie beside the chain; they are kept, not chained.</p>\n",
    );
    for chart in &report.charts {
        out.push_str(&chart::draw(chart, report));
    }
    let lines = report.signals.iter().map(|s| {
        let value = |v: Option<f64>| v.map_or_else(String::new, |v| wording::value(&s.signal, v));
        vec![
            name(&s.signal),
            value(s.baseline),
            s.samples.to_string(),
            s.no_data.to_string(),
            value(s.min),
            value(s.max),
            value(s.last),
        ]
    });
    let columns = [
        "signal",
        "#baseline",
        "#samples",
        "#no data",
        "#least",
        "#most",
        "#last",
    ];
    out.push_str("<h3>All that triggers and checklist judge</h3>\n");
    out.push_str(&table(&columns, lines, "Nothing is judged."));
    out
}

fn rolled_back(rollback: &RollbackReport) -> String {
    let served = match rollback.restored_seconds {
        Some(took) => format!(
            "The application served from SQLite again after <strong>{}</strong>",
            span(took)
        ),
        None => "The application has not been seen to serve from SQLite again".to_owned(),
    };
    let kept = match rollback.within_rto {
        Some(true) => "within",
        Some(false) => "<strong>not within</strong>",
        None => "so far within",
    };
    let rto = span(rollback.rto_seconds);
    let health = match rollback.healthy {
        Some(true) => "Every row that the RTO covers succeeded.",
        Some(false) => "<strong>Not healthy:</strong> a row that the RTO covers failed.",
        None => "It has not ended.",
    };
    let mut out = format!(
        "<p>{} {served}, {kept} the RTO of {rto}. {health}</p>\n",
        cause(rollback)
    );
    out.push_str("<h3>What it cost</h3>\n");
    let lines = rollback.left_behind.iter().map(|t| {
        vec![
            name(&t.table),
            t.inserted.to_string(),
            t.changed.to_string(),
            t.deleted.to_string(),
        ]
    });
    let columns = ["table", "#inserted", "#changed", "#deleted"];
    if let Some(file) = &rollback.salvaged_to {
        let _ = writeln!(
            out,
            "<p>Rows that users wrote to PostgreSQL and that SQLite does not have; they are kept in {}.</p>",
            name(file)
        );
    }
    let nothing = "No rows that users had written to PostgreSQL were found to be kept.";
    out.push_str(&table(&columns, lines, nothing));
    out.push_str("<h3>Its rows</h3>\n");
    let lines = rollback.rows.iter().map(|row| row_cells(row, &ROW_COLUMNS));
    out.push_str(&table(&ROW_COLUMNS, lines, "None has begun."));
    out
}

fn parity(report: &Report) -> String {
    let count = |n: Option<u64>| n.map_or_else(String::new, wording::thousands);
    let lines = report.tables.iter().map(|t| {
        let state = match (t.equal_rows, t.different_rows) {
            (Some(_), Some(0)) => word("good", "✓ all equal"),
            (_, Some(_)) => word("bad", "✗ differs"),
            _ => word("quiet", "not compared"),
        };
        vec![
            name(&t.table),
            count(t.backup_rows),
            count(t.imported_rows),
            count(t.equal_rows),
            count(t.different_rows),
            state,
        ]
    });
    let columns = [
        "table",
        "#in the backup",
        "#imported",
        "#equal",
        "#different",
        "comparison",
    ];
    let mut out = table(&columns, lines, "Nothing was compared.");
    out.push_str(
        "<p class=\"muted legend\">Every row and every value is compared; the counts of the comparison lie beside the chain, its outcome (E1–E4) in it.</p>\n",
    );
    out
}

fn word(class: &str, text: &str) -> String {
    format!("<span class=\"s {class}\">{text}</span>")
}

fn status(status: RowStatus) -> String {
    let (class, text) = match status {
        RowStatus::Pending => ("quiet", "pending"),
        RowStatus::Running => ("warn", "… running"),
        RowStatus::Done => ("good", "✓ done"),
        RowStatus::Failed => ("bad", "✗ failed"),
        RowStatus::Skipped => ("warn", "– skipped"),
        RowStatus::Unknown => ("bad", "? unknown"),
        RowStatus::Green => ("good", "✓ green"),
        RowStatus::Red => ("bad", "✗ red"),
        RowStatus::Open => ("warn", "○ open"),
        RowStatus::Clear => ("good", "✓ clear"),
        RowStatus::Burning => ("warn", "! burning"),
        RowStatus::Blind => ("warn", "? blind"),
        RowStatus::Fired => ("bad", "✗ fired"),
        RowStatus::NotJudged => ("quiet", "not judged"),
        RowStatus::NotNeeded => ("quiet", "not needed"),
    };
    word(class, text)
}

/// Seconds as people read them; less than one in milliseconds.
fn short_span(seconds: f64) -> String {
    match seconds {
        s if s < 0.95 => format!("{:.0} ms", s * 1_000.0),
        s => span(s),
    }
}

fn after(at_ms: i64) -> String {
    format!("+{}", wording::duration(at_ms))
}

const ROW_COLUMNS: [&str; 7] = ["row", "what", "state", "by", "#at", "#took", "result"];

/// The same for what nobody does and nothing times.
const SEEN_COLUMNS: [&str; 4] = ["row", "what", "state", "seen"];

fn row_cells(row: &RowReport, columns: &[&str]) -> Vec<String> {
    let by: Vec<String> = row.by.iter().map(|b| name(b)).collect();
    let mut cells = vec![esc(&row.id), name(&row.title), status(row.status)];
    if columns == ROW_COLUMNS {
        let at = row.started_ms.map(after).unwrap_or_default();
        let took = row.seconds.map(short_span).unwrap_or_default();
        cells.extend([by.join(", "), at, took]);
    }
    cells.push(name(&row.summary));
    cells
}

fn rows(report: &Report, of: Section, columns: &[&str]) -> String {
    let rows = report.rows.iter().filter(|r| r.section == of);
    table(columns, rows.map(|row| row_cells(row, columns)), "None.")
}

fn plan(report: &Report) -> String {
    let limits = report.plan.iter().map(|line| {
        let kept = match line.kept {
            Some(true) => word("good", "✓ kept"),
            Some(false) => word("bad", "✗ not kept"),
            None => word("quiet", "did not happen"),
        };
        vec![
            esc(line.what),
            span(line.planned_seconds),
            maybe_span(line.actual_seconds),
            kept,
        ]
    });
    let mut out = table(&["what", "#agreed", "#took", "state"], limits, "None.");
    out.push_str("<h3>Each row against its rehearsal</h3>\n");
    let rows = report.rows.iter().filter_map(|row| {
        let (took, rehearsed) = (row.seconds?, row.rehearsed_seconds?);
        let longer = took - rehearsed;
        let sign = if longer < 0.0 { "−" } else { "+" };
        Some(vec![
            esc(&row.id),
            name(&row.title),
            short_span(rehearsed),
            short_span(took),
            format!("{sign}{}", short_span(longer.abs())),
        ])
    });
    let columns = ["row", "what", "#in the rehearsal", "#took", "#difference"];
    let nothing = "No rehearsal that kept the times of its rows counted here.";
    out.push_str(&table(&columns, rows, nothing));
    out
}

fn triggers(report: &Report) -> String {
    let rows = report
        .rows
        .iter()
        .filter(|r| r.section == Section::Trigger)
        .map(|row| {
            vec![
                esc(&row.id),
                name(&row.title),
                status(row.status),
                name(&row.summary),
            ]
        });
    let mut out = table(
        &["trigger", "what", "at the end", "because"],
        rows,
        "The runbook has no triggers.",
    );
    out.push_str("<h3>Every move</h3>\n");
    let moves = report.triggers.iter().flat_map(|trigger| {
        trigger.moves.iter().map(|step| {
            let to = match step.to {
                TriggerPhase::Clear => RowStatus::Clear,
                TriggerPhase::Burning => RowStatus::Burning,
                TriggerPhase::Blind => RowStatus::Blind,
                TriggerPhase::Fired => RowStatus::Fired,
            };
            vec![
                name(&trigger.id),
                after(step.at_ms),
                status(to),
                name(&step.reason),
            ]
        })
    });
    let columns = ["trigger", "#at", "became", "because"];
    out.push_str(&table(&columns, moves, "No trigger moved."));
    out
}

fn confidence(report: &Report) -> String {
    let x1 = &report.confidence;
    let mut out = format!("<p><strong>{} of 100.</strong>", x1.score);
    if let Some(critical) = &x1.critical {
        let _ = write!(out, " It is 0 whatever the parts say: {}.", name(critical));
    }
    out.push_str("</p>\n");
    let parts = x1.parts.iter().map(|p| {
        vec![
            esc(&p.id),
            format!("{} of {}", p.points, p.of),
            name(&p.why),
        ]
    });
    out.push_str(&table(&["row", "#points", "from"], parts, "No parts."));
    out
}

fn people(report: &Report) -> String {
    let people = report.people.iter().map(|person| {
        let roles: Vec<&str> = person.roles.iter().map(|r| r.title()).collect();
        vec![
            name(&person.id),
            name(&person.name),
            roles.join(", "),
            person.rows.to_string(),
        ]
    });
    let columns = ["id", "name", "roles", "#rows they had a part in"];
    table(&columns, people, "Nobody.")
}

fn checks(report: &Report) -> String {
    let lines = report.checks.iter().map(|check| {
        let state = match check.ok {
            true => word("good", "✓ holds"),
            false => word("bad", "✗ does not"),
        };
        vec![
            esc(&check.step),
            name(&check.check),
            state,
            name(&check.detail),
        ]
    });
    table(
        &["step", "check", "state", "detail"],
        lines,
        "Nothing was checked.",
    )
}

fn kept(report: &Report) -> String {
    let lines = report.artefacts.iter().map(|artefact| {
        vec![
            name(&artefact.name),
            name(&artefact.kind),
            wording::thousands(artefact.full_size_bytes),
            format!("<span class=\"hash\">{}</span>", artefact.sha256),
        ]
    });
    table(
        &["name", "kind", "#bytes", "SHA-256"],
        lines,
        "Nothing was kept.",
    )
}

fn events(report: &Report) -> String {
    let lines = report.timeline.iter().map(|line| {
        vec![
            line.seq.to_string(),
            line.wall.format("%H:%M:%S%.3f").to_string(),
            after(line.at_ms),
            name(&line.text),
        ]
    });
    table(&["#event", "UTC", "#at", "what happened"], lines, "None.")
}

fn foot(report: &Report, out: &mut String) {
    let _ = write!(
        out,
        "<footer>\n<p>Runbook <span class=\"hash\">{}</span><br>\nJournal: {} events, chain verified, head <span class=\"hash\">{}</span></p>\n\
         <p>Written by cutover {} from the session’s folder alone. <code>cutover report --verify</code> checks the folder that this page \
         lies in.</p>\n</footer>\n",
        esc(&report.runbook_hash),
        report.chain.entries,
        report.chain.head,
        env!("CARGO_PKG_VERSION")
    );
}
