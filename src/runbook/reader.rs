//! Takes values out of the tree: text, numbers, durations, ratios, lists, maps with known keys. Every failure becomes a problem with
//! its place, and reading goes on, so that one run names all of them. Not in here: which keys there are (`keys`, `parse`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::problem::{Problem, Severity};
use super::tree::{Key, Node, Place, Value};
use crate::secret::{has_password, without_passwords};
use crate::text::printable;

/// How much of a wrong value a message repeats.
const SHOWN_CHARS: usize = 60;

/// Where a name's value comes from; `None` where it has none.
pub(super) type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Collects problems and places while a tree is read.
pub(super) struct Reader<'e> {
    file: String,
    lines: Vec<String>,
    /// `None`: references mean nothing in this file.
    env: Option<Env<'e>>,
    /// Where relative paths begin; empty where they stay relative.
    folder: PathBuf,
    /// Names whose values must not be shown.
    pub secrets: BTreeSet<String>,
    /// Where each of them is listed.
    pub listed_at: BTreeMap<String, String>,
    /// Paths at which a value is written that must not be shown, and its name.
    pub uses: Vec<(String, String)>,
    /// Every name that was asked for, with its value.
    pub resolved: BTreeMap<String, Option<String>>,
    /// The names by the section that they stand in.
    names: BTreeMap<String, BTreeSet<String>>,
    pub problems: Vec<Problem>,
    places: BTreeMap<String, Place>,
    written_passwords: Vec<(String, String)>,
}

/// A value on its way from the tree, with its path such as `steps[A1].quiet`.
#[derive(Clone)]
pub(super) struct Item<'n> {
    pub node: &'n Node,
    pub path: String,
}

/// A map whose keys are known to be allowed.
#[derive(Clone)]
pub(super) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    pub path: String,
    pub place: Place,
}

impl<'n> Fields<'n> {
    /// None at all.
    pub const EMPTY: Fields<'static> = Fields {
        entries: &[],
        path: String::new(),
        place: Place::START,
    };

    pub fn get(&self, key: &str) -> Option<Item<'n>> {
        let (_, node) = self.entries.iter().find(|(k, _)| k.text == key)?;
        Some(Item {
            node,
            path: join(&self.path, key),
        })
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(k, _)| k.text == key)
    }
}

/// Whether it is a `<…>` of a first draft, as `draft` writes them. In quotes it is a text like any other.
fn is_to_fill_in(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, plain: true } if text.starts_with('<') && text.ends_with('>'))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

impl<'e> Reader<'e> {
    pub fn new(file: &str, text: &str, env: Option<Env<'e>>) -> Self {
        Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            env,
            folder: PathBuf::new(),
            secrets: BTreeSet::new(),
            listed_at: BTreeMap::new(),
            uses: Vec::new(),
            resolved: BTreeMap::new(),
            names: BTreeMap::new(),
            problems: Vec::new(),
            places: BTreeMap::new(),
            written_passwords: Vec::new(),
        }
    }

    /// The same, with the folder where relative paths begin.
    pub fn within(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        self
    }

    pub fn problem(
        &mut self,
        place: Place,
        path: &str,
        expected: &str,
        found: &str,
        hint: Option<String>,
    ) {
        self.push(Severity::Error, place, path, expected, found, hint);
    }

    pub fn push(
        &mut self,
        severity: Severity,
        place: Place,
        path: &str,
        expected: &str,
        found: &str,
        hint: Option<String>,
    ) {
        let line = place.line.clamp(1, self.lines.len().max(1));
        let source = self.lines.get(line - 1).map_or("", String::as_str);
        let column = if line == place.line {
            place.column.min(source.chars().count() + 1)
        } else {
            source.chars().count() + 1
        };
        self.problems.push(Problem {
            severity,
            file: self.file.clone(),
            line,
            column,
            length: place.length.max(1),
            path: path.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            hint,
            source_line: without_passwords(source).into_owned(),
        });
    }

    /// A value that is not what it should be.
    pub fn wrong<T>(&mut self, item: &Item<'_>, expected: &str, hint: Option<String>) -> Option<T> {
        let found = self.describe(item.node);
        self.problem(item.node.place, &item.path, expected, &found, hint);
        None
    }

    /// Where the value at a path is written; the nearest enclosing one where the path itself is not.
    pub fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => return Place::START,
            }
        }
    }

    /// Names that stand in one of these sections.
    pub fn names_in(&self, sections: &[&str]) -> BTreeSet<String> {
        let names = sections
            .iter()
            .filter_map(|section| self.names.get(*section));
        names.flatten().cloned().collect()
    }

    /// Paths at which a URL with a password is written out, and what is shown of it.
    pub fn passwords_written(&self) -> Vec<(String, String)> {
        self.written_passwords.clone()
    }

    fn remember(&mut self, path: &str, place: Place) {
        self.places.entry(path.to_owned()).or_insert(place);
    }

    /// What is written there, for a message. Values that came from the environment are shown unless they are secret.
    fn describe(&self, node: &Node) -> String {
        match &node.value {
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
            Value::Scalar { .. } if node.is_null() => "nothing".into(),
            Value::Scalar { text, .. } if text.is_empty() => "an empty text".into(),
            Value::Scalar { text, .. } if is_to_fill_in(node) => {
                format!("`{}`, still to be filled in", printable(text, SHOWN_CHARS))
            }
            Value::Scalar { text, .. } => {
                let shown = printable(&without_passwords(text), SHOWN_CHARS);
                let mut names = references(text).filter_map(Result::ok).peekable();
                let shows = |name: &str| {
                    let known = self.resolved.get(name).is_some_and(Option::is_some);
                    known && !self.secrets.contains(name)
                };
                let public = names.peek().is_some() && names.all(|(_, name)| shows(name));
                match self.env.filter(|_| public) {
                    Some(_) => {
                        let value = self.substituted(text);
                        let value = printable(&without_passwords(&value), SHOWN_CHARS);
                        format!("`{shown}`, which is `{value}`")
                    }
                    None => format!("`{shown}`"),
                }
            }
        }
    }

    /// The texts that the file shows as they are: every scalar with no secret in it.
    pub fn plain(&self, node: &Node) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.collect_plain(node, &mut found);
        found
    }

    fn collect_plain(&self, node: &Node, found: &mut BTreeSet<String>) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|n| self.collect_plain(n, found)),
            Value::Map(entries) => entries.iter().for_each(|(key, n)| {
                found.insert(key.text.clone());
                self.collect_plain(n, found);
            }),
            Value::Scalar { text, .. } => {
                let is_secret = |name: &str| self.secrets.contains(name);
                let mut names = references(text).filter_map(Result::ok);
                if !names.any(|(_, name)| is_secret(name)) {
                    let text = self.substituted(text);
                    found.extend(Some(text).filter(|text| !has_password(text)));
                }
            }
        }
    }

    fn substituted(&self, text: &str) -> String {
        let value = |name: &str| self.resolved.get(name).cloned().flatten();
        substitute(text, |name| value(name).unwrap_or_default())
    }

    /// A map that has no other keys than these.
    pub fn fields<'n>(&mut self, item: &Item<'n>, keys: &[&str]) -> Option<Fields<'n>> {
        self.remember(&item.path, item.node.place);
        let Value::Map(entries) = &item.node.value else {
            let expected = format!("a map with {}", quoted(keys.iter().copied()));
            return self.wrong(item, &expected, None);
        };
        for (key, node) in entries {
            let path = join(&item.path, &key.text);
            self.remember(&path, node.place);
            if !keys.contains(&key.text.as_str()) {
                let found = format!("`{}`", printable(&key.text, SHOWN_CHARS));
                let hint = did_you_mean(&key.text, keys.iter().copied());
                let expected = format!("one of {}", quoted(keys.iter().copied()));
                self.problem(key.place, &path, &expected, &found, hint);
            }
        }
        Some(Fields {
            entries,
            path: item.path.clone(),
            place: item.node.place,
        })
    }

    /// Any map, as key and value.
    pub fn entries<'n>(&mut self, item: &Item<'n>) -> Vec<(&'n Key, Item<'n>)> {
        self.remember(&item.path, item.node.place);
        let Value::Map(entries) = &item.node.value else {
            self.wrong::<()>(item, "a map", None);
            return Vec::new();
        };
        let items: Vec<_> = entries
            .iter()
            .map(|(key, node)| {
                let path = format!("{}[{}]", item.path, key.text);
                (key, Item { node, path })
            })
            .collect();
        for (_, item) in &items {
            self.remember(&item.path, item.node.place);
        }
        items
    }

    /// A required value.
    pub fn need<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        key: &str,
        take: impl FnOnce(&mut Self, &Item<'n>) -> Option<T>,
    ) -> Option<T> {
        match fields.get(key) {
            Some(item) => take(self, &item),
            None => {
                let expected = format!("`{key}` in {}", in_words(&fields.path));
                let path = join(&fields.path, key);
                self.problem(fields.place, &path, &expected, "none", None);
                None
            }
        }
    }

    /// Reports all of these keys that are absent, as one problem.
    pub fn all_present(&mut self, fields: &Fields<'_>, keys: &[&str]) {
        let missing: Vec<&str> = keys.iter().copied().filter(|k| !fields.has(k)).collect();
        if !missing.is_empty() {
            let within = in_words(&fields.path);
            let expected = format!("{} in {within}", quoted(missing.iter().copied()));
            let hint = "`runbook.yaml` of the distribution has every section".to_owned();
            self.problem(fields.place, &fields.path, &expected, "none", Some(hint));
        }
    }

    /// A value that may be absent.
    pub fn want<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        key: &str,
        take: impl FnOnce(&mut Self, &Item<'n>) -> Option<T>,
    ) -> Option<T> {
        fields.get(key).and_then(|item| take(self, &item))
    }

    /// A list; elements that cannot be read are left out. Elements are called by their `id` or `name` where they have one.
    pub fn list<'n, T>(
        &mut self,
        item: &Item<'n>,
        mut take: impl FnMut(&mut Self, &Item<'n>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.remember(&item.path, item.node.place);
        let Value::List(nodes) = &item.node.value else {
            return self.wrong(item, "a list", None);
        };
        let mut taken = BTreeSet::new();
        let mut read = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let called = called(node).filter(|id| taken.insert((*id).to_owned()));
            let label = called.map_or_else(|| index.to_string(), str::to_owned);
            let path = format!("{}[{label}]", item.path);
            self.remember(&path, node.place);
            read.extend(take(self, &Item { node, path }));
        }
        Some(read)
    }

    /// Text with every reference resolved; numbers and booleans count as the text they are written as.
    pub fn text(&mut self, item: &Item<'_>) -> Option<String> {
        self.text_as(item, "text")
    }

    /// Text, called something better in the message.
    pub fn text_as(&mut self, item: &Item<'_>, expected: &str) -> Option<String> {
        let raw = match &item.node.value {
            Value::Scalar { text, .. } if !item.node.is_null() => text,
            _ => return self.wrong(item, expected, None),
        };
        if is_to_fill_in(item.node) {
            return self.wrong(item, expected, None);
        }
        let text = self.resolve(raw, item)?;
        if text.is_empty() || text.contains('\0') {
            return self.wrong(item, expected, None);
        }
        Some(text)
    }

    /// Text that may be empty.
    pub fn text_or_empty(&mut self, item: &Item<'_>) -> Option<String> {
        match &item.node.value {
            Value::Scalar { text, plain: false } if text.is_empty() => Some(String::new()),
            _ => self.text(item),
        }
    }

    /// A short name that is safe in file names, signal names and on screens.
    pub fn id(&mut self, item: &Item<'_>) -> Option<String> {
        let expected = "a short name of letters, digits and . _ - + (at most 40)";
        let text = self.text_as(item, expected)?;
        let fits = text.len() <= 40
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'));
        if fits {
            Some(text)
        } else {
            self.wrong(item, expected, None)
        }
    }

    pub fn boolean(&mut self, item: &Item<'_>) -> Option<bool> {
        match self.scalar(item, "true or false")?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.wrong(item, "true or false", None),
        }
    }

    /// A whole number within bounds.
    pub fn integer(
        &mut self,
        item: &Item<'_>,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        match self.scalar(item, &expected)?.parse() {
            Ok(n) if range.contains(&n) => Some(n),
            _ => self.wrong(item, &expected, None),
        }
    }

    /// A whole number within bounds, as `u32`.
    pub fn small(&mut self, item: &Item<'_>, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(item, range)
            .and_then(|n| u32::try_from(n).ok())
    }

    /// A duration such as `30s`, in milliseconds.
    pub fn duration(&mut self, item: &Item<'_>) -> Option<i64> {
        let expected = "a duration such as 500ms, 30s, 5m, 1h or 30d";
        let text = self.scalar(item, expected)?;
        match duration_ms(&text) {
            Some(ms) => Some(ms),
            None => {
                let bare = text.parse::<u64>().ok();
                let hint = bare.map(|n| format!("a unit is missing: {n}s or {n}m"));
                self.wrong(item, expected, hint)
            }
        }
    }

    /// A duration above zero.
    pub fn positive_duration(&mut self, item: &Item<'_>) -> Option<i64> {
        match self.duration(item)? {
            0 => self.wrong(item, "a duration above zero", None),
            ms => Some(ms),
        }
    }

    /// A number of 0 or more; `20%` is 0.2.
    pub fn number(&mut self, item: &Item<'_>) -> Option<f64> {
        let expected = "a number such as 50 or 0.5, or a percentage such as 20%";
        let text = self.scalar(item, expected)?;
        let (digits, scale) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text.as_str(), 1.0),
        };
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match digits.parse::<f64>() {
            Ok(n) if plain && n.is_finite() => Some(n / scale),
            _ => self.wrong(item, expected, None),
        }
    }

    /// A path: absolute, or relative to the runbook's folder and then without `..`.
    pub fn path(&mut self, item: &Item<'_>) -> Option<PathBuf> {
        let path = PathBuf::from(self.text_as(item, "a path")?);
        let climbs = path.components().any(|c| c == Component::ParentDir);
        if path.is_relative() && climbs {
            let expected = "a path that is absolute, or stays within the runbook's folder";
            return self.wrong(item, expected, None);
        }
        Some(self.absolute(&path))
    }

    /// A path as text, in which placeholders may stand.
    pub fn path_pattern(&mut self, item: &Item<'_>) -> Option<String> {
        let text = self.text_as(item, "a path")?;
        let path = self.absolute(Path::new(&text));
        Some(path.into_os_string().into_string().unwrap_or(text))
    }

    /// Resolved here and nowhere else, so that a path means one thing whoever reads it, and wherever that process runs.
    fn absolute(&self, path: &Path) -> PathBuf {
        match path.is_relative() {
            // Without `.` in between.
            true => self.folder.join(path).components().collect(),
            false => path.to_owned(),
        }
    }

    /// One of the words that something is written as.
    pub fn one_of<T: Clone>(&mut self, item: &Item<'_>, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|(word, _)| *word);
        let expected = format!("one of {}", quoted(names()));
        let text = self.scalar(item, &expected)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(value.clone()),
            None => {
                let hint = did_you_mean(&text, names());
                self.wrong(item, &expected, hint)
            }
        }
    }

    /// A single value as text; lists, maps and nothing are wrong.
    fn scalar(&mut self, item: &Item<'_>, expected: &str) -> Option<String> {
        match &item.node.value {
            Value::Scalar { text, .. } if !item.node.is_null() => self.resolve(text, item),
            _ => self.wrong(item, expected, None),
        }
    }

    fn resolve(&mut self, raw: &str, item: &Item<'_>) -> Option<String> {
        let Some(env) = self.env else {
            return Some(raw.to_owned());
        };
        let mut complete = true;
        for reference in references(raw) {
            match reference {
                Ok((_, name)) => {
                    let section = item.path.split(['.', '[']).next().unwrap_or_default();
                    let names = self.names.entry(section.to_owned()).or_default();
                    names.insert(name.to_owned());
                    let value = self
                        .resolved
                        .entry(name.to_owned())
                        .or_insert_with(|| env(name));
                    match value {
                        Some(value) if self.secrets.contains(name) || has_password(value) => {
                            self.uses.push((item.path.clone(), name.to_owned()));
                        }
                        Some(_) => {}
                        None => {
                            complete = false;
                            self.missing(name, item);
                        }
                    }
                }
                Err(written) => {
                    complete = false;
                    let found = format!("`{}`", printable(written, SHOWN_CHARS));
                    let hint = "$${ stands for a ${ that is meant as it is".to_owned();
                    let place = self.place_within(item.node.place, "${");
                    self.problem(
                        place,
                        &item.path,
                        "a name as in ${NAME}",
                        &found,
                        Some(hint),
                    );
                }
            }
        }
        if without_passwords(raw) != raw {
            let place = item.node.place;
            self.remember(&item.path, place);
            let shown = self.describe(item.node);
            self.written_passwords.push((item.path.clone(), shown));
        }
        complete.then(|| self.substituted(raw))
    }

    fn missing(&mut self, name: &str, item: &Item<'_>) {
        let place = self.place_within(item.node.place, &format!("${{{name}}}"));
        let expected = format!("a value for ${{{name}}} in the environment");
        let hint = format!("export {name}=… in the shell that starts `cutover`");
        self.problem(place, &item.path, &expected, "none", Some(hint));
    }

    /// Where a piece of a scalar is, if it can be seen on the scalar's first line.
    fn place_within(&self, place: Place, piece: &str) -> Place {
        let found = self.lines.get(place.line - 1).and_then(|line| {
            let start = line.char_indices().nth(place.column - 1)?.0;
            let at = line[start..].find(piece)?;
            Some(Place {
                column: place.column + line[start..start + at].chars().count(),
                length: piece.chars().count(),
                ..place
            })
        });
        found.unwrap_or(place)
    }
}

/// What a list's element calls itself.
fn called(node: &Node) -> Option<&str> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let named = |wanted: &str| entries.iter().find(|(key, _)| key.text == wanted);
    match &named("id").or_else(|| named("name"))?.1.value {
        Value::Scalar { text, .. } if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The references in a text: position and name, or what is written where a name should be. `$${` is none.
fn references(text: &str) -> impl Iterator<Item = Result<(usize, &str), &str>> {
    text.match_indices("${").filter_map(move |(at, _)| {
        if text[..at].ends_with('$') {
            return None;
        }
        let rest = &text[at + 2..];
        Some(match rest.find('}') {
            Some(end) if is_name(&rest[..end]) => Ok((at, &rest[..end])),
            Some(end) => Err(&rest[..end]),
            None => Err(rest),
        })
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn substitute(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let name = from[2..].find('}').map(|end| &from[2..2 + end]);
        match name.filter(|name| is_name(name)) {
            _ if before.ends_with('$') => {
                out.push_str(&before[..before.len() - 1]);
                out.push_str("${");
                rest = &from[2..];
            }
            Some(name) => {
                out.push_str(before);
                out.push_str(&value(name));
                rest = &from[name.len() + 3..];
            }
            None => {
                out.push_str(before);
                out.push_str("${");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// `30s` and the like, in milliseconds; at most ten years.
fn duration_ms(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let unit_ms = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let ms = text[..unit_at].parse::<i64>().ok()?.checked_mul(unit_ms)?;
    (ms <= 3_650 * 86_400_000).then_some(ms)
}

/// The known word that is nearest to one that is not.
pub(super) fn did_you_mean<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<String> {
    let limit = (text.chars().count() / 3).clamp(1, 4);
    let lower = text.to_lowercase();
    words
        .map(|word| (strsim::osa_distance(&lower, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, word)| format!("did you mean `{word}`?"))
}

/// `a`, `b` or `c`, in backticks.
pub(super) fn quoted<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words
        .map(|w| format!("`{w}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn in_words(path: &str) -> String {
    if path.is_empty() {
        "the runbook".into()
    } else {
        format!("`{path}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_number_and_one_unit() {
        for (text, ms) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("30d", Some(2_592_000_000)),
            ("0s", Some(0)),
            ("5", None),
            ("-5s", None),
            ("1.5h", None),
            ("5 m", None),
            ("", None),
            ("99999999999999999999s", None),
            ("9999999999d", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn references_are_replaced_once_and_can_be_escaped() {
        let value = |name: &str| format!("<{name}>${{X}}");
        assert_eq!(substitute("a${B}c", value), "a<B>${X}c");
        assert_eq!(substitute("$${B} ${C}", value), "${B} <C>${X}");
        assert_eq!(substitute("${", value), "${");
        assert_eq!(references("$${B} ${C} ${1}").count(), 2);
    }
}
