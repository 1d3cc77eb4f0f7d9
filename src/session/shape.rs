//! The source's schema as a session knows it, and whether it is the one that was rehearsed (K3, K4, K6). Pure. Not in here: reading it
//! (`sqlite::shape`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::charter::LineKind;
use super::facts::Unreadable;
use super::state::{Session, StepState, StepStatus};
use crate::text::printable;

/// Objects that a message names.
const SHOWN: usize = 3;
/// Characters of an object's name.
const NAME_CHARS: usize = 60;

/// Each table, index, view and trigger (`table Tools`) with a hash of the text that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape(pub BTreeMap<String, String>);

impl Shape {
    /// What is otherwise in `now`, in words; `None` where nothing is.
    pub fn difference(&self, now: &Shape) -> Option<String> {
        let gone = self.0.keys().filter(|name| !now.0.contains_key(*name));
        let gone = gone.map(|name| (name, "is gone"));
        let other = now
            .0
            .iter()
            .filter_map(|(name, hash)| match self.0.get(name) {
                None => Some((name, "is new")),
                Some(was) if was != hash => Some((name, "is another")),
                Some(_) => None,
            });
        let all: Vec<String> = gone
            .chain(other)
            .map(|(name, what)| format!("{} {what}", printable(name, NAME_CHARS)))
            .collect();
        let more = match all.len().saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>();
        (!all.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
    }
}

impl Session {
    /// The source's schema: as it was frozen, else as an engine last saw it; `None` where none has.
    pub fn shape(&self) -> Result<Option<Shape>, Unreadable> {
        let freeze = self.step_of_kind(&LineKind::Freeze);
        let freeze = freeze.filter(|s| s.status == StepStatus::Done);
        let frozen = freeze.map_or(Ok(None), StepState::fact)?;
        Ok(frozen.or_else(|| self.source_shape.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    type Objects<'s> = &'s [(&'s str, &'s str)];

    fn shape(objects: Objects<'_>) -> Shape {
        let pairs = objects
            .iter()
            .map(|(n, h)| ((*n).to_owned(), (*h).to_owned()));
        Shape(pairs.collect())
    }

    #[test]
    fn what_is_otherwise_is_named() {
        let was = shape(&[("table A", "1"), ("table B", "1"), ("index C", "1")]);
        let cases: [(Objects<'_>, Option<&str>); 4] = [
            (
                &[("table A", "1"), ("table B", "1"), ("index C", "1")],
                None,
            ),
            (
                &[("table A", "2"), ("table B", "1"), ("index C", "1")],
                Some("table A is another"),
            ),
            (
                &[("table A", "1"), ("table B", "1"), ("view D", "1")],
                Some("index C is gone, view D is new"),
            ),
            (
                &[],
                Some("index C is gone, table A is gone, table B is gone"),
            ),
        ];
        for (now, told) in cases {
            assert_eq!(was.difference(&shape(now)).as_deref(), told, "{now:?}");
        }
        let many = shape(&[
            ("table A", "2"),
            ("table B", "2"),
            ("index C", "2"),
            ("view D", "2"),
            ("view\u{1b}E", "2"),
        ]);
        let told = was.difference(&many).expect("much");
        assert!(
            told.ends_with(" and 2 more") && !told.contains('\u{1b}'),
            "{told}"
        );
    }
}
