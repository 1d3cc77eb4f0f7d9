//! Who had which rights on a table before its writes were revoked (R1+), as a journal keeps it, so that they can be given back as they were.
//!
//! Not in here: reading, taking and giving them (`postgres::writers`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The rights that let a role change rows.
const WRITES: [&str; 4] = ["INSERT", "UPDATE", "DELETE", "TRUNCATE"];

/// Every right on one table, but for those of a superuser. Tables, columns and roles are known by the server's own numbers: a name may
/// change, and one that is a secret too stands masked in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerGrants {
    /// The table's schema; for people.
    pub schema: String,
    /// The table; for people.
    pub table: String,
    /// The table's oid.
    pub oid: u32,
    /// Its owner's oid.
    pub owner: u32,
    /// What is granted on the whole table; `None` where nothing ever was: the server's default, by which it is the owner's alone.
    pub grants: Option<Vec<Grant>>,
    /// What is granted on single columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnGrants>,
}

/// What is granted on one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnGrants {
    /// The column; for people.
    pub column: String,
    /// Its number in the table.
    pub number: i16,
    pub grants: Vec<Grant>,
}

/// One entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role's oid; 0 is everybody.
    pub to: u32,
    /// Its name; for people.
    pub to_name: String,
    /// The oid of the role that granted it.
    pub by: u32,
    /// Its name; for people.
    pub by_name: String,
    /// `INSERT`, or `INSERT*` where the role may grant it on.
    pub rights: Vec<String>,
}

/// One right of one role: what two access lists are compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The column's number; 0 is the whole table.
    pub column: i16,
    /// The role's oid; 0 is everybody.
    pub to: u32,
    /// The oid of the role that granted it.
    pub by: u32,
    /// `INSERT`, `INSERT*`.
    pub right: String,
}

impl Right {
    /// The right without the mark that it may be granted on.
    pub fn plain(&self) -> &str {
        self.right.trim_end_matches('*')
    }

    /// Whether the role may grant it on.
    pub fn may_grant(&self) -> bool {
        self.right.ends_with('*')
    }

    /// Whether it lets the role change rows.
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.plain())
    }
}

impl FormerGrants {
    /// Schema and table, for people.
    pub fn name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// Every right, one by one.
    pub fn rights(&self) -> BTreeSet<Right> {
        let of_table = self.grants.iter().flatten().map(|grant| (0, grant));
        let of_columns = self.columns.iter().flat_map(|column| {
            column
                .grants
                .iter()
                .map(move |grant| (column.number, grant))
        });
        let each = of_table.chain(of_columns).flat_map(|(column, grant)| {
            grant.rights.iter().map(move |right| Right {
                column,
                to: grant.to,
                by: grant.by,
                right: right.clone(),
            })
        });
        each.collect()
    }

    /// Rights to change rows that somebody else than the owner has.
    pub fn writes_of_others(&self) -> BTreeSet<Right> {
        let mut writes = self.rights();
        writes.retain(|right| right.is_write() && right.to != self.owner);
        writes
    }

    /// The name that a role had then.
    pub fn name_of(&self, role: u32) -> Option<&str> {
        let of_columns = self.columns.iter().flat_map(|column| &column.grants);
        let mut all = self.grants.iter().flatten().chain(of_columns);
        all.find_map(|grant| match role {
            role if role == grant.to => Some(grant.to_name.as_str()),
            role if role == grant.by => Some(grant.by_name.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(to: u32, by: u32, rights: &[&str]) -> Grant {
        Grant {
            to,
            to_name: format!("r{to}"),
            by,
            by_name: format!("r{by}"),
            rights: rights.iter().map(|right| (*right).to_owned()).collect(),
        }
    }

    #[test]
    fn what_others_may_write_is_told_from_what_they_may_read() {
        let grants = FormerGrants {
            schema: "public".to_owned(),
            table: "t".to_owned(),
            oid: 1,
            owner: 10,
            grants: Some(vec![
                grant(10, 10, &["INSERT", "SELECT"]),
                grant(11, 10, &["INSERT*", "SELECT"]),
                grant(0, 11, &["INSERT"]),
            ]),
            columns: vec![ColumnGrants {
                column: "c".to_owned(),
                number: 3,
                grants: vec![grant(12, 10, &["REFERENCES", "UPDATE"])],
            }],
        };
        let writes = grants.writes_of_others();
        let seen = writes.iter().map(|w| (w.column, w.to, w.by, w.plain()));
        assert_eq!(
            seen.collect::<Vec<_>>(),
            [
                (0, 0, 11, "INSERT"),
                (0, 11, 10, "INSERT"),
                (3, 12, 10, "UPDATE")
            ]
        );
        assert_eq!(writes.iter().filter(|w| w.may_grant()).count(), 1);
        assert_eq!(grants.name_of(12), Some("r12"));
        assert_eq!(grants.name_of(13), None);
        let text = serde_json::to_string(&grants).unwrap();
        assert_eq!(serde_json::from_str::<FormerGrants>(&text).unwrap(), grants);
    }
}
