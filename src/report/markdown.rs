//! The report for people, as Markdown. Every text that came from elsewhere is made harmless and cannot be read as markup.

use super::evidence::GateReport;
use super::rows::{RowReport, RowStatus, Section};
use super::{Outcome, Report};
use crate::session::{EvidenceState, RollbackCause};
use crate::text::printable;

/// The longest cell of a table.
const MAX_CELL_CHARS: usize = 300;

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    head(report, &mut out);
    confidence(report, &mut out);
    rollback(report, &mut out);
    plan(report, &mut out);
    rows(report, &mut out);
    gates(&report.gates, &mut out);
    checks(report, &mut out);
    triggers(report, &mut out);
    signals(report, &mut out);
    artefacts(report, &mut out);
    timeline(report, &mut out);
    out
}

/// Foreign text as text: harmless on a terminal, and nothing in it is markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text, MAX_CELL_CHARS).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn heading(title: &str, out: &mut String) {
    out.push_str(&format!("\n## {title}\n\n"));
}

/// A table; cells are Markdown already.
fn table(columns: &[&str], lines: impl IntoIterator<Item = Vec<String>>, out: &mut String) {
    out.push_str(&format!("| {} |\n", columns.join(" | ")));
    out.push_str(&format!("|{}\n", "---|".repeat(columns.len())));
    for line in lines {
        out.push_str(&format!("| {} |\n", line.join(" | ")));
    }
}

/// Seconds as people read them.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.round() as i64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=119 => format!("{whole} s"),
        _ if whole < 7_200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

pub(super) fn maybe_span(seconds: Option<f64>) -> String {
    seconds.map(span).unwrap_or_default()
}

pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| {
        let digits = if v.abs() < 1.0 { 4 } else { 1 };
        let text = format!("{v:.digits$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if text.is_empty() {
            "0".into()
        } else {
            text.to_owned()
        }
    })
}

fn yes(ok: Option<bool>) -> &'static str {
    match ok {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

fn head(report: &Report, out: &mut String) {
    let is_unhealthy = report.rollback.as_ref().and_then(|r| r.healthy) == Some(false);
    let result = match report.result {
        Outcome::RolledBack | Outcome::NoGo if is_unhealthy => {
            "**Rolled back, not healthy**: nobody has seen that the application runs on SQLite again. See the rows that failed."
        }
        Outcome::Completed => "Completed: the application runs on PostgreSQL.",
        Outcome::RolledBack => "Rolled back: the application runs on SQLite.",
        Outcome::NoGo => {
            "No-go: ended before anything touched PostgreSQL; the application runs on SQLite."
        }
        Outcome::Open => "**Not over.** This tells how it stood at the last event.",
        Outcome::RollingBack => {
            "**Not over: the rollback runs.** This tells how it stood at the last event."
        }
    };
    out.push_str(&format!(
        "# Cutover {}\n\n{result}\n\n",
        plain(&report.session)
    ));
    if report.sandbox {
        let speed = number(Some(report.speed));
        out.push_str(&format!(
            "> Sandbox, runbook time ×{speed}. Its evidence counts in the sandbox only.\n\n"
        ));
    }
    if report.rehearsal {
        out.push_str("> Rehearsal, on the scratch side.\n\n");
    }
    let time = |t: &chrono::DateTime<chrono::Utc>| t.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let lines = [
        ("Began", time(&report.opened)),
        ("Last event", time(&report.last)),
        ("Took", span(report.seconds)),
        ("Runbook", format!("`{}`", plain(&report.runbook_hash))),
        (
            "Journal",
            format!(
                "{} entries, chain verified, head `{}`",
                report.chain.entries, report.chain.head
            ),
        ),
    ];
    let lines = lines.map(|(what, value)| vec![what.to_owned(), value]);
    table(&["", ""], lines, out);
    heading("People", out);
    let people = report.people.iter().map(|person| {
        let roles: Vec<&str> = person.roles.iter().map(|r| r.title()).collect();
        vec![
            plain(&person.id),
            plain(&person.name),
            roles.join(", "),
            person.rows.to_string(),
        ]
    });
    table(
        &["id", "name", "roles", "rows they had a part in"],
        people,
        out,
    );
}

fn confidence(report: &Report, out: &mut String) {
    heading("Confidence (X1)", out);
    let x1 = &report.confidence;
    out.push_str(&format!("**{} of 100.**", x1.score));
    if let Some(critical) = &x1.critical {
        out.push_str(&format!(
            " It is 0 whatever the parts say: {}.",
            plain(critical)
        ));
    }
    out.push_str("\n\n");
    let parts = x1.parts.iter();
    let parts = parts.map(|p| {
        vec![
            plain(&p.id),
            format!("{} of {}", p.points, p.of),
            plain(&p.why),
        ]
    });
    table(&["row", "points", "from"], parts, out);
}

fn rollback(report: &Report, out: &mut String) {
    let Some(rollback) = &report.rollback else {
        return;
    };
    heading("Rollback", out);
    let cause = match &rollback.cause {
        RollbackCause::Person { by } => format!("Begun by {}", plain(by)),
        RollbackCause::Trigger { trigger } => format!("Begun by trigger {}", plain(trigger)),
    };
    out.push_str(&format!("{cause}: {}.\n\n", plain(&rollback.reason)));
    let served = match rollback.restored_seconds {
        Some(took) => format!(
            "The application served from SQLite again after {}",
            span(took)
        ),
        None => "The application has not been seen to serve from SQLite again".to_owned(),
    };
    let kept = match rollback.within_rto {
        Some(true) => "within",
        Some(false) => "**not within**",
        None => "so far within",
    };
    let rto = span(rollback.rto_seconds);
    out.push_str(&format!("{served}, {kept} the RTO of {rto}. "));
    out.push_str(match rollback.healthy {
        Some(true) => "Every row that the RTO covers succeeded.\n\n",
        Some(false) => "**Not healthy:** a row that the RTO covers failed.\n\n",
        None => "It has not ended.\n\n",
    });
    table(&ROW_COLUMNS, rollback.rows.iter().map(row), out);
}

fn plan(report: &Report, out: &mut String) {
    heading("Planned and actual", out);
    let lines = report.plan.iter().map(|line| {
        vec![
            line.what.to_owned(),
            span(line.planned_seconds),
            maybe_span(line.actual_seconds),
            yes(line.kept).to_owned(),
        ]
    });
    table(&["what", "agreed", "took", "kept"], lines, out);
}

const ROW_COLUMNS: [&str; 7] = ["row", "what", "status", "by", "at", "took", "result"];

fn row(row: &RowReport) -> Vec<String> {
    let by: Vec<String> = row.by.iter().map(|b| plain(b)).collect();
    let at = row
        .started_ms
        .map(|ms| format!("+{}", span(ms as f64 / 1_000.0)));
    vec![
        plain(&row.id),
        plain(&row.title),
        status(row.status).to_owned(),
        by.join(", "),
        at.unwrap_or_default(),
        maybe_span(row.seconds),
        plain(&row.summary),
    ]
}

fn status(status: RowStatus) -> &'static str {
    match status {
        RowStatus::Pending => "pending",
        RowStatus::Running => "running",
        RowStatus::Done => "done",
        RowStatus::Failed => "**failed**",
        RowStatus::Skipped => "skipped",
        RowStatus::Unknown => "**unknown**",
        RowStatus::Green => "green",
        RowStatus::Red => "**red**",
        RowStatus::Open => "open",
        RowStatus::Clear => "clear",
        RowStatus::Burning => "burning",
        RowStatus::Blind => "blind",
        RowStatus::Fired => "**fired**",
        RowStatus::NotJudged => "not judged",
        RowStatus::NotNeeded => "not needed",
    }
}

fn rows(report: &Report, out: &mut String) {
    let sections = [
        (Section::Step, "Steps"),
        (Section::Trigger, "Triggers"),
        (Section::Monitoring, "Monitoring checklist"),
    ];
    for (section, title) in sections {
        heading(title, out);
        let rows = report.rows.iter().filter(|r| r.section == section);
        table(&ROW_COLUMNS, rows.map(row), out);
    }
}

fn gates(gates: &[GateReport], out: &mut String) {
    heading("Gates", out);
    let lines = gates.iter().map(|gate| {
        let evidence = gate.evidence.iter().map(|e| {
            let state = match e.state {
                EvidenceState::Green => "green",
                EvidenceState::Red => "**red**",
                EvidenceState::Missing => "missing",
            };
            format!("{} {state}: {}", plain(&e.name), plain(&e.detail))
        });
        let signed = gate.signatures.iter().filter(|s| s.valid);
        let signed = signed.map(|s| format!("{} as {}", plain(&s.by), s.role.title()));
        vec![
            plain(&gate.id),
            plain(&gate.title),
            plain(&gate.before),
            if gate.green { "green" } else { "**open**" }.to_owned(),
            evidence.collect::<Vec<_>>().join("<br>"),
            signed.collect::<Vec<_>>().join("<br>"),
        ]
    });
    let columns = ["gate", "what", "before", "state", "evidence", "signatures"];
    table(&columns, lines, out);
    signatures(gates, out);
}

fn signatures(gates: &[GateReport], out: &mut String) {
    heading("Every signature", out);
    let given = gates
        .iter()
        .flat_map(|gate| gate.signatures.iter().map(move |s| (gate, s)));
    let lines = given.map(|(gate, s)| {
        let some = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), plain);
        vec![
            plain(&gate.id),
            plain(&s.by),
            s.role.title().to_owned(),
            some(&s.stands_in_for),
            s.key.as_deref().map_or_else(|| "none".to_owned(), plain),
            s.wall.format("%H:%M:%S").to_string(),
            s.seq.to_string(),
            s.void.as_deref().map_or_else(
                || "holds".to_owned(),
                |why| format!("**void**: {}", plain(why)),
            ),
            some(&s.note),
        ]
    });
    let columns = [
        "gate",
        "who",
        "as",
        "in the place of",
        "SSH key",
        "at",
        "event",
        "state",
        "said",
    ];
    table(&columns, lines, out);
}

fn checks(report: &Report, out: &mut String) {
    heading("Parity, verification and other checks", out);
    let lines = report.checks.iter().map(|check| {
        vec![
            plain(&check.step),
            plain(&check.check),
            yes(Some(check.ok)).to_owned(),
            plain(&check.detail),
        ]
    });
    table(&["step", "check", "holds", "detail"], lines, out);
}

fn triggers(report: &Report, out: &mut String) {
    heading("What the triggers did", out);
    let lines = report.triggers.iter().flat_map(|trigger| {
        trigger.moves.iter().map(|step| {
            let to = format!("{:?}", step.to).to_lowercase();
            let at = format!("+{}", span(step.at_ms as f64 / 1_000.0));
            vec![plain(&trigger.id), at, to, plain(&step.reason)]
        })
    });
    table(&["trigger", "at", "became", "because"], lines, out);
}

fn signals(report: &Report, out: &mut String) {
    heading("Signals", out);
    out.push_str("Samples lie beside the chain; they are kept, not chained.\n\n");
    let lines = report.signals.iter().map(|s| {
        vec![
            plain(&s.signal),
            number(s.baseline),
            s.samples.to_string(),
            s.no_data.to_string(),
            number(s.min),
            number(s.max),
            number(s.last),
        ]
    });
    let columns = [
        "signal", "baseline", "samples", "no data", "least", "most", "last",
    ];
    table(&columns, lines, out);
}

fn artefacts(report: &Report, out: &mut String) {
    heading("Kept", out);
    let lines = report.artefacts.iter().map(|artefact| {
        vec![
            plain(&artefact.name),
            plain(&artefact.kind),
            artefact.full_size_bytes.to_string(),
            format!("`{}`", artefact.sha256),
        ]
    });
    table(&["name", "kind", "bytes", "SHA-256"], lines, out);
}

fn timeline(report: &Report, out: &mut String) {
    heading("Timeline", out);
    let lines = report.timeline.iter().map(|line| {
        vec![
            line.seq.to_string(),
            line.wall.format("%H:%M:%S%.3f").to_string(),
            plain(&line.text),
        ]
    });
    table(&["entry", "UTC", "what happened"], lines, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_is_markup() {
        let hostile = "<script>|\n# *x* [a](javascript:1) `c` \u{1b}[31m ![i](http://e/) &lt;";
        let text = plain(hostile);
        assert!(
            !text.contains('<') && !text.contains('\n') && !text.contains('\u{1b}'),
            "{text}"
        );
        for mark in ["|", "#", "*", "[", "]", "`", "!"] {
            for (at, _) in text.match_indices(mark) {
                assert!(text[..at].ends_with('\\'), "{mark} at {at} of {text}");
            }
        }
    }

    #[test]
    fn spans_and_numbers_as_people_read_them() {
        assert_eq!(span(0.25), "0.2 s");
        assert_eq!(span(95.0), "95 s");
        assert_eq!(span(600.0), "10 min 0 s");
        assert_eq!(span(7_260.0), "2 h 1 min");
        assert_eq!(number(Some(0.0125)), "0.0125");
        assert_eq!(number(Some(0.0)), "0");
        assert_eq!(number(Some(52.0)), "52");
        assert_eq!(number(Some(300.0)), "300");
    }
}
