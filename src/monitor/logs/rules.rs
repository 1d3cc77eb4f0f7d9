//! Which category a line belongs to, and at which endpoint it happened. Pure.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexSet};
use serde_json::Value;

use crate::runbook::LogRule;
use crate::text::printable;

/// The group of a pattern that names the endpoint.
const ENDPOINT: &str = "endpoint";

/// Characters of an endpoint that are kept.
const ENDPOINT_CHARS: usize = 60;

/// Compiled rules.
#[derive(Debug)]
pub struct Rules {
    /// One pattern per rule; a rule without one has the pattern that matches everything.
    patterns: RegexSet,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    category: String,
    /// Where the pattern has the group.
    endpoint_in: Option<Regex>,
    fields: Vec<(String, Regex)>,
    endpoint: Vec<String>,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub struct Sorted<'r> {
    /// Of the rule that matched.
    pub category: &'r str,
    /// The path without its query, made harmless; where the line says it.
    pub endpoint: Option<String>,
}

impl Rules {
    /// Compiles them.
    ///
    /// # Errors
    /// A pattern that is none, or too large.
    pub fn new(rules: &[LogRule]) -> Result<Rules, String> {
        let patterns = rules
            .iter()
            .map(|rule| rule.pattern.as_deref().unwrap_or_default());
        Ok(Rules {
            patterns: RegexSet::new(patterns).map_err(|error| error.to_string())?,
            rules: rules.iter().map(Rule::new).collect::<Result<_, _>>()?,
        })
    }

    /// The first rule of which everything holds; `None` for a line that no rule is about.
    pub fn sort(&self, line: &[u8]) -> Option<Sorted<'_>> {
        let mut json = None;
        for n in &self.patterns.matches(line) {
            let rule = &self.rules[n];
            let needs_json = !rule.fields.is_empty() || !rule.endpoint.is_empty();
            let parsed = match needs_json {
                true => json.get_or_insert_with(|| object(line)).as_ref(),
                false => None,
            };
            let holds = |(path, pattern): &(String, Regex)| {
                let value = parsed.and_then(|object| at(object, path)).map(text);
                value.is_some_and(|text| pattern.is_match(text.as_bytes()))
            };
            if rule.fields.iter().all(holds) {
                return Some(Sorted {
                    category: &rule.category,
                    endpoint: rule.endpoint(line, parsed),
                });
            }
        }
        None
    }
}

impl Rule {
    fn new(rule: &LogRule) -> Result<Rule, String> {
        let compiled = |pattern: &str| Regex::new(pattern).map_err(|error| error.to_string());
        let pattern = rule.pattern.as_deref().map(compiled).transpose()?;
        let names_endpoint =
            |pattern: &Regex| pattern.capture_names().flatten().any(|n| n == ENDPOINT);
        let fields = rule.fields.iter();
        Ok(Rule {
            category: rule.category.clone(),
            endpoint_in: pattern.filter(names_endpoint),
            fields: fields
                .map(|(path, pattern)| Ok((path.clone(), compiled(pattern)?)))
                .collect::<Result<_, String>>()?,
            endpoint: rule.endpoint.clone(),
        })
    }

    fn endpoint(&self, line: &[u8], parsed: Option<&Value>) -> Option<String> {
        let captured = self.endpoint_in.as_ref().and_then(|pattern| {
            let group = pattern.captures(line)?.name(ENDPOINT)?;
            Some(String::from_utf8_lossy(group.as_bytes()))
        });
        let named = || {
            let mut paths = self.endpoint.iter();
            paths.find_map(|path| match parsed {
                Some(object) => at(object, path).map(text),
                None => written(line, path),
            })
        };
        let found = captured.or_else(named)?;
        let path = found.split(['?', '#']).next().unwrap_or_default();
        (!path.is_empty()).then(|| printable(path, ENDPOINT_CHARS))
    }
}

/// The line, where it is a JSON object.
fn object(line: &[u8]) -> Option<Value> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(line).ok().filter(Value::is_object)
}

/// What stands at a path: a key, or keys with dots between them. A list has what one of its elements has.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    match value {
        Value::Array(elements) => elements.iter().find_map(|element| at(element, path)),
        Value::Object(fields) => fields.get(path).or_else(|| {
            let mut dots = path.match_indices('.');
            dots.find_map(|(dot, _)| at(fields.get(&path[..dot])?, &path[dot + 1..]))
        }),
        _ => None,
    }
}

fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// What follows the name of a field in plain text: `RequestPath:/tools`, `path="/tools"`.
fn written<'l>(line: &'l [u8], path: &str) -> Option<Cow<'l, str>> {
    let name = path.rsplit('.').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let after = &line[line.find(name)? + name.len()..];
    let value = after
        .strip_prefix([':', '='])?
        .trim_start_matches([' ', '"']);
    let end = value.find(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | ';'));
    let value = &value[..end.unwrap_or(value.len())];
    (!value.is_empty()).then_some(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(category: &str, pattern: &str, fields: &[(&str, &str)], endpoint: &[&str]) -> LogRule {
        LogRule {
            category: category.to_owned(),
            pattern: (!pattern.is_empty()).then(|| pattern.to_owned()),
            fields: fields
                .iter()
                .map(|(path, pattern)| ((*path).to_owned(), (*pattern).to_owned()))
                .collect(),
            endpoint: endpoint.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    fn sorted(rules: &[LogRule], line: &str) -> Option<(String, Option<String>)> {
        let rules = Rules::new(rules).expect("rules");
        let sorted = rules.sort(line.as_bytes())?;
        Some((sorted.category.to_owned(), sorted.endpoint))
    }

    #[test]
    fn fields_are_found_by_path_also_with_dots_and_in_lists() {
        let rules = [
            rule("a", "", &[("log.level", "^error$"), ("code", "^5")], &[]),
            rule("b", "", &[("Scopes.Path", "x")], &["Scopes.Path"]),
        ];
        let category = |line| sorted(&rules, line).map(|(category, _)| category);
        assert_eq!(
            category(r#"{"log":{"level":"error"},"code":500}"#).as_deref(),
            Some("a")
        );
        assert_eq!(
            category(r#"{"log.level":"error","code":"503"}"#).as_deref(),
            Some("a")
        );
        assert_eq!(category(r#"{"log.level":"error","code":404}"#), None);
        assert_eq!(category(r#"{"log.level":"error","code":500"#), None);
        assert_eq!(category("log.level error code 500"), None);
        assert_eq!(
            sorted(&rules, r#"{"Scopes":[{"Id":1},{"Path":"/x?secret=1"}]}"#),
            Some(("b".to_owned(), Some("/x".to_owned())))
        );
    }

    #[test]
    fn a_pattern_and_fields_must_both_hold_and_the_endpoint_may_be_in_either() {
        let rules = [
            rule("a", "boom", &[("level", "error")], &["path"]),
            rule("b", r"boom at (?<endpoint>\S+)", &[], &[]),
            rule("c", "bang", &[], &["Http.Path"]),
        ];
        assert_eq!(
            sorted(&rules, r#"{"level":"error","m":"boom","path":"/a"}"#),
            Some(("a".to_owned(), Some("/a".to_owned())))
        );
        assert_eq!(
            sorted(&rules, "error: boom at /b?q"),
            Some(("b".to_owned(), Some("/b".to_owned())))
        );
        for line in ["bang Path:/c, then", "bang Path=\"/c\"", "Path: /c bang"] {
            assert_eq!(
                sorted(&rules, line),
                Some(("c".to_owned(), Some("/c".to_owned()))),
                "{line}"
            );
        }
        assert_eq!(sorted(&rules, "bang"), Some(("c".to_owned(), None)));
    }
}
