//! The sections that describe people, limits, both databases, verification and rehearsal. Not in here: the fleet (`fleet`).

use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::keys;
use super::super::model::{
    Feed, History, Limits, Person, Rehearsal, RequiredSchema, Signatures, SignedGates, Source,
    Target, Verification, Writes,
};
use super::super::reader::{Fields, Item, Reader};
use super::super::tree::Value;
use super::{actions, list_of, probes, role};

const NOTHING: Fields<'static> = Fields::EMPTY;

/// A section; none where its key is absent, which has been reported.
fn section<'n>(
    reader: &mut Reader<'_>,
    root: &Fields<'n>,
    key: &str,
    keys: &[&str],
) -> Option<Fields<'n>> {
    reader.want(root, key, |r, i| r.fields(i, keys))
}

pub(super) fn person(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Person> {
    let fields = reader.fields(item, keys::PERSON)?;
    let id = reader.need(&fields, "id", Reader::id).unwrap_or_default();
    let name = reader.want(&fields, "name", Reader::text);
    Some(Person {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        roles: list_of(reader, &fields, "roles", role),
        user: reader
            .need(&fields, "user", Reader::text)
            .unwrap_or_default(),
        principal: reader.want(&fields, "principal", principal),
        deputies: reader
            .want(&fields, "deputies", |r, i| r.list(i, Reader::text))
            .unwrap_or_default(),
    })
}

/// As OpenSSH's list of allowed signers names somebody; `*`, `?`, `!` and `,` mean something else there.
fn principal(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected = "a principal: letters, digits, `@`, `.`, `_`, `+` or `-`";
    let text = reader.text_as(item, expected)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._+-".contains(c);
    if text.chars().all(plain) && !text.starts_with('-') {
        return Some(text);
    }
    reader.wrong(item, expected, None)
}

/// What stands below `bridge`.
#[derive(Default)]
pub(super) struct Bridge {
    /// The group that is let in.
    pub(super) group: Option<String>,
    /// The spare folder.
    pub(super) spare: Option<PathBuf>,
    /// Where figures are offered.
    pub(super) metrics: Option<SocketAddr>,
}

pub(super) fn bridge(reader: &mut Reader<'_>, root: &Fields<'_>) -> Bridge {
    let Some(fields) = section(reader, root, "bridge", keys::BRIDGE) else {
        return Bridge::default();
    };
    Bridge {
        group: reader.want(&fields, "group", Reader::text),
        spare: reader.want(&fields, "spare", Reader::path),
        metrics: reader.want(&fields, "metrics", |reader, item| {
            probes::address(reader, item, "127.0.0.1:9464")
        }),
    }
}

pub(super) fn signatures(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Signatures> {
    let fields = reader.fields(item, keys::SIGNATURES)?;
    let allowed_signers = reader.need(&fields, "allowed_signers", Reader::path);
    let required = reader.want(&fields, "required", |r, i| match i.node.value {
        Value::List(_) => r.list(i, Reader::text).map(SignedGates::These),
        _ => r.boolean(i).map(|all| match all {
            true => SignedGates::All,
            false => SignedGates::These(Vec::new()),
        }),
    });
    Some(Signatures {
        allowed_signers: allowed_signers.unwrap_or_default(),
        revoked: reader.want(&fields, "revoked", Reader::path),
        required: required.unwrap_or(SignedGates::All),
    })
}

pub(super) fn limits(reader: &mut Reader<'_>, root: &Fields<'_>) -> Limits {
    let fields = section(reader, root, "limits", keys::LIMITS);
    let needed = |reader: &mut Reader<'_>, key| {
        let fields = fields.as_ref()?;
        reader.need(fields, key, Reader::positive_duration)
    };
    let freeze = needed(reader, "freeze");
    let rto = needed(reader, "rto");
    let fields = fields.unwrap_or(NOTHING);
    Limits {
        freeze_ms: freeze.unwrap_or_default(),
        verify_within_ms: reader
            .want(&fields, "verify_within", Reader::positive_duration)
            .unwrap_or(15 * 60_000),
        rto_ms: rto.unwrap_or_default(),
        countdown_ms: reader
            .want(&fields, "countdown", Reader::duration)
            .unwrap_or(30_000),
        startup_grace_ms: reader
            .want(&fields, "startup_grace", Reader::duration)
            .unwrap_or(60_000),
        blind_ms: reader
            .want(&fields, "blind", Reader::positive_duration)
            .unwrap_or(120_000),
        min_requests: reader
            .want(&fields, "min_requests", |r, i| r.integer(i, 1..=1_000_000))
            .unwrap_or(20),
    }
}

pub(super) fn feed(reader: &mut Reader<'_>, root: &Fields<'_>) -> Feed {
    let fields = section(reader, root, "feed", keys::FEED);
    let fields = fields.unwrap_or(NOTHING);
    Feed {
        writes: reader
            .want(&fields, "writes", |r, i| {
                r.one_of(i, &[("keep", Writes::Keep), ("salvage", Writes::Salvage)])
            })
            .unwrap_or(Writes::Keep),
        drain_ms: reader
            .want(&fields, "drain", Reader::duration)
            .unwrap_or(2_000),
        nearest: reader
            .want(&fields, "nearest", Reader::boolean)
            .unwrap_or(false),
    }
}

pub(super) fn source(reader: &mut Reader<'_>, root: &Fields<'_>) -> Source {
    let Some(fields) = section(reader, root, "source", keys::SOURCE) else {
        return Source {
            file: PathBuf::new(),
            also_open: Vec::new(),
        };
    };
    Source {
        file: reader
            .need(&fields, "file", Reader::path)
            .unwrap_or_default(),
        also_open: reader
            .want(&fields, "also_open", |r, i| r.list(i, Reader::text))
            .unwrap_or_default(),
    }
}

/// A connection URL. Its value is never shown, whatever is wrong with it.
pub(super) fn database_url(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected = "a postgres:// URL";
    let text = reader.text_as(item, expected)?;
    let known = ["postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        return Some(text);
    }
    reader.problem(
        item.node.place,
        &item.path,
        expected,
        "something else",
        None,
    );
    None
}

pub(super) fn target(reader: &mut Reader<'_>, root: &Fields<'_>) -> Target {
    const TLS: [(&str, bool); 2] = [("required", true), ("optional", false)];
    let Some(fields) = section(reader, root, "target", keys::TARGET) else {
        return no_target();
    };
    Target {
        url: reader
            .need(&fields, "url", database_url)
            .unwrap_or_default(),
        runtime_url: reader
            .need(&fields, "runtime_url", database_url)
            .unwrap_or_default(),
        schema: reader
            .want(&fields, "schema", Reader::text)
            .unwrap_or_else(|| "public".into()),
        tls_required: reader
            .want(&fields, "tls", |r, i| r.one_of(i, &TLS))
            .unwrap_or(true),
        history: reader
            .need(&fields, "history", history)
            .unwrap_or_else(|| no_target().history),
        required: reader
            .want(&fields, "required", required)
            .unwrap_or_default(),
    }
}

fn no_target() -> Target {
    Target {
        url: String::new(),
        runtime_url: String::new(),
        schema: String::new(),
        tls_required: true,
        history: History {
            table: String::new(),
            column: String::new(),
            within: None,
            expected: Vec::new(),
        },
        required: RequiredSchema::default(),
    }
}

fn history(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<History> {
    let fields = reader.fields(item, keys::HISTORY)?;
    Some(History {
        table: reader
            .need(&fields, "table", Reader::text)
            .unwrap_or_default(),
        column: reader
            .need(&fields, "column", Reader::text)
            .unwrap_or_default(),
        within: reader.want(&fields, "within", Reader::text),
        expected: reader
            .need(&fields, "expected", migration_ids)
            .unwrap_or_default(),
    })
}

/// Without an id C2 and T2b would find every migration, whatever has run.
fn migration_ids(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    let ids = reader.list(item, Reader::text)?;
    match (&item.node.value, ids.as_slice()) {
        // What is wrong with each of them is told already.
        (Value::List(written), []) if !written.is_empty() => None,
        (_, []) => reader.wrong(item, "the id of at least one migration", None),
        (_, [_, ..]) => Some(ids),
    }
}

fn required(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<RequiredSchema> {
    let fields = reader.fields(item, keys::REQUIRED)?;
    let names = |reader: &mut Reader<'_>, key| {
        reader
            .want(&fields, key, |r, i| r.list(i, Reader::text))
            .unwrap_or_default()
    };
    let columns = reader.want(&fields, "columns", |r, i| r.list(i, qualified_column));
    Some(RequiredSchema {
        tables: names(reader, "tables"),
        columns: columns.unwrap_or_default(),
        indexes: names(reader, "indexes"),
    })
}

fn qualified_column(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let name = reader.text_as(item, "Table.Column")?;
    if name.contains('.') {
        return Some(name);
    }
    reader.wrong(item, "Table.Column", None)
}

pub(super) fn verification(reader: &mut Reader<'_>, root: &Fields<'_>) -> Verification {
    let fields = section(reader, root, "verification", keys::VERIFICATION);
    let critical = fields
        .as_ref()
        .map(|fields| list_of(reader, fields, "critical", Reader::text));
    let fields = fields.unwrap_or(NOTHING);
    Verification {
        critical: critical.unwrap_or_default(),
        rows_per_second: reader
            .want(&fields, "rows_per_second", |r, i| {
                r.small(i, 1..=100_000_000)
            })
            .unwrap_or(100_000),
        statement_limit_ms: reader
            .want(&fields, "statement_limit", Reader::positive_duration)
            .unwrap_or(30_000),
        requests: reader
            .want(&fields, "requests", |r, i| r.list(i, actions::request))
            .unwrap_or_default(),
        write: reader.want(&fields, "write", actions::request),
        write_probe: reader
            .want(&fields, "write_probe", |r, i| r.list(i, Reader::text))
            .unwrap_or_default(),
    }
}

pub(super) fn rehearsal(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Rehearsal> {
    let fields = reader.fields(item, keys::REHEARSAL)?;
    Some(Rehearsal {
        url: reader
            .need(&fields, "url", database_url)
            .unwrap_or_default(),
        runtime_url: reader
            .need(&fields, "runtime_url", database_url)
            .unwrap_or_default(),
        max_age_ms: reader
            .want(&fields, "max_age", Reader::positive_duration)
            .unwrap_or(30 * 86_400_000),
        copy: reader
            .need(&fields, "copy", Reader::path)
            .unwrap_or_default(),
        point: reader.want(&fields, "point", actions::action),
        unpoint: reader.want(&fields, "unpoint", actions::action),
    })
}
