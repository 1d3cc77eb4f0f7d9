//! The reference runbook in pieces: its sections, and the items of those that are lists. Not in here: which of them a draft takes over.

/// The reference, which the sandbox runs.
const TEXT: &str = include_str!("../../../runbook.yaml");

/// A piece of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'t> {
    /// Of an item: its id.
    pub id: Option<&'t str>,
    /// Its lines, with the comments and the blank lines that stand after them.
    pub text: &'t str,
}

/// The reference by its sections.
#[derive(Debug)]
pub struct Reference {
    sections: Vec<(&'static str, &'static str)>,
}

impl Reference {
    pub fn read() -> Reference {
        let mut sections: Vec<(&str, usize)> = Vec::new();
        let (mut at, mut comment) = (0, None);
        for line in TEXT.split_inclusive('\n') {
            match line.chars().next() {
                // Comments right above a section belong to it.
                Some('#') => comment = comment.or(Some(at)),
                Some(c) if c.is_ascii_alphabetic() => {
                    let key = line.split(':').next().unwrap_or_default();
                    sections.push((key, comment.take().unwrap_or(at)));
                }
                _ => comment = None,
            }
            at += line.len();
        }
        let ends = sections.iter().skip(1).map(|(_, start)| *start);
        let ends: Vec<usize> = ends.chain([TEXT.len()]).collect();
        let sections = sections.iter().zip(ends);
        Reference {
            sections: sections
                .map(|((key, start), end)| (*key, &TEXT[*start..end]))
                .collect(),
        }
    }

    /// A section with its comments.
    pub fn section(&self, key: &str) -> &'static str {
        let found = self.sections.iter().find(|(known, _)| *known == key);
        found
            .expect("BUG: the reference has every section that is asked for")
            .1
    }

    /// A section that is a list: what stands before the first item, then the items.
    pub fn parts(&self, key: &str) -> Vec<Part<'static>> {
        let text = self.section(key);
        let mut starts = vec![0];
        starts.extend(text.match_indices("\n  - ").map(|(at, _)| at + 1));
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        let pieces = starts.iter().zip(ends).map(|(from, to)| &text[*from..to]);
        pieces
            .map(|text| Part {
                id: text.starts_with("  - ").then(|| id_of(text)).flatten(),
                text,
            })
            .collect()
    }
}

/// `A1` of `  - id: A1` and of `  - { id: A1, … }`.
fn id_of(item: &str) -> Option<&str> {
    let (_, rest) = item.split_once("id: ")?;
    rest.split([',', ' ', '\n', '}']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_whole() {
        let reference = Reference::read();
        let whole: String = reference.sections.iter().map(|(_, text)| *text).collect();
        assert!(TEXT.ends_with(&whole) && whole.contains("name: "));
        for section in ["steps", "gates", "rollback"] {
            let parts = reference.parts(section);
            let joined: String = parts.iter().map(|p| p.text).collect();
            assert_eq!(joined, reference.section(section));
            assert!(parts[0].id.is_none());
            assert!(parts[1..].iter().all(|p| p.id.is_some()), "{parts:?}");
        }
        let ids: Vec<_> = reference
            .parts("rollback")
            .iter()
            .filter_map(|p| p.id)
            .collect();
        assert_eq!(
            ids,
            ["R1", "R1+", "R2", "R2+", "R3", "R4", "R4+", "R5", "R6"]
        );
    }
}
