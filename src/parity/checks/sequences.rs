//! Sequences (`V5`, `D3`): the next id is one that was never used.

use super::super::error::Error;
use super::super::pair::{TablePair, literal, quoted};
use super::super::report::Check;
use super::super::sides::Sides;
use super::Wrong;
use crate::runbook::transfer::names::{listed, means_column};
use crate::text::printable;
use rusqlite::OptionalExtension;
use std::sync::Arc;

/// One verdict per sequence that fills a column of the schema, by ownership, by the column's default in whatever form, or because the
/// transfer section says so: its next value lies beyond every id that the target holds, that the backup holds, and that SQLite ever gave
/// out (`sqlite_sequence`: ids of deleted rows are never used again). Where the key is text, the sequence's next value is told beside the
/// highest number in that text, which is not judged.
pub async fn sequences(sides: &Sides, id: &str) -> Result<Vec<Check>, Error> {
    let doing = "reading the sequences";
    let schema = literal(&sides.schema);
    let stated = stated(sides);
    // Other tables of the schema may be closed to us, and are no concern of the comparison.
    let mut compared = vec!["NULL".to_owned()];
    let pairs = sides.pairing.pairs.iter();
    compared.extend(pairs.map(|pair| literal(&pair.target)));
    let compared = compared.join(", ");
    let sql = format!(
        "SELECT DISTINCT sn.nspname, s.relname, t.relname, a.attname, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle, y.typcategory,
                coalesce(pg_get_expr(df.adbin, df.adrelid), y.typdefault, '') ~ '^[(]- [(]*nextval[(]'
           FROM pg_class s
           JOIN pg_namespace sn ON sn.oid = s.relnamespace
           JOIN pg_sequence q ON q.seqrelid = s.oid
           JOIN (SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attribute
                   FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
                  UNION
                 SELECT d.refobjid, f.adrelid, f.adnum
                   FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
                  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
                  UNION
                 SELECT d.refobjid, k.attrelid, k.attnum
                   FROM pg_depend d JOIN pg_attribute k ON k.atttypid = d.objid AND k.attnum > 0 AND NOT k.atthasdef
                  WHERE d.classid = 'pg_type'::regclass AND d.refclassid = 'pg_class'::regclass
                  UNION
                 SELECT x.oid, f.adrelid, f.adnum
                   FROM pg_attrdef f JOIN pg_class o ON o.oid = f.adrelid JOIN pg_namespace xn ON true JOIN pg_class x ON x.relnamespace = xn.oid
                  WHERE x.relkind = 'S' AND o.relnamespace = xn.oid
                    AND pg_get_expr(f.adbin, f.adrelid) ~ ('nextval[(]+''(' || xn.nspname || '[.])?' || regexp_replace(x.relname, '([][\\.*+?(){{}}^$|])', '\\\\\\1', 'g') || '''::text')
                  UNION
                 SELECT x.oid, o.oid, c.attnum
                   FROM (VALUES {stated}) AS v(sequence, relation, attribute)
                   JOIN pg_namespace xn ON true JOIN pg_class x ON x.relnamespace = xn.oid AND x.relkind = 'S'
                    AND v.sequence IN (CASE WHEN xn.nspname = {schema} THEN x.relname::text END, xn.nspname || '.' || x.relname)
                   JOIN pg_class o ON o.relname = v.relation JOIN pg_namespace n ON n.oid = o.relnamespace AND n.nspname = {schema}
                   JOIN pg_attribute c ON c.attrelid = o.oid AND c.attname = v.attribute) u ON u.sequence = s.oid
           JOIN pg_class t ON t.oid = u.relation AND t.relkind IN ('r', 'p', 'v', 'f')
           JOIN pg_namespace tn ON tn.oid = t.relnamespace AND tn.nspname = {schema}
           JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.attribute
           JOIN pg_type y ON y.oid = a.atttypid
           LEFT JOIN pg_attrdef df ON df.adrelid = a.attrelid AND df.adnum = a.attnum
          WHERE s.relkind = 'S'
            AND (t.relname IN ({compared}) OR has_sequence_privilege(s.oid, 'SELECT') AND has_schema_privilege(sn.oid, 'USAGE')
                 AND has_column_privilege(t.oid, a.attnum, 'SELECT') AND NOT row_security_active(t.oid))
          ORDER BY 1, 2, 3, 4"
    );
    let mut checks = Vec::new();
    for row in sides.ask(doing, &sql).await? {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let number = |at: usize| text(at).parse::<i128>().unwrap_or_default();
        let sequence = Sequence {
            name: format!("{}.{}", quoted(&text(0)), quoted(&text(1))),
            title: printable(&format!("{}.{}", text(2), text(3)), 160),
            table: text(2),
            column: text(3),
            increment: number(4),
            bounds: (number(5), number(6)),
            cycles: text(7) == "t",
            is_text: text(8) == "S",
            is_negated: text(9) == "t",
        };
        checks.push(sequence.check(sides, id).await?);
    }
    Ok(checks)
}

struct Sequence {
    /// Quoted, with its schema.
    name: String,
    title: String,
    table: String,
    column: String,
    increment: i128,
    bounds: (i128, i128),
    cycles: bool,
    is_text: bool,
    /// The column holds the numbers below zero: `DEFAULT -nextval(…)`.
    is_negated: bool,
}

/// What the transfer section says of free sequences, as rows of SQL: sequence, target table, target column.
fn stated(sides: &Sides) -> String {
    let mut rows = vec!["(NULL::text, NULL::text, NULL::text)".to_owned()];
    for (sequence, fed) in &sides.transfer.sequences {
        for name in listed(fed) {
            let column = sides.pairing.pairs.iter().find_map(|pair| {
                let mut columns = pair.columns.iter();
                let column =
                    columns.find(|column| means_column(name, &pair.source, &column.source))?;
                Some((&pair.target, &column.target))
            });
            if let Some((table, column)) = column {
                rows.push(format!(
                    "({}, {}, {})",
                    literal(sequence),
                    literal(table),
                    literal(column)
                ));
            }
        }
    }
    rows.join(", ")
}

impl Sequence {
    async fn check(&self, sides: &Sides, id: &str) -> Result<Check, Error> {
        let next = self.next(sides).await?;
        let name = format!("sequence of {}", self.title);
        if self.is_text {
            let good = || {
                format!(
                    "next value {next} of {}; its column is text, whose numbers are not compared",
                    printable(&self.name, 160)
                )
            };
            return Ok(Wrong::default().verdict(id, name, good));
        }
        let used = [
            ("the target's furthest id", self.in_target(sides).await?),
            ("the backup's furthest id", self.in_source(sides).await?),
        ];
        let mut wrong = Wrong::default();
        for (what, furthest) in used {
            let Some(furthest) = furthest else { continue };
            let given = if self.is_negated { -next } else { next };
            let is_beyond = if self.is_upward() {
                given > furthest
            } else {
                given < furthest
            };
            if !is_beyond {
                wrong.add(|| {
                    format!(
                        "{}: the sequence would give {given} next, and {what} is {furthest}",
                        self.title
                    )
                });
            }
        }
        let (low, high) = self.bounds;
        if !self.cycles && !(low..=high).contains(&next) {
            wrong.add(|| {
                format!(
                    "{}: the sequence is used up: its next value {next} lies outside {low}..{high}",
                    self.title
                )
            });
        }
        let is_compared = sides
            .pairing
            .pairs
            .iter()
            .any(|pair| pair.target == self.table);
        if wrong.count > 0 && !is_compared {
            let good = || {
                format!(
                    "next value {next}, which is taken: an insert into this table, which the target alone has, will fail; not the cutover's doing"
                )
            };
            return Ok(Wrong::default().verdict(id, name, good));
        }
        let accepted = self.accepted_name(sides);
        if sides.transfer.accepts(&accepted) {
            let good = || {
                format!(
                    "next value {next}; accepted as `{}`",
                    printable(&accepted, 160)
                )
            };
            return Ok(Wrong::default().verdict(id, name, good));
        }
        Ok(wrong.verdict(id, name, || {
            format!("next value {next}, beyond every id ever used")
        }))
    }

    /// Whether the ids of the column grow.
    fn is_upward(&self) -> bool {
        (self.increment > 0) != self.is_negated
    }

    /// What `accept:` calls the next id of this column.
    fn accepted_name(&self, sides: &Sides) -> String {
        let pairs = &sides.pairing.pairs;
        let source = pairs
            .iter()
            .find(|pair| pair.target == self.table)
            .and_then(|pair| {
                let mut columns = pair.columns.iter();
                let column = columns.find(|column| column.target == self.column)?;
                Some((pair.source.as_str(), column.source.as_str()))
            });
        let (table, column) = source.unwrap_or((&self.table, &self.column));
        format!("next id {table}({column})")
    }

    async fn next(&self, sides: &Sides) -> Result<i128, Error> {
        let doing = format!("reading the sequence {}", self.name);
        let rows = sides
            .ask(
                &doing,
                &format!("SELECT last_value, is_called FROM {}", self.name),
            )
            .await?;
        let row = rows.into_iter().next().unwrap_or_default();
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let last: i128 = text(0).parse().map_err(|_| Error::Unreadable {
            table: self.name.clone(),
            column: "last_value".to_owned(),
            value: printable(&text(0), 80),
        })?;
        Ok(if text(1) == "t" {
            last + self.increment
        } else {
            last
        })
    }

    /// Rows written since the switch count as well: their ids are used.
    async fn in_target(&self, sides: &Sides) -> Result<Option<i128>, Error> {
        let furthest = if self.is_upward() { "max" } else { "min" };
        let (column, table) = (quoted(&self.column), quoted(&self.table));
        let sql = format!(
            "SELECT {furthest}({column})::numeric::text FROM {}.{table}",
            quoted(&sides.schema)
        );
        let rows = sides
            .ask_rows(&format!("reading the furthest id of {}", self.title), &sql)
            .await?;
        Ok(rows
            .into_iter()
            .flatten()
            .flatten()
            .next()
            .and_then(|text| text.parse().ok()))
    }

    async fn in_source(&self, sides: &Sides) -> Result<Option<i128>, Error> {
        let Some(pair) = sides
            .pairing
            .pairs
            .iter()
            .find(|pair| pair.target == self.table)
        else {
            return Ok(None);
        };
        let Some(column) = pair
            .columns
            .iter()
            .find(|column| column.target == self.column)
        else {
            return Ok(None);
        };
        let (pair, column, upward): (Arc<TablePair>, _, _) =
            (pair.clone(), column.source.clone(), self.is_upward());
        sides
            .on_source(move |connection| furthest_in_source(connection, &pair, &column, upward))
            .await
    }
}

fn furthest_in_source(
    connection: &rusqlite::Connection,
    pair: &TablePair,
    column_name: &str,
    upward: bool,
) -> Result<Option<i128>, Error> {
    let failed = |source| Error::Read {
        table: pair.source.clone(),
        source,
    };
    let order = if upward { "DESC" } else { "ASC" };
    let (column, table) = (quoted(column_name), quoted(&pair.source));
    // In this form SQLite walks the table from its end where the column is the rowid.
    let sql = format!(
        "SELECT {column} FROM {table} NOT INDEXED WHERE typeof({column}) = 'integer' ORDER BY {column} {order} LIMIT 1"
    );
    let held: Option<i64> = connection
        .query_row(&sql, [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let keeps_count = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    let mut given = None;
    let is_key = pair.columns[..pair.key_columns]
        .iter()
        .any(|part| part.source == column_name);
    if upward
        && is_key
        && connection
            .query_row(keeps_count, [], |row| row.get::<_, i64>(0))
            .map_err(failed)?
            > 0
    {
        // Nothing keeps an application from writing something other than a number there.
        let sql =
            "SELECT max(seq) FROM sqlite_sequence WHERE name = ?1 AND typeof(seq) = 'integer'";
        given = connection
            .query_row(sql, [&pair.source], |row| row.get::<_, Option<i64>>(0))
            .map_err(failed)?;
    }
    Ok(held.max(given).map(i128::from))
}
