//! Why changes alone do not bring PostgreSQL from one import to the next, each with the state that both databases are in and what is safe to do.

use crate::text::printable;

/// What stands in the way. But for [`Refusal::Unheard`], nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No import is on record.
    NoImport {
        /// The target's schema.
        schema: String,
    },
    /// The import on record has not ended.
    Unfinished {
        /// The target's schema.
        schema: String,
    },
    /// The import on record is not that of the older snapshot with the same section.
    OtherImport {
        /// The target's schema.
        schema: String,
        /// In what it differs.
        why: String,
    },
    /// Rows or values were put aside, whose fate may hang on rows that changed.
    PutAside {
        /// How many.
        count: u64,
    },
    /// A changed row would be put aside.
    WouldPutAside {
        /// The source table.
        table: String,
        /// The row, and why it does not fit.
        why: String,
    },
    /// Statements of the section have changed rows after the import.
    AfterImport,
    /// Other tables or columns move now.
    Tables,
    /// Both files could not be compared.
    Compare(String),
    /// What lies on the table stands against emptying it.
    Obstacle(String),
    /// PostgreSQL does not hold the rows that the import of the older snapshot brought.
    NotThere {
        /// The target table.
        table: String,
        /// What was found.
        what: String,
    },
    /// The snapshot or the delta has other rows than it said.
    Lost {
        /// The source table.
        table: String,
        /// What was found.
        what: String,
    },
    /// PostgreSQL refused a row, or a promise of the target's does not hold with the new rows.
    Refused {
        /// What was being done.
        doing: String,
        /// PostgreSQL's answer.
        why: String,
    },
    /// Somebody cancelled.
    Stopped,
    /// The answer to the commit was lost.
    Unheard(String),
}

/// What to do where the changes alone are no way.
const WHOLE: &str = "`cutover copy` without --since copies whole again, with `target_rows: replace` in its transfer section";

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => {
                return f.write_str(
                    "cancelled. Neither database was changed; the same command begins again",
                );
            }
            Self::Unheard(why) => {
                return write!(
                    f,
                    "the answer to the commit was lost: {why}. SQLite is untouched; PostgreSQL has all of the changes or none, and the same \
                     command finds out which"
                );
            }
            Self::NoImport { .. }
            | Self::Unfinished { .. }
            | Self::OtherImport { .. }
            | Self::PutAside { .. }
            | Self::WouldPutAside { .. }
            | Self::AfterImport
            | Self::Tables
            | Self::Compare(_)
            | Self::Obstacle(_)
            | Self::NotThere { .. }
            | Self::Lost { .. }
            | Self::Refused { .. } => {}
        }
        write!(
            f,
            "what changed cannot be brought by itself: {}. Neither database was changed; {WHOLE}",
            self.why()
        )
    }
}

impl Refusal {
    fn why(&self) -> String {
        match self {
            Self::NoImport { schema } => format!(
                "no import into schema {} is on record in the target",
                printable(schema, 80)
            ),
            Self::Unfinished { schema } => format!(
                "an import into schema {} has not ended, and its own command goes on with it",
                printable(schema, 80)
            ),
            Self::OtherImport { schema, why } => format!(
                "the import into schema {} that is on record is not that of the file after --since with this transfer section: {why}",
                printable(schema, 80)
            ),
            Self::PutAside { count } => format!(
                "{count} row(s) or value(s) were put aside by the import on record, and whether they still would be may hang on what changed"
            ),
            Self::WouldPutAside { table, why } => format!(
                "a changed row of {} would be put aside: {}",
                printable(table, 80),
                printable(why, 300)
            ),
            Self::AfterImport => {
                "the section has `after_import`, whose statements have been run on the rows that are there".to_owned()
            }
            Self::Tables => {
                "other tables or columns move between the two files and the target than did for the import on record".to_owned()
            }
            Self::Compare(why) => format!("the two files could not be compared: {why}"),
            Self::Obstacle(what) => format!("a table would have to be emptied: {what}"),
            Self::NotThere { table, what } => format!(
                "{} does not hold what the import of the older file brought: {what}",
                printable(table, 80)
            ),
            Self::Lost { table, what } => {
                format!("reading what changed in {}: {what}", printable(table, 80))
            }
            Self::Refused { doing, why } => format!("{doing}: {why}"),
            Self::Stopped | Self::Unheard(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn each_says_in_which_state_both_databases_are() {
        let whole = Refusal::AfterImport.to_string();
        assert!(whole.contains("Neither database was changed"), "{whole}");
        assert!(whole.contains("target_rows: replace"), "{whole}");
        let unheard = Refusal::Unheard("gone".to_owned()).to_string();
        assert!(unheard.contains("all of the changes or none"), "{unheard}");
        assert!(!unheard.contains("Neither"), "{unheard}");
    }
}
