//! The sections that describe people, limits, both databases, the fleet, verification and rehearsal.

use std::path::PathBuf;

use super::super::action::{Action, Effect};
use super::super::keys;
use super::super::model::{
    Fleet, History, Instance, Limits, MaintenancePage, Person, ProviderPage, Rehearsal,
    RequiredSchema, Signatures, SignedGates, Source, Target, Verification,
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

/// The group that is let in, and the spare folder.
pub(super) fn bridge(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
) -> (Option<String>, Option<PathBuf>) {
    let Some(fields) = section(reader, root, "bridge", keys::BRIDGE) else {
        return (None, None);
    };
    let group = reader.want(&fields, "group", Reader::text);
    (group, reader.want(&fields, "spare", Reader::path))
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

pub(super) fn source(reader: &mut Reader<'_>, root: &Fields<'_>) -> Source {
    let file = section(reader, root, "source", keys::SOURCE)
        .and_then(|fields| reader.need(&fields, "file", Reader::path));
    Source {
        file: file.unwrap_or_default(),
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
        expected: list_of(reader, &fields, "expected", Reader::text),
    })
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

pub(super) fn fleet(reader: &mut Reader<'_>, root: &Fields<'_>) -> Fleet {
    let Some(fields) = section(reader, root, "fleet", keys::FLEET) else {
        return no_fleet();
    };
    Fleet {
        instances: list_of(reader, &fields, "instances", instance),
        staging: reader.want(&fields, "staging", instance),
        config: reader.want(&fields, "config", Reader::path_pattern),
        log: reader.want(&fields, "log", Reader::path_pattern),
        ready: reader
            .need(&fields, "ready", actions::url)
            .unwrap_or_default(),
        provider: reader.want(&fields, "provider", provider),
        maintenance: reader.want(&fields, "maintenance", maintenance),
        metrics: reader.want(&fields, "metrics", actions::url),
        restart: reader
            .need(&fields, "restart", actions::action)
            .unwrap_or_else(|| no_fleet().restart),
        connect: reader.want(&fields, "connect", actions::action),
        ready_within_ms: reader
            .want(&fields, "ready_within", Reader::positive_duration)
            .unwrap_or(60_000),
        ready_successes: reader
            .want(&fields, "ready_successes", |r, i| r.small(i, 1..=100))
            .unwrap_or(3),
    }
}

fn no_fleet() -> Fleet {
    Fleet {
        instances: Vec::new(),
        staging: None,
        config: None,
        log: None,
        ready: String::new(),
        provider: None,
        maintenance: None,
        metrics: None,
        restart: Action::new(
            Effect::Command { argv: Vec::new() },
            std::time::Duration::ZERO,
        ),
        connect: None,
        ready_within_ms: 0,
        ready_successes: 0,
    }
}

fn provider(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<ProviderPage> {
    let fields = reader.fields(item, keys::PROVIDER)?;
    let url = reader.need(&fields, "get", actions::url);
    let sqlite = reader.need(&fields, "sqlite", probes::regular_expression);
    let postgres = reader.need(&fields, "postgres", probes::regular_expression);
    Some(ProviderPage {
        url: url?,
        sqlite: sqlite?,
        postgres: postgres?,
    })
}

fn maintenance(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<MaintenancePage> {
    let fields = reader.fields(item, keys::MAINTENANCE)?;
    let url = reader.need(&fields, "get", actions::url);
    let on = reader.need(&fields, "on", probes::regular_expression);
    let off = reader.need(&fields, "off", probes::regular_expression);
    Some(MaintenancePage {
        url: url?,
        on: on?,
        off: off?,
    })
}

fn instance(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Instance> {
    let fields = reader.fields(item, keys::INSTANCE)?;
    let id = reader.need(&fields, "id", Reader::id);
    let base = reader.need(&fields, "url", base_url);
    let host = reader.want(&fields, "host", Reader::text);
    let canary = reader.want(&fields, "canary", Reader::boolean);
    let (url, url_host) = base.unwrap_or_default();
    Some(Instance {
        id: id.unwrap_or_default(),
        url,
        host: host.unwrap_or(url_host),
        canary: canary.unwrap_or(false),
    })
}

/// A URL without a slash at its end, and its host.
fn base_url(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(String, String)> {
    let expected = "an http or https URL without a query";
    let text = reader.text_as(item, expected)?;
    match url::Url::parse(&text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.query().is_none()
                && url.fragment().is_none() =>
        {
            let host = url.host_str().unwrap_or_default().to_owned();
            Some((text.trim_end_matches('/').to_owned(), host))
        }
        _ => reader.wrong(item, expected, None),
    }
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
