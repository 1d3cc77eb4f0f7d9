//! Giving rights back as they were. Who granted them is part of it: the server lets us grant in another role's name only where we may be that
//! role; else the owner grants, and the difference is named.
//!
//! Not in here: reading and taking them (`writers`).

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use super::{Error, FormerGrants, Right, on_sql, present, refused, words};
use crate::postgres::quoted;

/// What became of rights that were given back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenBack {
    /// Tables whose rights are what they were.
    pub as_before: usize,
    /// What differs, a line each: a table that is gone, a right that could not be given, one that somebody has given since.
    pub differs: Vec<String>,
}

impl GivenBack {
    pub fn sentence(&self) -> String {
        let tables = crate::format::counted(self.as_before as u64, "table");
        match self.differs.first() {
            None => format!("the rights on {tables} are what they were before the fence"),
            Some(first) => format!(
                "the rights on {tables} are what they were before the fence; elsewhere they differ ({} in all): {first}",
                self.differs.len()
            ),
        }
    }
}

/// Gives back every right to change rows that was taken, and compares. Rights that are there already stay, and those that somebody has given
/// since too.
///
/// # Errors
/// The server does not answer; some of it may be given back. To try again is safe.
pub async fn give_back(client: &Client, former: &[FormerGrants]) -> Result<GivenBack, Error> {
    let oids: Vec<u32> = former.iter().map(|table| table.oid).collect();
    let now = present(client, &oids).await?;
    let roles = roles(client, former).await?;
    let mut given = GivenBack::default();
    let mut why: BTreeMap<u32, String> = BTreeMap::new();
    for was in former {
        let Some(is) = now.iter().find(|is| is.oid == was.oid) else {
            given.differs.push(format!(
                "{}: the table is gone, or was made anew, so nothing was given back on it",
                was.name()
            ));
            continue;
        };
        if let Some(error) = table(client, was, is, &roles).await? {
            why.insert(was.oid, format!(" ({error})"));
        }
    }
    let now = present(client, &oids).await?;
    for is in &now {
        let was = former.iter().find(|was| was.oid == is.oid);
        let was = was.expect("BUG: a table that was not asked for");
        let differs = differences(was, is);
        match differs.first() {
            None => given.as_before += 1,
            Some(first) => {
                let more = match differs.len() {
                    1 => String::new(),
                    n => format!(" and {} more", n - 1),
                };
                let why = why.get(&is.oid).map_or("", String::as_str);
                let name = is.name();
                given.differs.push(format!("{name}: {first}{more}{why}"));
            }
        }
    }
    Ok(given)
}

/// The names of roles as they are now; one that is gone has none.
async fn roles(client: &Client, former: &[FormerGrants]) -> Result<BTreeMap<u32, String>, Error> {
    let rights = former.iter().flat_map(FormerGrants::rights);
    let known: BTreeSet<u32> = rights.flat_map(|right| [right.to, right.by]).collect();
    let known: Vec<u32> = known.into_iter().collect();
    let sql = "SELECT oid, rolname::text FROM pg_catalog.pg_roles WHERE oid = ANY($1)";
    let rows = client.query(sql, &[&known]).await;
    let rows = rows.map_err(|error| Error::of_statement("read the names of roles", &error))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What was there, by the owner of now: the server hands the old owner's grants on to the new one.
fn wanted(was: &FormerGrants, is: &FormerGrants) -> BTreeSet<Right> {
    let to_new = |role: u32| if role == was.owner { is.owner } else { role };
    let rights = was.rights().into_iter().map(|right| Right {
        to: to_new(right.to),
        by: to_new(right.by),
        ..right
    });
    rights.collect()
}

/// Gives back what one table lacks; the last refusal of the server, where there was one.
async fn table(
    client: &Client,
    was: &FormerGrants,
    is: &FormerGrants,
    roles: &BTreeMap<u32, String>,
) -> Result<Option<Error>, Error> {
    let has = is.rights();
    let lacks = wanted(was, is)
        .into_iter()
        .filter(|right| right.is_write() && right.to != is.owner && !has.contains(right));
    // Columns are known by their number: the name may be another one by now, as may the table's.
    let mut here = was.clone();
    here.schema.clone_from(&is.schema);
    here.table.clone_from(&is.table);
    let names = column_names(client, is.oid).await?;
    for column in &mut here.columns {
        if let Some(name) = names.get(&column.number) {
            column.column.clone_from(name);
        }
    }
    let mut last = None;
    for right in in_order(lacks.collect(), is.owner) {
        let to = match right.to {
            0 => Some("PUBLIC".to_owned()),
            role => roles.get(&role).map(|name| quoted(name)),
        };
        let (Some(to), Some(on)) = (to, on_sql(&here, &right)) else {
            continue;
        };
        let option = match right.may_grant() {
            true => " WITH GRANT OPTION",
            false => "",
        };
        let grant = format!("GRANT {on} TO {to}{option}");
        let by = roles.get(&right.by).filter(|_| right.by != is.owner);
        let as_grantor = match by {
            Some(by) => {
                let named = format!("SET LOCAL ROLE {}; {grant}", quoted(by));
                refused(client, &named).await?.is_none()
            }
            None => false,
        };
        if !as_grantor && let Some(error) = refused(client, &grant).await? {
            last = Some(error);
        }
    }
    Ok(last)
}

async fn column_names(client: &Client, table: u32) -> Result<BTreeMap<i16, String>, Error> {
    let sql = "SELECT attnum, attname::text FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped";
    let rows = client.query(sql, &[&table]).await;
    let rows = rows.map_err(|error| Error::of_statement("read the columns of a table", &error))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// So that nobody grants what they have not been given yet: the owner's grants first, then those of whom they let grant on, and so forth.
fn in_order(mut lacks: Vec<Right>, owner: u32) -> Vec<Right> {
    // The whole table before its columns: who may grant the one on may grant the other.
    lacks.sort_by_key(|right| (right.column, !right.may_grant()));
    let mut ordered: Vec<Right> = Vec::new();
    while !lacks.is_empty() {
        let waits = |right: &Right| {
            let needs = |other: &Right| {
                other.to == right.by && other.may_grant() && other.plain() == right.plain()
            };
            right.by != owner && lacks.iter().any(|other| *other != *right && needs(other))
        };
        let (later, ready): (Vec<Right>, Vec<Right>) = lacks.iter().cloned().partition(waits);
        if ready.is_empty() {
            // A circle, which the server does not let anybody make: in any order.
            ordered.extend(later);
            break;
        }
        ordered.extend(ready);
        lacks = later;
    }
    ordered
}

/// In words, what one access list has and the other has not. A table that had none is its owner's: that a list says so by now is no difference.
fn differences(was: &FormerGrants, is: &FormerGrants) -> Vec<String> {
    let (wanted, mut has) = (wanted(was, is), is.rights());
    if was.grants.is_none() {
        has.retain(|right| right.column != 0 || right.to != is.owner);
    }
    let lacks = wanted.difference(&has);
    let lacks = lacks.map(|right| format!("{} is not back", words(was, right)));
    let more = has.difference(&wanted);
    let more = more.map(|right| format!("{} was not there before", words(is, right)));
    lacks.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(column: i16, to: u32, by: u32, right: &str) -> Right {
        let right = right.to_owned();
        Right {
            column,
            to,
            by,
            right,
        }
    }

    #[test]
    fn nobody_grants_what_they_have_not_been_given_yet() {
        let chain = [
            right(0, 3, 2, "UPDATE"),
            right(0, 2, 1, "UPDATE*"),
            right(0, 1, 9, "UPDATE*"),
            right(1, 4, 1, "UPDATE"),
            right(0, 3, 9, "INSERT"),
        ];
        let ordered = in_order(chain.to_vec(), 9);
        let place = |wanted: &Right| ordered.iter().position(|r| r == wanted);
        assert_eq!(ordered.len(), chain.len());
        assert!(place(&chain[2]) < place(&chain[1]));
        assert!(place(&chain[1]) < place(&chain[0]));
        assert!(place(&chain[2]) < place(&chain[3]));
    }
}
