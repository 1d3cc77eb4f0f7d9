//! Who signed what, when: the gates, and every signature with whether it holds. Not in here: why one does not (`report::evidence`).

use super::write::{esc, name, table};
use super::{after, word};
use crate::report::evidence::GateReport;
use crate::session::EvidenceState;

/// The gates, and below them every signature.
pub fn draw(gates: &[GateReport]) -> String {
    let lines = gates.iter().map(|gate| {
        let evidence = gate.evidence.iter().map(|e| {
            let state = match e.state {
                EvidenceState::Green => word("good", "✓"),
                EvidenceState::Red => word("bad", "✗ red"),
                EvidenceState::Missing => word("warn", "○ missing"),
            };
            format!("{state} {}: {}", name(&e.name), name(&e.detail))
        });
        let signed = gate.signatures.iter().filter(|s| s.valid);
        let signed = signed.map(|s| format!("{} as {}", name(&s.by), s.role.title()));
        let state = match gate.green {
            true => word("good", "✓ green"),
            false => word("bad", "○ open"),
        };
        vec![
            esc(&gate.id),
            name(&gate.title),
            esc(&gate.before),
            state,
            evidence.collect::<Vec<_>>().join("<br>"),
            signed.collect::<Vec<_>>().join("<br>"),
        ]
    });
    let columns = ["gate", "what", "before", "state", "evidence", "signed by"];
    let mut out = table(&columns, lines, "The runbook has no gates.");
    out.push_str("<h3>Every signature</h3>\n");
    out.push_str(&signatures(gates));
    out
}

fn signatures(gates: &[GateReport]) -> String {
    let given = gates
        .iter()
        .flat_map(|gate| gate.signatures.iter().map(move |s| (gate, s)));
    let lines = given.map(|(gate, s)| {
        let some = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), name);
        let key = s
            .key
            .as_ref()
            .map(|key| format!("<code>{}</code>", esc(key)));
        let holds = match &s.void {
            None => word("good", "✓ holds"),
            Some(why) => format!("{} {}", word("bad", "✗ void:"), name(why)),
        };
        vec![
            esc(&gate.id),
            name(&s.by),
            s.role.title().to_owned(),
            some(&s.stands_in_for),
            key.unwrap_or_else(|| "none".to_owned()),
            format!("{} ({})", s.wall.format("%H:%M:%S"), after(s.at_ms)),
            s.seq.to_string(),
            holds,
            some(&s.note),
        ]
    });
    let columns = [
        "gate",
        "who",
        "as",
        "in the place of",
        "SSH key",
        "when",
        "#event",
        "state",
        "said",
    ];
    table(&columns, lines, "Nobody has signed anything.")
}
