//! What constraints and indexes said when the import began, they still say: one of the same name that is another now lets in what the former
//! kept out. One that is gone is the matter of [`promises`](super::promises), which knows it by what it does and not by its name.

use super::super::error::Error;
use super::super::pair::literal;
use super::super::report::Check;
use super::super::sides::Sides;
use super::{Wrong, promises};
use crate::text::printable;
use std::collections::BTreeMap;

/// Valid indexes of the schema. Their keys are the server's words for columns and expressions, with the collation where it is their own.
pub(super) const INDEXES: &str = "
    SELECT c.relname::text AS table_name, x.relname::text AS name, i.indexrelid, i.indisunique AS is_unique,
           i.indpred IS NOT NULL OR i.indexprs IS NOT NULL AS is_by_words, words.apart, words.together,
           nullif(concat_ws(' ', CASE WHEN pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT DISTINCT%' THEN 'NULLS NOT DISTINCT' END,
                            'WHERE ' || pg_get_expr(i.indpred, i.indrelid)), '') AS condition
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $schema
     CROSS JOIN LATERAL (
           SELECT string_agg(one.word, chr(1) ORDER BY one.place) AS apart, string_agg(one.word, ', ' ORDER BY one.place) AS together
             FROM (SELECT k.place, pg_get_indexdef(i.indexrelid, k.place::int, false) || CASE
                            WHEN o.collname <> 'default' AND o.oid IS DISTINCT FROM a.attcollation
                            THEN format(' COLLATE %I.%I', m.nspname, o.collname) ELSE '' END AS word
                     FROM unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY AS k(number, collated, place)
                     LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
                     LEFT JOIN pg_collation o ON o.oid = k.collated LEFT JOIN pg_namespace m ON m.oid = o.collnamespace
                    WHERE k.place <= i.indnkeyatts) AS one) AS words
     WHERE i.indisvalid";

/// Constraints, and the indexes that serve none, by their names.
const NOW: &str = "
    SELECT 'constraint', c.relname, f.conname, regexp_replace(pg_get_constraintdef(f.oid), ' NOT VALID$', '')
      FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $schema
     WHERE f.contype IN ('p', 'u', 'f', 'c', 'x')
     UNION ALL
    SELECT 'index', i.table_name, i.name, concat(CASE WHEN i.is_unique THEN 'UNIQUE ' END, '(', i.together, ')', ' ' || i.condition)
      FROM ($indexes) AS i
     WHERE NOT EXISTS (SELECT FROM pg_constraint f WHERE f.conindid = i.indexrelid AND f.contype IN ('p', 'u', 'x'))";

/// One verdict over all that is on record.
pub(super) async fn unchanged(sides: &Sides, id: &str) -> Result<Check, Error> {
    let sql = NOW
        .replace("$indexes", INDEXES)
        .replace("$schema", &literal(&sides.schema));
    let rows = sides
        .ask("reading what constraints and indexes say", &sql)
        .await?;
    let now: BTreeMap<_, _> = rows.into_iter().filter_map(named).collect();
    let recorded = promises::record(
        sides,
        "p.columns[1], p.table_name, p.columns[2], p.columns[3], p.kind",
    )
    .await?;
    let of_kind = |row: &Vec<Option<String>>| {
        let kind = row.get(4).and_then(Option::as_deref);
        kind == Some("definition")
    };
    let (mut same, mut accepted, mut wrong) = (0, Vec::new(), Wrong::default());
    for (what, before) in recorded.into_iter().filter(of_kind).filter_map(named) {
        match now.get(&what) {
            Some(words) if *words == before => same += 1,
            Some(words) => {
                let Named { what, table, name } = &what;
                let called = format!("{what} {name}");
                let name = printable(&called, 120);
                let shown = format!("{name} of {}", printable(table, 80));
                let (before, words) = (printable(&before, 200), printable(words, 200));
                if sides.transfer.accepts(&called) {
                    accepted.push(shown);
                } else {
                    wrong.add(|| {
                        format!(
                            "{shown}: it was {before} when the import began, and is {words} now; make it again as it was, or accept it by \
                             `accept: {name}`"
                        )
                    });
                }
            }
            None => {}
        }
    }
    Ok(wrong.verdict(id, "schema: definitions".to_owned(), || {
        let mut good =
            format!("{same} constraint(s) and index(es) say what they said when the import began");
        if !accepted.is_empty() {
            good.push_str(&format!("; changed, and accepted: {}", accepted.join(", ")));
        }
        printable(&good, 600)
    }))
}

/// A constraint or an index by its table and name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    /// `constraint` or `index`.
    what: String,
    table: String,
    name: String,
}

/// A row of four texts or more: what it is, its table, its name, its words.
fn named(row: Vec<Option<String>>) -> Option<(Named, String)> {
    let mut cells = row.into_iter();
    let mut next = || cells.next().flatten();
    let (what, table, name, words) = (next()?, next()?, next()?, next()?);
    Some((Named { what, table, name }, words))
}
