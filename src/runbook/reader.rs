//! Takes values out of the tree: text, numbers, durations, ratios, lists, maps with known keys. Every failure becomes a problem with
//! its place, and reading goes on, so that one run names all of them. Not in here: which keys there are (`keys`, `parse`).

mod environment;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use environment::{references, substitute};
pub(super) use values::{AN_ID, is_id};

use super::discovery::Discovered;
use super::problem::{Problem, Severity};
use super::sites::Sites;
use super::tree::{Key, Node, Place, Value};
use crate::secret::{has_password, without_passwords};
use crate::text::printable;

/// How much of a wrong value a message repeats.
const SHOWN_CHARS: usize = 60;

/// Where a name's value comes from; `None` where it has none.
pub(super) type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Collects problems and places while a tree is read.
pub(super) struct Reader<'e> {
    /// Where each value is written.
    pub sites: Sites,
    /// `None`: references mean nothing in this file.
    env: Option<Env<'e>>,
    /// Where relative paths begin; empty where they stay relative.
    folder: PathBuf,
    /// What is known of instances that the file does not list.
    pub discovered: Discovered,
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
            sites: Sites::new(file, text),
            env,
            folder: PathBuf::new(),
            discovered: Discovered::NotAsked,
            secrets: BTreeSet::new(),
            listed_at: BTreeMap::new(),
            uses: Vec::new(),
            resolved: BTreeMap::new(),
            names: BTreeMap::new(),
            problems: Vec::new(),
            written_passwords: Vec::new(),
        }
    }

    /// The same, with the folder where relative paths begin.
    pub fn within(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        self
    }

    /// The same, with what was found of instances that the file does not list.
    pub fn knowing(mut self, discovered: &Discovered) -> Self {
        self.discovered = discovered.clone();
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
        let problem = self
            .sites
            .problem(severity, place, path, expected, found, hint);
        self.problems.push(problem);
    }

    /// A value that is not what it should be.
    pub fn wrong<T>(&mut self, item: &Item<'_>, expected: &str, hint: Option<String>) -> Option<T> {
        let found = self.describe(item.node);
        self.problem(item.node.place, &item.path, expected, &found, hint);
        None
    }

    /// Where the value at a path is written; the nearest enclosing one where the path itself is not.
    pub fn place(&self, path: &str) -> Place {
        self.sites.place(path)
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

    /// Keeps where something is written, for problems that are found later.
    pub fn remember(&mut self, path: &str, place: Place) {
        self.sites.remember(path, place);
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

    /// A single value as text; lists, maps and nothing are wrong.
    fn scalar(&mut self, item: &Item<'_>, expected: &str) -> Option<String> {
        match &item.node.value {
            Value::Scalar { text, .. } if !item.node.is_null() => self.resolve(text, item),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                self.wrong(item, expected, None)
            }
        }
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
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
    }
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
