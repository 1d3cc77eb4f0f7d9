//! The section of the gates: who signed what, when, and on which evidence.

use super::super::{Block, Span, Text, Tone, after};
use super::{heading, or_dash, table};
use crate::report::evidence::{GateReport, SignatureReport};
use crate::session::EvidenceState;

pub(super) fn gates(gates: &[GateReport]) -> Vec<Block> {
    let lines = gates.iter().map(|gate| {
        let evidence = gate.evidence.iter().map(|e| {
            let state = match e.state {
                EvidenceState::Green => Text::state(Tone::Good, Some('✓'), "green"),
                EvidenceState::Red => Text::state(Tone::Bad, Some('✗'), "red"),
                EvidenceState::Missing => Text::state(Tone::Warn, Some('○'), "missing"),
            };
            let of = state.then(" ").then(Text::foreign(&e.name));
            of.then(": ").then(Text::foreign(&e.detail))
        });
        let signed = gate.signatures.iter().filter(|s| s.valid);
        let signed = signed.map(|s| Text::foreign(&s.by).then(format!(" as {}", s.role.title())));
        vec![
            gate.id.clone().into(),
            Text::foreign(&gate.title),
            gate.before.clone().into(),
            match gate.green {
                true => Text::state(Tone::Good, Some('✓'), "green"),
                false => Text::state(Tone::Bad, Some('○'), "open"),
            },
            Text::lines(evidence),
            Text::lines(signed),
        ]
    });
    const COLUMNS: &[&str] = &["gate", "what", "before", "state", "evidence", "signed by"];
    const SIGNATURES: &[&str] = &[
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
    let given = gates
        .iter()
        .flat_map(|gate| gate.signatures.iter().map(|s| signature(gate, s)));
    vec![
        table(COLUMNS, lines, "The runbook has no gates."),
        heading("Every signature"),
        table(SIGNATURES, given, "Nobody has signed anything."),
    ]
}

fn signature(gate: &GateReport, s: &SignatureReport) -> Vec<Text> {
    let key = s.key.as_ref().map(|key| Span::Code(key.clone()));
    let state = match &s.void {
        None => Text::state(Tone::Good, Some('✓'), "holds"),
        Some(why) => Text::state(Tone::Bad, Some('✗'), "void")
            .then(": ")
            .then(Text::foreign(why)),
    };
    vec![
        gate.id.clone().into(),
        Text::foreign(&s.by),
        s.role.title().into(),
        or_dash(s.stands_in_for.as_deref()),
        key.map_or_else(|| "none".into(), Text::from),
        format!("{} ({})", s.wall.format("%H:%M:%S"), after(s.at_ms)).into(),
        s.seq.to_string().into(),
        state,
        or_dash(s.note.as_deref()),
    ]
}
