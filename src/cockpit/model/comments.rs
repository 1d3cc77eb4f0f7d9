//! Notes on gates: which note is a comment on which gate. Not in here: how they look (`view::gates`), and how they are written (`update`).

use chrono::{DateTime, Utc};

use super::Model;

/// A note as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who wrote it, by id.
    pub by: String,
    pub wall: DateTime<Utc>,
    /// What. Foreign text.
    pub text: String,
}

/// What a comment on this gate begins with.
pub fn prefix(gate: &str) -> String {
    format!("{gate}: ")
}

/// What a note says of this gate; `None` where it is no comment on it: it does not begin with the gate's id, and a colon or a blank.
pub fn comment<'a>(gate: &str, note: &'a str) -> Option<&'a str> {
    let rest = note.trim_start().strip_prefix(gate)?;
    let said = rest
        .strip_prefix([':', ' '])
        .or(Some(rest).filter(|r| r.is_empty()))?;
    Some(said.trim())
}

impl Model {
    /// Comments on a gate, the newest first, without the gate's id.
    pub fn comments<'m>(&'m self, gate: &'m str) -> impl Iterator<Item = (&'m Note, &'m str)> {
        let notes = self.notes.iter().rev();
        let said = notes.filter_map(move |note| Some((note, comment(gate, &note.text)?)));
        said.filter(|(_, said)| !said.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_begins_with_the_gates_id_and_no_other() {
        let of_k1 = |note| comment("K1", note);
        let begun = format!("{}seen", prefix("K1"));
        assert_eq!(of_k1(&begun), Some("seen"));
        assert_eq!(of_k1(" K1 seen: fine"), Some("seen: fine"));
        assert_eq!(of_k1("K1:"), Some(""));
        assert_eq!(of_k1("K1"), Some(""));
        assert_eq!(of_k1("K10: seen"), None);
        assert_eq!(of_k1("K1-b: seen"), None);
        assert_eq!(of_k1("as K1: seen"), None);
    }
}
