//! `${NAME}`: values of the environment, where they are missing, and passwords that are written out. Not in here: which names are secret
//! (`runbook::check`).

use super::{Item, Reader, SHOWN_CHARS};
use crate::runbook::tree::Place;
use crate::secret::{has_password, without_passwords};
use crate::text::printable;

impl Reader<'_> {
    pub(super) fn resolve(&mut self, raw: &str, item: &Item<'_>) -> Option<String> {
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
        let found = self.sites.line(place.line).and_then(|line| {
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

/// The references in a text: position and name, or what is written where a name should be. `$${` is none.
pub(super) fn references(text: &str) -> impl Iterator<Item = Result<(usize, &str), &str>> {
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

pub(super) fn substitute(text: &str, value: impl Fn(&str) -> String) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_once_and_can_be_escaped() {
        let value = |name: &str| format!("<{name}>${{X}}");
        assert_eq!(substitute("a${B}c", value), "a<B>${X}c");
        assert_eq!(substitute("$${B} ${C}", value), "${B} <C>${X}");
        assert_eq!(substitute("${", value), "${");
        assert_eq!(references("$${B} ${C} ${1}").count(), 2);
    }
}
