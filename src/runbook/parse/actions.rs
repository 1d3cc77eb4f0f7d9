//! Actions, requests and their headers.

use std::time::Duration;

use super::super::action::{Action, Effect, HeadersCommand, Rehearse};
use super::super::keys;
use super::super::model::{CompareBody, JsonComparison, JsonPath, Request, RequestClass};
use super::super::placeholders::{PASSWORDS, named_in};
use super::super::reader::{Fields, Item, Reader, quoted};
use super::super::tree::Value;
use super::probes;

const DEFAULT_TIMEOUT_MS: i64 = 60_000;
/// For how long printed headers are good: at least, and where nobody says.
const HEADERS_EVERY_MS: (i64, i64) = (10_000, 300_000);
/// How long the command that prints them may take.
const HEADERS_TIMEOUT_MS: i64 = 10_000;
/// The keys of which an action has exactly one.
const EFFECTS: [&str; 5] = ["command", "shell", "http", "write_file", "remove_file"];

/// An action: one effect, its time limit, what a command is given, and what a rehearsal does instead.
pub(super) fn action(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Action> {
    let fields = reader.fields(item, keys::ACTION)?;
    let (effect, headers_command) = match effect(reader, item, &fields) {
        Some((effect, headers_command)) => (Some(effect), headers_command),
        None => (None, None),
    };
    let time_limit = time_limit(reader, &fields);
    let action = with_surroundings(reader, &fields, effect, time_limit)?;
    Some(Action {
        headers_command: headers_command.map(Box::new),
        ..action
    })
}

/// A command that prints headers, and for how long they are good.
pub(super) fn headers_command(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<HeadersCommand> {
    let fields = reader.fields(item, keys::HEADERS_COMMAND)?;
    let effect = probes::program(reader, &fields);
    let every_ms = reader.want(&fields, "every", |reader, item| {
        match reader.positive_duration(item)? {
            ms if ms >= HEADERS_EVERY_MS.0 => Some(ms),
            _ => reader.wrong(item, "10s or longer: each time a program is run", None),
        }
    });
    let limit_ms = reader.want(&fields, "timeout", Reader::positive_duration);
    let limit_ms = limit_ms.unwrap_or(HEADERS_TIMEOUT_MS);
    let limit = Duration::from_millis(limit_ms.unsigned_abs());
    let action = with_surroundings(reader, &fields, effect, limit)?;
    let every_ms = every_ms.unwrap_or(HEADERS_EVERY_MS.1);
    Some(HeadersCommand {
        action: Box::new(action),
        every: Duration::from_millis(every_ms.unsigned_abs()),
    })
}

/// An effect with the `env`, `stdin` and `rehearse` beside it. Each of them is read whatever is wrong with the effect.
pub(super) fn with_surroundings(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    effect: Option<Effect>,
    time_limit: Duration,
) -> Option<Action> {
    let env = reader.want(fields, "env", variables);
    let stdin = reader.want(fields, "stdin", Reader::text_or_empty);
    let rehearse = reader.want(fields, "rehearse", rehearse);
    let is_command = ["command", "shell"].iter().any(|key| fields.has(key));
    for key in ["env", "stdin"] {
        if let Some(item) = fields.get(key).filter(|_| !is_command) {
            let expected = format!("`{key}` only beside `command` or `shell`");
            reader.wrong::<()>(&item, &expected, None);
        }
    }
    Some(Action {
        env: env.unwrap_or_default(),
        stdin,
        rehearse: rehearse.unwrap_or_default(),
        ..Action::new(effect?, time_limit)
    })
}

/// Names and values of variables of the environment.
fn variables(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (key, item) in reader.entries(item) {
        let name = &key.text;
        let found = format!("`{}`", crate::text::printable(name, 60));
        if !is_variable(name) {
            let expected = "the name of a variable: letters, digits and _";
            reader.problem(key.place, &item.path, expected, &found, None);
        } else if name.starts_with("CUTOVER_") {
            let expected = "a name of your own; those that begin with CUTOVER_ are set by cutover";
            reader.problem(key.place, &item.path, expected, &found, None);
        }
        if let Some(value) = reader.text_or_empty(&item) {
            variables.push((name.clone(), value));
        }
    }
    Some(variables)
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What a rehearsal does: `same`, by a person's word, or another action.
fn rehearse(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Rehearse> {
    let Value::Map(entries) = &item.node.value else {
        let expected = "`same`, or an action that a rehearsal does instead";
        return match reader.text_as(item, expected)?.as_str() {
            "same" => Some(Rehearse::Same),
            _ => reader.wrong(item, expected, None),
        };
    };
    if let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "rehearse") {
        let expected = "no `rehearse` within `rehearse`: this is what a rehearsal does";
        reader.problem(key.place, &item.path, expected, "one", None);
    }
    action(reader, item).map(|action| Rehearse::Instead(Box::new(action)))
}

/// The `timeout` beside an effect.
pub(super) fn time_limit(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Duration {
    let ms = reader.want(fields, "timeout", Reader::positive_duration);
    Duration::from_millis(ms.unwrap_or(DEFAULT_TIMEOUT_MS).unsigned_abs())
}

fn effect(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    fields: &Fields<'_>,
) -> Option<(Effect, Option<HeadersCommand>)> {
    let given: Vec<&str> = EFFECTS.into_iter().filter(|key| fields.has(key)).collect();
    let [effect] = given.as_slice() else {
        let expected = format!("exactly one of {}", quoted(EFFECTS.into_iter()));
        let found = match given.len() {
            0 => "none".to_owned(),
            _ => quoted(given.into_iter()),
        };
        reader.problem(item.node.place, &item.path, &expected, &found, None);
        return None;
    };
    if *effect != "write_file"
        && let Some(content) = fields.get("content")
    {
        reader.wrong::<()>(&content, "`content` only beside `write_file`", None);
    }
    let effect = match *effect {
        "command" => reader
            .need(fields, "command", argv)
            .map(|argv| Effect::Command { argv }),
        "shell" => reader
            .need(fields, "shell", shell)
            .map(|line| Effect::Shell { line }),
        "http" => return reader.need(fields, "http", http),
        "write_file" => {
            let path = reader.need(fields, "write_file", Reader::path);
            let content = reader.need(fields, "content", Reader::text_or_empty);
            Some(Effect::WriteFile {
                path: path?,
                content: content?,
            })
        }
        _ => reader
            .need(fields, "remove_file", Reader::path)
            .map(|path| Effect::RemoveFile { path }),
    };
    effect.map(|effect| (effect, None))
}

/// A program and its arguments.
pub(super) fn argv(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    let expected = "a list: the program, then its arguments";
    let Value::List(written) = &item.node.value else {
        let hint = "`shell:` takes a line for a shell".to_owned();
        return reader.wrong(item, expected, Some(hint));
    };
    let argv = reader.list(item, |reader, item| {
        let text = reader.text_or_empty(item)?;
        without_password(reader, item, text)
    })?;
    if argv.len() < written.len() {
        // What is wrong with one of them is told already.
        return None;
    }
    match argv.first() {
        Some(program) if !program.is_empty() => Some(argv),
        _ => reader.wrong(item, expected, None),
    }
}

/// A line for a shell.
pub(super) fn shell(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let line = reader.text(item)?;
    without_password(reader, item, line)
}

/// The process list shows arguments: a placeholder that is a password may not be one.
fn without_password(reader: &mut Reader<'_>, item: &Item<'_>, text: String) -> Option<String> {
    let named = named_in(&text).find(|(name, _)| PASSWORDS.contains(name));
    match named {
        None => Some(text),
        Some((name, _)) => {
            let hint = format!("`env: {{ PGPASSWORD: \"{{{name}}}\" }}`, or `stdin:`");
            let expected = "no password where the process list shows it";
            reader.wrong(item, expected, Some(hint))
        }
    }
}

fn http(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(Effect, Option<HeadersCommand>)> {
    let fields = reader.fields(item, keys::HTTP)?;
    let method = reader.want(&fields, "method", method);
    let url = reader.need(&fields, "url", url);
    let headers = reader.want(&fields, "headers", headers);
    let headers_command = reader.want(&fields, "headers_command", headers_command);
    let body = reader.want(&fields, "body", Reader::text_or_empty);
    let expect_status = reader.want(&fields, "status", statuses);
    let effect = Effect::Http {
        method: method.unwrap_or_else(|| "GET".into()),
        url: url?,
        headers: headers.unwrap_or_default(),
        body,
        expect_status: expect_status.unwrap_or_default(),
    };
    Some((effect, headers_command))
}

fn method(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    const METHODS: [(&str, &str); 6] = [
        ("GET", "GET"),
        ("HEAD", "HEAD"),
        ("POST", "POST"),
        ("PUT", "PUT"),
        ("PATCH", "PATCH"),
        ("DELETE", "DELETE"),
    ];
    reader.one_of(item, &METHODS).map(str::to_owned)
}

fn statuses(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<u16>> {
    match item.node.value {
        Value::List(_) => reader.list(item, status),
        _ => status(reader, item).map(|status| vec![status]),
    }
}

pub(super) fn status(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<u16> {
    let status = reader.integer(item, 100..=599)?;
    u16::try_from(status).ok()
}

/// An absolute `http` or `https` URL; `{url}` and `{host}` may stand for its beginning.
pub(super) fn url(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected = "an http or https URL, or {url} with a path after it";
    let text = reader.text_as(item, expected)?;
    let tried = text
        .replace("{url}", "http://instance")
        .replace("{host}", "host")
        .replace("{instance}", "instance");
    match url::Url::parse(&tried) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(text),
        _ => reader.wrong(item, expected, None),
    }
}

/// A token, as HTTP calls it.
pub(super) fn is_header_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(fits)
}

/// Names and values of headers.
pub(super) fn headers(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for (key, item) in reader.entries(item) {
        if !is_header_name(&key.text) {
            let found = format!("`{}`", crate::text::printable(&key.text, 60));
            reader.problem(key.place, &item.path, "the name of a header", &found, None);
        }
        if let Some(value) = reader.text_or_empty(&item) {
            if value.chars().any(|c| c.is_control() && c != '\t') {
                reader.problem(item.node.place, &item.path, "one line", "several", None);
            }
            headers.push((key.text.clone(), value));
        }
    }
    Some(headers)
}

/// A synthetic request (E3, V2).
pub(super) fn request(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Request> {
    let fields = reader.fields(item, keys::REQUEST)?;
    let name = reader.need(&fields, "name", Reader::id);
    let (method, address) = match (fields.get("get"), fields.get("post")) {
        (Some(get), None) => ("GET", url(reader, &get)),
        (None, Some(post)) => ("POST", url(reader, &post)),
        (get, _) => {
            let found = if get.is_some() { "both" } else { "neither" };
            reader.problem(
                fields.place,
                &fields.path,
                "either `get` or `post`",
                found,
                None,
            );
            ("GET", None)
        }
    };
    const CLASSES: [(&str, RequestClass); 2] =
        [("read", RequestClass::Read), ("write", RequestClass::Write)];
    let class = reader.want(&fields, "class", |r, i| r.one_of(i, &CLASSES));
    let by_method = if method == "GET" {
        RequestClass::Read
    } else {
        RequestClass::Write
    };
    Some(Request {
        name: name.unwrap_or_default(),
        class: class.unwrap_or(by_method),
        method: method.to_owned(),
        url: address.unwrap_or_default(),
        headers: reader.want(&fields, "headers", headers).unwrap_or_default(),
        headers_command: reader
            .want(&fields, "headers_command", headers_command)
            .map(Box::new),
        body: reader.want(&fields, "body", Reader::text_or_empty),
        status: reader.want(&fields, "status", status).unwrap_or(200),
        contains: reader.want(&fields, "contains", Reader::text),
        compare_body: compare_body(reader, &fields),
        leaves_rows: reader
            .want(&fields, "leaves_rows", Reader::boolean)
            .unwrap_or(false),
    })
}

fn compare_body(reader: &mut Reader<'_>, fields: &Fields<'_>) -> CompareBody {
    let words = [
        ("true", CompareBody::Bytes),
        ("false", CompareBody::No),
        ("json", CompareBody::Json(JsonComparison::default())),
    ];
    let how = reader
        .want(fields, "compare_body", |r, i| r.one_of(i, &words))
        .unwrap_or(CompareBody::No);
    let ignore = reader.want(fields, "ignore", |r, i| r.list(i, json_path));
    let tolerance = reader.want(fields, "tolerance", tolerance);
    match how {
        CompareBody::Json(_) => CompareBody::Json(JsonComparison {
            ignore: ignore.unwrap_or_default(),
            tolerance,
        }),
        CompareBody::No | CompareBody::Bytes => {
            for key in ["ignore", "tolerance"] {
                if let Some(item) = fields.get(key) {
                    let expected = format!("`{key}` only beside `compare_body: json`");
                    reader.wrong::<()>(&item, &expected, None);
                }
            }
            how
        }
    }
}

fn json_path(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<JsonPath> {
    let expected =
        "a place in the answer, such as `$.generated_at`, `$.items[*].seen` or `$..etag`";
    let text = reader.text_as(item, expected)?;
    match JsonPath::parse(&text) {
        Ok(path) => Some(path),
        Err(at) => reader.wrong(
            item,
            expected,
            Some(format!("character {} cannot stand there", at + 1)),
        ),
    }
}

fn tolerance(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<f64> {
    match reader.number(item)? {
        number if number > 0.0 => Some(number),
        _ => reader.wrong(item, "a number above 0", None),
    }
}
