//! Sequences, serials and identities: where they stand against the rows, and setting them so that the next insert works (`D3`).

use serde::Serialize;
use tokio_postgres::{Client, Error};

use super::quoted;

/// A column whose sequences are to be looked at.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The target table's oid.
    pub table_oid: u32,
    /// `pg_attribute.attnum`
    pub column_number: i16,
    /// The highest number that the source ever gave out, deleted rows included.
    pub source_high: Option<i64>,
}

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
    /// Whether the next insert works and repeats no number that the source ever gave out.
    pub proven: bool,
}

/// A sequence and the column it numbers.
#[derive(Debug)]
struct Sequence {
    schema: String,
    name: String,
    table_schema: String,
    table: String,
    column: String,
    start: i64,
    increment: i64,
    min: i64,
    max: i64,
    cycles: bool,
    source_high: Option<i64>,
}

/// Sets every sequence of these columns and reads it back. Repeating it changes nothing. A sequence is never set back: numbers that it
/// gave out already stay given out.
pub async fn align(client: &Client, columns: &[Numbered]) -> Result<Vec<Aligned>, Error> {
    judge(client, columns, true).await
}

/// Where every sequence of these columns stands, without touching it.
pub async fn look(client: &Client, columns: &[Numbered]) -> Result<Vec<Aligned>, Error> {
    judge(client, columns, false).await
}

async fn judge(client: &Client, columns: &[Numbered], set: bool) -> Result<Vec<Aligned>, Error> {
    let mut judged = Vec::new();
    for sequence in sequences(client, columns).await? {
        let extreme = sequence.extreme(client).await?;
        let (last, called) = sequence.state(client).await?;
        if let Some((last, called)) = sequence.wanted(extreme, last, called).filter(|_| set) {
            client
                .query(
                    "SELECT setval($1::text::regclass, $2, $3)",
                    &[&sequence.qualified(), &last, &called],
                )
                .await?;
        }
        let (last_value, is_called) = sequence.state(client).await?;
        let next = sequence.next(last_value, is_called);
        judged.push(Aligned {
            proven: next.is_some_and(|next| sequence.is_free(next, extreme)),
            sequence: format!("{}.{}", sequence.schema, sequence.name),
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
        let sql = format!(
            "SELECT {function}({column})::bigint FROM {}.{}",
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

    /// The outermost number given out on either side; only an ascending sequence can meet SQLite's.
    fn used(&self, extreme: Option<i64>) -> Option<i64> {
        if self.increment > 0 {
            extreme.max(self.source_high)
        } else {
            extreme
        }
    }

    fn is_free(&self, next: i64, extreme: Option<i64>) -> bool {
        match self.used(extreme) {
            None => true,
            Some(used) if self.increment > 0 => next > used,
            Some(used) => next < used,
        }
    }

    /// What to set it to, or None where it stands well already.
    fn wanted(&self, extreme: Option<i64>, last: i64, called: bool) -> Option<(i64, bool)> {
        let used = self.used(extreme)?;
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
        let steps = ((used - start) * step.signum())
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

/// Sequences that belong to the columns (identity, serial) or feed their defaults.
async fn sequences(client: &Client, columns: &[Numbered]) -> Result<Vec<Sequence>, Error> {
    let oids: Vec<u32> = columns.iter().map(|column| column.table_oid).collect();
    let rows = client
        .query(
            "WITH used AS (
               SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend d
               WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                 AND d.refobjid = ANY($1)
               UNION
               SELECT d.refobjid, f.adrelid, f.adnum FROM pg_attrdef f JOIN pg_depend d
                 ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
               WHERE f.adrelid = ANY($1))
             SELECT sn.nspname::text, s.relname::text, tn.nspname::text, t.relname::text, a.attname::text, q.seqstart, q.seqincrement,
                    q.seqmin, q.seqmax, q.seqcycle, u.relation, a.attnum
             FROM used u JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
             JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_class t ON t.oid = u.relation JOIN pg_namespace tn ON tn.oid = t.relnamespace
             JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number
             WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
             ORDER BY sn.nspname COLLATE \"C\", s.relname COLLATE \"C\", t.relname COLLATE \"C\", a.attnum",
            &[&oids],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let (relation, number): (u32, i16) = (row.get(10), row.get(11));
            let of_column =
                |column: &&Numbered| column.table_oid == relation && column.column_number == number;
            Sequence {
                schema: row.get(0),
                name: row.get(1),
                table_schema: row.get(2),
                table: row.get(3),
                column: row.get(4),
                start: row.get(5),
                increment: row.get(6),
                min: row.get(7),
                max: row.get(8),
                cycles: row.get(9),
                source_high: columns
                    .iter()
                    .find(of_column)
                    .and_then(|column| column.source_high),
            }
        })
        .collect())
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
            start,
            increment,
            min,
            max,
            cycles: false,
            source_high,
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
            (5, 10, None, Some(9), 5, false, Some((15, false))),
            (5, 10, None, Some(15), 5, false, Some((25, false))),
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
