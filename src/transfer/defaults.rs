//! The constants that target columns have for their defaults, for `null: default`: the server itself makes them of their expressions,
//! in the form of binary COPY. A default that is computed anew for each row (`now()`, a sequence) is no constant and not in here.

use std::collections::HashMap;

use tokio_postgres::Client;

use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::Layout;

/// Asks for the columns that are NOT NULL, where a NULL of the source would need a default.
pub(crate) async fn fill(client: &Client, layout: &mut Layout) -> Result<(), Error> {
    let oids: Vec<u32> = layout.tables.iter().map(|table| table.target.oid).collect();
    let rows = client
        .query(
            "SELECT a.attrelid, a.attnum, coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.pg_get_expr(t.typdefaultbin, 0)), t.typsend::pg_catalog.regproc::text,
                    pg_catalog.format_type(a.atttypid, a.atttypmod), t.typcategory IN ('S', 'V')
             FROM pg_catalog.pg_attribute a
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND (d.oid IS NOT NULL OR t.typtype = 'd' AND t.typdefault IS NOT NULL)
               AND a.attgenerated = '' AND (a.attnotnull OR t.typnotnull) AND NOT a.attisdropped",
            &[&oids],
        )
        .await
        .map_err(server("reading the defaults of the target's columns"))?;
    let mut asked: Vec<((u32, i16), String)> = Vec::new();
    for row in &rows {
        let (expression, send, kind): (&str, &str, &str) = (row.get(2), row.get(3), row.get(4));
        if is_constant(expression) {
            // A cast cuts what is too long; an insert that takes the default fails on it.
            let whole = match row.get::<_, bool>(5) {
                true => format!(
                    " WHERE pg_catalog.rtrim(CAST(CAST(({expression}) AS {kind}) AS text), ' ') = pg_catalog.rtrim(CAST(({expression}) AS text), ' ')"
                ),
                false => String::new(),
            };
            let sql = format!("SELECT {send}(CAST(({expression}) AS {kind})){whole}");
            asked.push(((row.get(0), row.get(1)), sql));
        }
    }
    let constants = constants(client, &asked).await?;
    for table in &mut layout.tables {
        for column in &mut table.columns {
            let field = constants.get(&(table.target.oid, column.target.number));
            column.converter.default = field.map(|field| field.as_slice().into());
        }
    }
    Ok(())
}

/// The values of constant expressions. One that the server refuses has none.
async fn constants(
    client: &Client,
    asked: &[((u32, i16), String)],
) -> Result<HashMap<(u32, i16), Vec<u8>>, Error> {
    let mut known = HashMap::new();
    for (column, sql) in asked {
        match client.query_opt(sql.as_str(), &[]).await {
            Ok(row) => {
                if let Some(field) = row.and_then(|row| row.get::<_, Option<Vec<u8>>>(0)) {
                    known.insert(*column, field);
                }
            }
            Err(error) if error.as_db_error().is_some() => {}
            Err(error) => return Err(server("asking for the default of a column")(error)),
        }
    }
    Ok(known)
}

/// Whether an expression, as `pg_get_expr` shows it, is a literal with casts: `0`, `'-1'::integer`, `(1)::smallint`, `true`,
/// `'{}'::jsonb`. `'now'` and its like are no constants, whatever they are cast to.
pub(crate) fn is_constant(expression: &str) -> bool {
    let mut rest = expression.trim();
    loop {
        rest = match rest.strip_prefix('(') {
            // A pair of parentheses around the literal, casts behind it.
            Some(inner) => {
                let Some(end) = closing(inner) else {
                    return false;
                };
                if !is_casts(&inner[end + 1..]) {
                    return false;
                }
                inner[..end].trim()
            }
            None => break,
        };
    }
    match literal_end(rest) {
        Some(end) => {
            let moving = ["now", "today", "tomorrow", "yesterday"];
            let text = rest[..end].trim_matches('\'').trim().to_ascii_lowercase();
            !moving.iter().any(|word| text.starts_with(word)) && is_casts(&rest[end..])
        }
        None => false,
    }
}

/// Where the parenthesis that is open at the start closes, quotes observed.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => return Some(at),
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

fn literal_end(text: &str) -> Option<usize> {
    if let Some(inner) = text.strip_prefix('\'') {
        let mut chars = inner.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == '\'' && chars.next_if(|(_, next)| *next == '\'').is_none() {
                return Some(at + 2);
            }
        }
        return None;
    }
    if let Some(word) = ["true", "false", "ARRAY[]"]
        .into_iter()
        .find(|word| text.starts_with(word))
    {
        return Some(word.len());
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    (digits > 0).then_some(text.len() - unsigned.len() + digits)
}

/// Nothing, or `::type` as often as one likes.
fn is_casts(text: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || " _\".,()[]".contains(c);
    text.is_empty()
        || text.strip_prefix("::").is_some_and(|casts| {
            casts
                .split("::")
                .all(|name| !name.is_empty() && name.chars().all(is_name))
        })
}

#[cfg(test)]
mod tests {
    use super::is_constant;

    #[test]
    fn literals_with_casts_are_constants_and_nothing_else() {
        for expression in [
            "0",
            "-1",
            "'-1'::integer",
            "(0)::smallint",
            "('-1'::integer)::bigint",
            "0.00",
            "true",
            "'{}'::jsonb",
            "'it''s'::character varying",
            "'a'::public.\"Mood\"",
            "ARRAY[]::integer[]",
            "'{}'::text[]",
            "'0001-01-01 00:00:00'::timestamp without time zone",
            "(0)::numeric(10,2)",
        ] {
            assert!(is_constant(expression), "{expression}");
        }
        for expression in [
            "now()",
            "CURRENT_TIMESTAMP",
            "nextval('s'::regclass)",
            "('now'::text)::date",
            "'today'::date",
            "(1 + 1)",
            "lower('A'::text)",
            "NULL::text",
            "gen_random_uuid()",
            "'a'::text || 'b'::text",
        ] {
            assert!(!is_constant(expression), "{expression}");
        }
    }
}
