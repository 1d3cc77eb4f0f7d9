//! Actions, requests and their headers.

use std::time::Duration;

use super::super::action::{Action, Effect, Rehearse};
use super::super::keys;
use super::super::model::{Request, RequestClass};
use super::super::placeholders::{PASSWORDS, named_in};
use super::super::reader::{Fields, Item, Reader, quoted};
use super::super::tree::Value;

const DEFAULT_TIMEOUT_MS: i64 = 60_000;
/// The keys of which an action has exactly one.
const EFFECTS: [&str; 5] = ["command", "shell", "http", "write_file", "remove_file"];

/// An action: one effect, its time limit, what a command is given, and what a rehearsal does instead.
pub(super) fn action(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Action> {
    let fields = reader.fields(item, keys::ACTION)?;
    let effect = effect(reader, item, &fields);
    let time_limit = time_limit(reader, &fields);
    with_surroundings(reader, &fields, effect, time_limit)
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

fn effect(reader: &mut Reader<'_>, item: &Item<'_>, fields: &Fields<'_>) -> Option<Effect> {
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
    match *effect {
        "command" => reader
            .need(fields, "command", argv)
            .map(|argv| Effect::Command { argv }),
        "shell" => reader
            .need(fields, "shell", shell)
            .map(|line| Effect::Shell { line }),
        "http" => reader.need(fields, "http", http),
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
    }
}

/// A program and its arguments.
pub(super) fn argv(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<String>> {
    let expected = "a list: the program, then its arguments";
    if !matches!(item.node.value, Value::List(_)) {
        let hint = "`shell:` takes a line for a shell".to_owned();
        return reader.wrong(item, expected, Some(hint));
    }
    let argv = reader.list(item, |reader, item| {
        let text = reader.text_or_empty(item)?;
        without_password(reader, item, text)
    })?;
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

fn http(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Effect> {
    let fields = reader.fields(item, keys::HTTP)?;
    let method = reader.want(&fields, "method", method);
    let url = reader.need(&fields, "url", url);
    let headers = reader.want(&fields, "headers", headers);
    let body = reader.want(&fields, "body", Reader::text_or_empty);
    let expect_status = reader.want(&fields, "status", statuses);
    Some(Effect::Http {
        method: method.unwrap_or_else(|| "GET".into()),
        url: url?,
        headers: headers.unwrap_or_default(),
        body,
        expect_status: expect_status.unwrap_or_default(),
    })
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

/// An HTTP status.
fn status(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<u16> {
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

/// Names and values of headers.
pub(super) fn headers(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for (key, item) in reader.entries(item) {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if key.text.is_empty() || !key.text.bytes().all(token) {
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
        body: reader.want(&fields, "body", Reader::text_or_empty),
        status: reader.want(&fields, "status", status).unwrap_or(200),
        contains: reader.want(&fields, "contains", Reader::text),
        compare_body: reader
            .want(&fields, "compare_body", Reader::boolean)
            .unwrap_or(false),
    })
}
