//! Sequences, serials and identities: where they stand against the rows, and setting them so that the next insert works (`D3`).
//!
//! A sequence belongs to a column by ownership, by the column's default in whatever form, or because the transfer section says so. Text
//! keys that are built from a number (`'INV-' || nextval(…)`) count by the number in them. What a default does with the number is in
//! [`form`], and whether a column can take the next one in [`room`].

pub mod form;
mod room;

use serde::Serialize;
use tokio_postgres::{Client, Error};

use super::catalogue::around::NUMBERED_BY;
use super::quoted;
use form::{Affixes, Form};

/// A column whose sequences are to be looked at.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The target table's oid.
    pub table_oid: u32,
    /// `pg_attribute.attnum`
    pub column_number: i16,
    /// The highest number that the source ever gave out, deleted rows and rows that were put aside included.
    pub source_high: Option<i64>,
    /// The lowest, for a sequence that counts down.
    pub source_low: Option<i64>,
}

/// A sequence that the transfer section says a column is numbered by: its name, bare or with its schema, the table's oid, the column's
/// number.
pub type Stated = (String, u32, i16);

/// A sequence as it stands. Serialized as in `copy --json`, with what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aligned {
    /// Schema and name.
    pub sequence: String,
    /// The table it numbers.
    pub table: String,
    /// The column it numbers.
    pub column: String,
    /// `last_value`, read back.
    pub last_value: i64,
    /// `is_called`, read back.
    pub is_called: bool,
    /// The number that the next insert gets; none when the sequence is at its bound.
    pub next: Option<i64>,
    /// The column's `MAX` (`MIN` for a descending sequence); none when it is empty.
    pub max: Option<i64>,
    /// The key is text: `max` is the number in it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_text: bool,
    /// Whether the next insert works and repeats no number that the source ever gave out.
    pub proven: bool,
    /// What the server or the column's default has against the next number, where something has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hindrance: Option<Hindrance>,
}

/// Why a sequence that is not at its own bound has no next number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hindrance {
    /// The column cannot take it; in the server's words.
    Refused(String),
    /// The default makes the value in a way from which the number cannot be read back: this is the default. The sequence stays where it is.
    Unread(String),
}

/// A sequence and the column it numbers.
#[derive(Debug)]
struct Sequence {
    schema: String,
    name: String,
    table_schema: String,
    table: String,
    column: String,
    holds: Holds,
    /// The column's type, for a cast.
    column_type: String,
    /// The column's default, its domain's included.
    default: Option<String>,
    /// Checks of the table over this column alone.
    checks: Vec<String>,
    /// The role may read the sequence and the column, and sees all rows.
    readable: bool,
    start: i64,
    increment: i64,
    min: i64,
    max: i64,
    cycles: bool,
    /// Belongs to an identity: the server asks it once per row, and nobody takes blocks.
    is_identity: bool,
    source_high: Option<i64>,
    source_low: Option<i64>,
}

/// What the column that a sequence numbers holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holds {
    Numbers,
    /// The numbers below zero.
    Negatives,
    /// Text around the number.
    Text(Affixes),
    /// Something from which the number cannot be read back.
    Unread,
}

/// Sets every sequence of these columns and reads it back. Repeating it changes nothing. A sequence is never set back: numbers that it
/// gave out already stay given out. The names in `stated` are looked for in `schema`.
pub async fn align(
    client: &Client,
    schema: &str,
    columns: &[Numbered],
    stated: &[Stated],
) -> Result<Vec<Aligned>, Error> {
    judge(client, schema, columns, stated, Act::Set).await
}

/// Where every sequence of these columns would stand after [`align`], by what the source holds; touches nothing.
pub async fn foresee(
    client: &Client,
    schema: &str,
    columns: &[Numbered],
    stated: &[Stated],
) -> Result<Vec<Aligned>, Error> {
    judge(client, schema, columns, stated, Act::Foresee).await
}

/// Where every sequence of these columns stands against the rows that are there; touches nothing.
pub async fn look(
    client: &Client,
    schema: &str,
    columns: &[Numbered],
) -> Result<Vec<Aligned>, Error> {
    judge(client, schema, columns, &[], Act::Look).await
}

/// What is done about a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Set,
    Foresee,
    Look,
}

async fn judge(
    client: &Client,
    schema: &str,
    columns: &[Numbered],
    stated: &[Stated],
    act: Act,
) -> Result<Vec<Aligned>, Error> {
    let mut judged = Vec::new();
    for sequence in sequences(client, schema, columns, stated).await? {
        if act == Act::Look && (!sequence.readable || sequence.holds == Holds::Unread) {
            continue;
        }
        let extreme = match act {
            Act::Set | Act::Look => sequence.extreme(client).await?,
            // What the target holds now is not what it will hold.
            Act::Foresee => None,
        };
        let (mut last_value, mut is_called) = sequence.state(client).await?;
        let wanted = sequence.wanted(extreme, last_value, is_called);
        match (act, wanted) {
            (Act::Look, _) | (_, None) => {}
            (Act::Set, Some((last, called))) => {
                client
                    .query(
                        "SELECT setval($1::text::regclass, $2, $3)",
                        &[&sequence.qualified(), &last, &called],
                    )
                    .await?;
                (last_value, is_called) = sequence.state(client).await?;
            }
            (Act::Foresee, Some(foreseen)) => (last_value, is_called) = foreseen,
        }
        let next = sequence.next(last_value, is_called);
        let hindrance = match (act, next) {
            (Act::Look, _) | (_, None) => None,
            (Act::Set | Act::Foresee, Some(next)) => sequence.hindrance(client, next).await?,
        };
        let next = next.filter(|_| !matches!(hindrance, Some(Hindrance::Refused(_))));
        judged.push(Aligned {
            proven: hindrance.is_none() && next.is_some_and(|next| sequence.is_free(next, extreme)),
            hindrance,
            sequence: format!("{}.{}", sequence.schema, sequence.name),
            of_text: matches!(sequence.holds, Holds::Text(_)),
            table: sequence.table,
            column: sequence.column,
            last_value,
            is_called,
            next,
            max: extreme,
        });
    }
    Ok(judged)
}

impl Sequence {
    fn qualified(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// The column's outermost number in the direction of the sequence.
    async fn extreme(&self, client: &Client) -> Result<Option<i64>, Error> {
        let function = if self.increment > 0 { "max" } else { "min" };
        let column = quoted(&self.column);
        let number = match &self.holds {
            Holds::Numbers => column,
            Holds::Negatives => format!("(- {column})"),
            Holds::Text(affixes) => {
                let pattern = affixes.pattern().replace('\'', "''");
                format!("substring({column}::text from '{pattern}')::bigint")
            }
            Holds::Unread => return Ok(None),
        };
        let bounded = format!(
            "{function}({number}) FILTER (WHERE {number} BETWEEN -9223372036854775808 AND 9223372036854775807)"
        );
        let sql = format!(
            "SELECT trunc(({bounded})::numeric)::bigint FROM {}.{}",
            quoted(&self.table_schema),
            quoted(&self.table)
        );
        Ok(client.query_one(&sql, &[]).await?.get(0))
    }

    async fn state(&self, client: &Client) -> Result<(i64, bool), Error> {
        let row = client
            .query_one(
                &format!("SELECT last_value, is_called FROM {}", self.qualified()),
                &[],
            )
            .await?;
        Ok((row.get(0), row.get(1)))
    }

    fn next(&self, last: i64, called: bool) -> Option<i64> {
        if !called {
            return Some(last);
        }
        let next = last
            .checked_add(self.increment)
            .filter(|next| (self.min..=self.max).contains(next));
        next.or_else(|| {
            self.cycles.then_some(if self.increment > 0 {
                self.min
            } else {
                self.max
            })
        })
    }

    /// The outermost number given out on either side.
    fn used(&self, extreme: Option<i64>) -> Option<i64> {
        if self.increment > 0 {
            extreme.max(self.source_high)
        } else {
            extreme.into_iter().chain(self.source_low).min()
        }
    }

    fn is_free(&self, next: i64, extreme: Option<i64>) -> bool {
        match self.used(extreme) {
            None => true,
            // An object mapper that takes ids in blocks gives out those from here to the step before (Hibernate's pooled optimiser).
            Some(used) if self.increment > 0 => next.saturating_sub(self.block() - 1) > used,
            Some(used) => next < used,
        }
    }

    /// How many ids one number may stand for.
    fn block(&self) -> i64 {
        if self.is_identity {
            1
        } else {
            self.increment.max(1)
        }
    }

    /// What to set it to, or None where it stands well already.
    fn wanted(&self, extreme: Option<i64>, last: i64, called: bool) -> Option<(i64, bool)> {
        let used = self.used(extreme)?;
        if self.holds == Holds::Unread {
            return None;
        }
        if self
            .next(last, called)
            .is_some_and(|next| self.is_free(next, extreme))
        {
            return None;
        }
        if self.increment.abs() == 1 {
            // The usual case, in the usual form: the last number given out.
            return Some((used.clamp(self.min, self.max), true));
        }
        // The first number beyond on the sequence's own grid, so that shards that share a range keep to their own numbers.
        let (used, start, step) = (
            i128::from(used),
            i128::from(self.start),
            i128::from(self.increment),
        );
        let block = i128::from(self.block() - 1);
        let steps = ((used + block - start) * step.signum())
            .div_euclid(step.abs())
            .max(-1)
            + 1;
        let next = i64::try_from(start + steps * step)
            .ok()
            .filter(|next| (self.min..=self.max).contains(next));
        Some(next.map_or(
            (
                used.clamp(i128::from(self.min), i128::from(self.max)) as i64,
                true,
            ),
            |next| (next, false),
        ))
    }
}

/// Sequences that belong to the columns (identity, serial), feed their defaults, or are said to number them.
async fn sequences(
    client: &Client,
    schema: &str,
    columns: &[Numbered],
    stated: &[Stated],
) -> Result<Vec<Sequence>, Error> {
    let oids: Vec<u32> = columns.iter().map(|column| column.table_oid).collect();
    let names: Vec<&str> = stated.iter().map(|(name, ..)| name.as_str()).collect();
    let tables: Vec<u32> = stated.iter().map(|(_, table, _)| *table).collect();
    let numbers: Vec<i16> = stated.iter().map(|(.., number)| *number).collect();
    let sql = format!(
        "WITH used AS (
           SELECT sequence, relation, number FROM ({NUMBERED_BY}) AS known WHERE relation = ANY($1)
           UNION
           SELECT s.oid, u.relation, u.number FROM unnest($3::text[], $4::oid[], $5::int2[]) AS u(name, relation, number)
             JOIN pg_class s ON s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
              AND u.name IN (CASE WHEN n.nspname = $2 THEN s.relname::text END, n.nspname || '.' || s.relname))
         SELECT sn.nspname::text, s.relname::text, tn.nspname::text, t.relname::text, a.attname::text, q.seqstart, q.seqincrement,
                q.seqmin, q.seqmax, q.seqcycle, u.relation, a.attnum, y.typcategory::text,
                format_type(a.atttypid, a.atttypmod),
                coalesce(pg_get_expr(f.adbin, f.adrelid), CASE WHEN a.attidentity = '' AND y.typtype = 'd' THEN pg_get_expr(y.typdefaultbin, 0) END),
                a.attidentity <> '',
                ARRAY(SELECT pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k
                       WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]),
                has_sequence_privilege(s.oid, 'SELECT') AND has_schema_privilege(sn.oid, 'USAGE') AND has_schema_privilege(tn.oid, 'USAGE')
                  AND has_column_privilege(t.oid, a.attnum, 'SELECT') AND NOT row_security_active(t.oid)
         FROM used u JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
         JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_class t ON t.oid = u.relation JOIN pg_namespace tn ON tn.oid = t.relnamespace
         JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number JOIN pg_type y ON y.oid = a.atttypid
         LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
         WHERE y.typcategory IN ('N', 'S')
         ORDER BY sn.nspname COLLATE \"C\", s.relname COLLATE \"C\", t.relname COLLATE \"C\", a.attnum"
    );
    let rows = client
        .query(&sql, &[&oids, &schema, &names, &tables, &numbers])
        .await?;
    Ok(rows.iter().map(|row| sequence(row, columns)).collect())
}

fn sequence(row: &tokio_postgres::Row, columns: &[Numbered]) -> Sequence {
    let (relation, number): (u32, i16) = (row.get(10), row.get(11));
    let of_column =
        |column: &&Numbered| column.table_oid == relation && column.column_number == number;
    let column = columns.iter().find(of_column);
    let high = column.and_then(|column| column.source_high);
    let low = column.and_then(|column| column.source_low);
    let (increment, default): (i64, Option<String>) = (row.get(6), row.get(14));
    let form = match row.get::<_, &str>(12) {
        "S" => Form::of_text(default.as_deref()),
        _ => Form::of_number(default.as_deref()),
    };
    let holds = match form {
        Form::Plain => Holds::Numbers,
        // What is added only leads further away from the numbers that are used, where the sequence counts up.
        Form::Beyond if increment > 0 => Holds::Numbers,
        Form::Negated => Holds::Negatives,
        Form::Text(affixes) => Holds::Text(affixes),
        Form::Beyond | Form::Unread => Holds::Unread,
    };
    let (source_high, source_low) = match holds {
        Holds::Negatives => (
            low.and_then(i64::checked_neg),
            high.and_then(i64::checked_neg),
        ),
        Holds::Numbers | Holds::Text(_) | Holds::Unread => (high, low),
    };
    Sequence {
        schema: row.get(0),
        name: row.get(1),
        table_schema: row.get(2),
        table: row.get(3),
        column: row.get(4),
        holds,
        column_type: row.get(13),
        default,
        checks: row.get(16),
        readable: row.get(17),
        start: row.get(5),
        increment,
        min: row.get(7),
        max: row.get(8),
        cycles: row.get(9),
        is_identity: row.get(15),
        source_high,
        source_low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(start: i64, increment: i64, source_high: Option<i64>) -> Sequence {
        let (min, max) = if increment > 0 {
            (1, i64::MAX)
        } else {
            (i64::MIN, -1)
        };
        let name = || "n".to_owned();
        Sequence {
            schema: name(),
            name: name(),
            table_schema: name(),
            table: name(),
            column: name(),
            holds: Holds::Numbers,
            column_type: name(),
            default: None,
            checks: Vec::new(),
            readable: true,
            start,
            increment,
            min,
            max,
            cycles: false,
            is_identity: false,
            source_high,
            source_low: None,
        }
    }

    #[test]
    fn the_next_number_is_new_on_both_sides() {
        // (start, increment, sqlite_sequence, extreme, last, called) → what it is set to
        for (start, increment, high, extreme, last, called, wanted) in [
            (1, 1, None, None, 1, false, None),
            (1, 1, Some(50), None, 1, false, Some((50, true))),
            (1, 1, Some(3), Some(2), 1, false, Some((3, true))),
            (1, 1, None, Some(7), 1, false, Some((7, true))),
            (1, 1, None, Some(7), 90, true, None),
            (1, 1, None, Some(-5), 1, false, None),
            (5, 10, None, Some(5), 5, false, Some((15, false))),
            (5, 10, None, Some(9), 5, false, Some((25, false))),
            (5, 10, None, Some(15), 5, false, Some((25, false))),
            (1, 50, None, Some(123), 1, false, Some((201, false))),
            (-1, -1, Some(9), Some(-4), -1, false, Some((-4, true))),
            (-1, -10, None, Some(-4), -1, false, Some((-11, false))),
            (-1, -10, None, Some(-11), -1, false, Some((-21, false))),
        ] {
            let sequence = sequence(start, increment, high);
            let set = sequence.wanted(extreme, last, called);
            assert_eq!(
                set, wanted,
                "start {start} by {increment}, {high:?}, {extreme:?}"
            );
            let (last, called) = set.unwrap_or((last, called));
            assert!(
                sequence
                    .next(last, called)
                    .is_some_and(|next| sequence.is_free(next, extreme))
            );
        }
    }

    #[test]
    fn a_sequence_at_its_bound_has_no_next() {
        let mut full = sequence(1, 1, None);
        full.max = 7;
        assert_eq!(full.wanted(Some(7), 1, false), Some((7, true)));
        assert_eq!(full.next(7, true), None);
    }
}
