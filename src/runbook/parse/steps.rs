//! Steps, gates and the rollback list.

use super::super::action::Effect;
use super::super::keys;
use super::super::kinds::Word;
use super::super::model::{
    EvidenceRef, Gate, MAINTENANCE_STATUS, Migration, Place, RehearsalPart, Role, RollbackKind,
    RollbackRow, RollbackWord, Start, Step, StepKind, StepWord, SwitchHow,
};
use super::super::reader::{Fields, Item, Reader};
use super::super::tree::{Node, Value};
use super::{actions, role};

pub(super) fn step(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Step> {
    const STARTS: [(&str, Start); 2] = [("person", Start::Person), ("auto", Start::Auto)];
    let (fields, kind) = of_kind::<StepWord>(reader, item, keys::STEP)?;
    let kind = kind.and_then(|kind| step_kind(reader, &fields, kind));
    let step = Step {
        id: reader.need(&fields, "id", Reader::id).unwrap_or_default(),
        title: reader
            .need(&fields, "title", Reader::text)
            .unwrap_or_default(),
        // In the place of one that was not understood, which has been reported.
        kind: kind.unwrap_or(StepKind::TargetCheck),
        start: reader
            .want(&fields, "start", |r, i| r.one_of(i, &STARTS))
            .unwrap_or(Start::Person),
        attempts: reader
            .want(&fields, "attempts", |r, i| r.small(i, 1..=20))
            .unwrap_or(1),
        may_skip: reader
            .want(&fields, "may_skip", Reader::boolean)
            .unwrap_or(false),
        needs: reader
            .want(&fields, "needs", |r, i| r.list(i, Reader::text))
            .unwrap_or_default(),
    };
    Some(step)
}

/// A map whose `kind` decides its keys; `None` beside it where the kind is wrong, and then any kind's key passes.
pub(super) fn of_kind<'n, W: Word>(
    reader: &mut Reader<'_>,
    item: &Item<'n>,
    common: &[&str],
) -> Option<(Fields<'n>, Option<W>)> {
    of_kind_or(reader, item, common, None)
}

/// The same, where the kind need not be written if it is this one.
pub(super) fn of_kind_or<'n, W: Word>(
    reader: &mut Reader<'_>,
    item: &Item<'n>,
    common: &[&str],
    unwritten: Option<W>,
) -> Option<(Fields<'n>, Option<W>)> {
    let words: Vec<(&str, W)> = W::iter().map(|kind| (kind.word(), kind)).collect();
    let written = written_kind(item.node).or(unwritten.map(Word::word));
    let known = words.iter().find(|(word, _)| Some(*word) == written);
    let mut allowed = common.to_vec();
    match known {
        Some((_, kind)) => allowed.extend(kind.own_keys()),
        None => W::iter().for_each(|kind| allowed.extend(kind.own_keys())),
    }
    let fields = reader.fields(item, &allowed)?;
    let kind = match unwritten.filter(|_| !fields.has("kind")) {
        Some(kind) => Some(kind),
        None => reader.need(&fields, "kind", |r, i| r.one_of(i, &words)),
    };
    Some((fields, kind))
}

fn written_kind(node: &Node) -> Option<&str> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    match &entries.iter().find(|(key, _)| key.text == "kind")?.1.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

fn step_kind(reader: &mut Reader<'_>, fields: &Fields<'_>, kind: StepWord) -> Option<StepKind> {
    Some(match kind {
        StepWord::Announce => StepKind::Announce {
            text: reader.need(fields, "text", Reader::text)?,
            webhook: reader.want(fields, "webhook", actions::url),
        },
        StepWord::Confirm => StepKind::Confirm {
            roles: reader.need(fields, "roles", roles)?,
        },
        StepWord::Baseline => StepKind::Baseline {
            window_ms: reader.need(fields, "window", Reader::positive_duration)?,
        },
        StepWord::Freeze => {
            let on = reader.need(fields, "on", actions::action);
            let off = reader.need(fields, "off", actions::action);
            let quiet_ms = reader.want(fields, "quiet", Reader::positive_duration);
            let status = reader.want(fields, "status", |r, i| r.small(i, 400..=599));
            StepKind::Freeze {
                on: on?,
                off: off?,
                quiet_ms: quiet_ms.unwrap_or(5_000),
                status: status
                    .and_then(|s| u16::try_from(s).ok())
                    .unwrap_or(MAINTENANCE_STATUS),
            }
        }
        StepWord::Backup => {
            let to = reader.need(fields, "to", Reader::path);
            let keep_ms = reader.need(fields, "keep", Reader::positive_duration);
            StepKind::Backup {
                to: to?,
                keep_ms: keep_ms?,
            }
        }
        StepWord::StoreBackup => {
            let place = reader.need(fields, "place", place);
            let keep_ms = reader.need(fields, "keep", Reader::positive_duration);
            StepKind::StoreBackup {
                place: place?,
                keep_ms: keep_ms?,
            }
        }
        StepWord::RestoreDrill => StepKind::RestoreDrill {
            queries: reader
                .want(fields, "queries", |r, i| r.list(i, Reader::text))
                .unwrap_or_default(),
        },
        StepWord::Migrate => migrate(reader, fields)?,
        StepWord::KeepArtefacts => StepKind::KeepArtefacts {
            of: reader.need(fields, "of", steps)?,
        },
        StepWord::Switch => StepKind::Switch {
            how: switch(reader, fields)?,
        },
        StepWord::Rollout => StepKind::Rollout {
            batch: reader
                .want(fields, "batch", |r, i| r.small(i, 1..=1_000))
                .unwrap_or(1),
        },
        StepWord::Stabilise => StepKind::Stabilise {
            window_ms: reader.need(fields, "window", Reader::positive_duration)?,
        },
        StepWord::Checklist => StepKind::Checklist {
            stays_green_ms: reader.need(fields, "stays_green", Reader::positive_duration)?,
        },
        StepWord::Command => {
            let undo = reader.want(fields, "undo", actions::action);
            StepKind::Command {
                action: reader.need(fields, "action", actions::action)?,
                undo,
            }
        }
        StepWord::TargetCheck => StepKind::TargetCheck,
        StepWord::Privileges => StepKind::Privileges,
        StepWord::Connectivity => StepKind::Connectivity,
        StepWord::MigrationHistory => StepKind::MigrationHistory,
        StepWord::ExportOrder => StepKind::ExportOrder,
        StepWord::Import => StepKind::Import,
        StepWord::Sequences => StepKind::Sequences,
        StepWord::Constraints => StepKind::Constraints,
        StepWord::RowCounts => StepKind::RowCounts,
        StepWord::Samples => StepKind::Samples,
        StepWord::Smoke => StepKind::Smoke,
        StepWord::ParityGate => StepKind::ParityGate,
        StepWord::RollbackReady => StepKind::RollbackReady,
        StepWord::VerifyCounts => StepKind::VerifyCounts,
        StepWord::VerifyEndpoints => StepKind::VerifyEndpoints,
        StepWord::VerifySlugs => StepKind::VerifySlugs,
        StepWord::VerifyOrder => StepKind::VerifyOrder,
        StepWord::VerifyIntegrity => StepKind::VerifyIntegrity,
        StepWord::Reopen => StepKind::Reopen,
    })
}

fn roles(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<Role>> {
    let roles = reader.list(item, role)?;
    if roles.is_empty() {
        return reader.wrong(item, "at least one role", None);
    }
    Some(roles)
}

/// Artefacts of no step are none, and keeping them would always succeed.
fn steps(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    let steps = reader.list(item, Reader::text)?;
    if steps.is_empty() {
        return reader.wrong(item, "at least one step", None);
    }
    Some(steps)
}

fn place(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Place> {
    let fields = reader.fields(item, keys::PLACE)?;
    if fields.has("directory") {
        for key in ["upload", "read_back"] {
            if let Some(item) = fields.get(key) {
                reader.wrong::<()>(
                    &item,
                    "either `directory`, or `upload` and `read_back`",
                    None,
                );
            }
        }
        return reader
            .need(&fields, "directory", Reader::path)
            .map(Place::Directory);
    }
    let upload = reader.need(&fields, "upload", actions::action);
    let read_back = reader.need(&fields, "read_back", actions::action);
    Some(Place::Commands {
        upload: upload?,
        read_back: read_back?,
    })
}

fn migrate(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<StepKind> {
    let version = reader.need(fields, "version", Reader::text);
    let time_limit = actions::time_limit(reader, fields);
    let given: Vec<&str> = ["command", "shell", "script"]
        .into_iter()
        .filter(|key| fields.has(key))
        .collect();
    let (mut effect, mut script) = (None, None);
    match given.as_slice() {
        ["command"] => {
            effect = reader
                .need(fields, "command", actions::argv)
                .map(|argv| Effect::Command { argv });
        }
        ["shell"] => {
            effect = reader
                .need(fields, "shell", actions::shell)
                .map(|line| Effect::Shell { line });
        }
        ["script"] => script = reader.need(fields, "script", Reader::path),
        _ => {
            let expected = "exactly one of `command`, `shell`, `script`";
            let found = if given.is_empty() { "none" } else { "several" };
            reader.problem(fields.place, &fields.path, expected, found, None);
        }
    }
    if let Some(item) = fields.get("rehearse").filter(|_| given == ["script"]) {
        let expected = "`rehearse` only beside `command` or `shell`: a script follows the session";
        reader.wrong::<()>(&item, expected, None);
    }
    let command = actions::with_surroundings(reader, fields, effect, time_limit);
    let run = command
        .map(Migration::Command)
        .or(script.map(Migration::Script));
    Some(StepKind::Migrate {
        run: run?,
        version: version?,
        timeout_ms: i64::try_from(time_limit.as_millis()).unwrap_or(i64::MAX),
    })
}

fn switch(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<SwitchHow> {
    let by_key = ["key", "from", "to"].iter().any(|key| fields.has(key));
    let by_action = ["to_target", "to_source"].iter().any(|key| fields.has(key));
    match (by_key, by_action) {
        (true, false) => {
            let key = reader.need(fields, "key", Reader::text);
            let from = reader.need(fields, "from", Reader::text);
            let to = reader.need(fields, "to", Reader::text);
            Some(SwitchHow::Key {
                key: key?,
                from: from?,
                to: to?,
            })
        }
        (false, true) => {
            let to_target = reader.need(fields, "to_target", actions::action);
            let to_source = reader.need(fields, "to_source", actions::action);
            Some(SwitchHow::Action {
                to_target: to_target?,
                to_source: to_source?,
            })
        }
        (both, _) => {
            let expected = "either `key`, `from` and `to`, or `to_target` and `to_source`";
            let found = if both { "both" } else { "neither" };
            reader.problem(fields.place, &fields.path, expected, found, None);
            None
        }
    }
}

pub(super) fn gate(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Gate> {
    let fields = reader.fields(item, keys::GATE)?;
    Some(Gate {
        id: reader.need(&fields, "id", Reader::id).unwrap_or_default(),
        title: reader
            .need(&fields, "title", Reader::text)
            .unwrap_or_default(),
        before: reader
            .need(&fields, "before", Reader::text)
            .unwrap_or_default(),
        evidence: reader
            .want(&fields, "evidence", |r, i| r.list(i, evidence))
            .unwrap_or_default(),
        signers: reader.need(&fields, "signers", roles).unwrap_or_default(),
    })
}

fn evidence(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<EvidenceRef> {
    const PARTS: [(&str, RehearsalPart); 3] = [
        ("rehearsal.migrations", RehearsalPart::Migrations),
        ("rehearsal.import", RehearsalPart::Import),
        ("rehearsal.rollback", RehearsalPart::Rollback),
    ];
    let text = reader.text_as(item, "a step's id or a part of the rehearsal")?;
    if text.starts_with("rehearsal") {
        return reader.one_of(item, &PARTS).map(EvidenceRef::Rehearsal);
    }
    Some(EvidenceRef::Step(text))
}

pub(super) fn rollback_row(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<RollbackRow> {
    let (fields, kind) = of_kind::<RollbackWord>(reader, item, keys::ROLLBACK)?;
    let kind = match kind {
        Some(RollbackWord::Incident) => reader
            .need(&fields, "file", Reader::path)
            .map(|file| RollbackKind::Incident { file }),
        Some(RollbackWord::Command) => reader
            .need(&fields, "action", actions::action)
            .map(RollbackKind::Command),
        Some(RollbackWord::FenceTarget) => Some(RollbackKind::FenceTarget),
        Some(RollbackWord::RestoreConfig) => Some(RollbackKind::RestoreConfig),
        Some(RollbackWord::BringBack) => Some(RollbackKind::BringBack),
        Some(RollbackWord::Restart) => Some(RollbackKind::Restart {
            action: reader.want(&fields, "action", actions::action),
        }),
        Some(RollbackWord::Validate) => Some(RollbackKind::Validate),
        Some(RollbackWord::LiftFreeze) => Some(RollbackKind::LiftFreeze),
        Some(RollbackWord::Preserve) => Some(RollbackKind::Preserve {
            logs: reader
                .want(&fields, "logs", |r, i| r.list(i, Reader::path))
                .unwrap_or_default(),
            dump: reader.want(&fields, "dump", actions::action),
        }),
        Some(RollbackWord::Halt) => Some(RollbackKind::Halt),
        None => None,
    };
    Some(RollbackRow {
        id: reader.need(&fields, "id", Reader::id).unwrap_or_default(),
        title: reader
            .need(&fields, "title", Reader::text)
            .unwrap_or_default(),
        // In the place of one that was not understood, which has been reported.
        kind: kind.unwrap_or(RollbackKind::Halt),
    })
}
