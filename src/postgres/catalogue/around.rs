//! What hangs on the tables of a schema and is no part of them: partitions, sequences that stand free, materialized views, and tables of
//! the application's in other schemas. Only reads. The tables themselves are in [`super`].

use std::collections::HashMap;

use tokio_postgres::{Client, Error};

use super::{Function, Materialized, PartitionRules, PartitionUnique, Table};

/// Adds to each partitioned table what its partitions take.
pub(super) async fn partitions(
    client: &Client,
    schema: &str,
    tables: &mut [Table],
) -> Result<(), Error> {
    // What a partition of a partition takes includes the conditions of both; one without any takes everything.
    let rows = client
        .query(
            "SELECT c.oid, coalesce(pg_get_partition_constraintdef(t.relid), 'true'), t.isleaf, t.relid::oid
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL pg_partition_tree(c.oid) AS t
             WHERE n.nspname = $1 AND c.relkind = 'p' AND t.relid::oid <> c.oid ORDER BY 1, 2",
            &[&schema],
        )
        .await?;
    let mut found: HashMap<u32, Vec<String>> = HashMap::new();
    let mut parts: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in rows {
        parts.entry(row.get(0)).or_default().push(row.get(3));
        if row.get(2) {
            found.entry(row.get(0)).or_default().push(row.get(1));
        }
    }
    let mut rules = own_rules(client, schema).await?;
    for table in tables {
        table.own_rules = rules.remove(&table.oid).unwrap_or_default();
        table.partitions = found.remove(&table.oid).unwrap_or_default();
        table.parts = parts.remove(&table.oid).unwrap_or_default();
    }
    Ok(())
}

/// What single partitions that hold rows ask beyond their table, by the table's oid.
async fn own_rules(
    client: &Client,
    schema: &str,
) -> Result<HashMap<u32, Vec<PartitionRules>>, Error> {
    let rows = client
        .query(
            "SELECT c.oid, t.relid::oid, p.relname::text, coalesce(pg_get_partition_constraintdef(t.relid), 'true'),
                    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.relid AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
                          AND NOT EXISTS (SELECT FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attname = a.attname AND b.attnotnull)
                          ORDER BY a.attnum),
                    coalesce((SELECT array_agg(k.conname::text ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = t.relid AND k.contype = 'c'
                          AND NOT EXISTS (SELECT FROM pg_constraint r WHERE r.conrelid = c.oid AND r.contype = 'c' AND r.conname = k.conname)), '{}'),
                    coalesce((SELECT array_agg(pg_get_expr(k.conbin, k.conrelid) ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = t.relid
                          AND k.contype = 'c' AND NOT EXISTS (SELECT FROM pg_constraint r WHERE r.conrelid = c.oid AND r.contype = 'c' AND r.conname = k.conname)), '{}')
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL pg_partition_tree(c.oid) AS t
             JOIN pg_class p ON p.oid = t.relid
             WHERE n.nspname = $1 AND c.relkind = 'p' AND t.isleaf AND t.relid::oid <> c.oid ORDER BY 1, 3",
            &[&schema],
        )
        .await?;
    let uniques = client
        .query(
            "SELECT c.oid, i.indrelid, x.relname::text,
                    ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnkeyatts::int) AS k),
                    pg_get_expr(i.indpred, i.indrelid), pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT DISTINCT%'
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL pg_partition_tree(c.oid) AS t
             JOIN pg_index i ON i.indrelid = t.relid AND i.indisunique JOIN pg_class x ON x.oid = i.indexrelid
             WHERE n.nspname = $1 AND c.relkind = 'p' AND t.isleaf AND t.relid::oid <> c.oid
               AND (SELECT r.indrelid FROM pg_index r WHERE r.indexrelid = pg_partition_root(i.indexrelid)::oid) IS DISTINCT FROM c.oid
             ORDER BY 1, 3",
            &[&schema],
        )
        .await?;
    let mut found: HashMap<u32, Vec<PartitionRules>> = HashMap::new();
    for row in &rows {
        let (table, part): (u32, u32) = (row.get(0), row.get(1));
        let (names, checks): (Vec<String>, Vec<String>) = (row.get(5), row.get(6));
        let of_part = uniques
            .iter()
            .filter(|unique| (unique.get::<_, u32>(0), unique.get::<_, u32>(1)) == (table, part));
        let rules = PartitionRules {
            name: row.get(2),
            takes: row.get(3),
            not_null: row.get(4),
            checks: names.into_iter().zip(checks).collect(),
            uniques: of_part
                .map(|unique| PartitionUnique {
                    name: unique.get(2),
                    expressions: unique.get(3),
                    predicate: unique.get(4),
                    nulls_not_distinct: unique.get(5),
                })
                .collect(),
        };
        found.entry(table).or_default().push(rules);
    }
    Ok(found)
}

/// Which column a sequence numbers, as SQL with the columns `sequence`, `relation`, `number`: by dependency, by the default of the
/// column's domain, and by the text of a default such as `nextval(('name'::text)::regclass)`, of which PostgreSQL records no dependency.
pub const NUMBERED_BY: &str = r"
SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid::int2 AS number FROM pg_depend d
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
UNION
SELECT d.refobjid, f.adrelid, f.adnum FROM pg_attrdef f JOIN pg_depend d
    ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
UNION
SELECT d.refobjid, a.attrelid, a.attnum FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f') JOIN pg_depend d
    ON d.classid = 'pg_type'::regclass AND d.objid = a.atttypid AND d.refclassid = 'pg_class'::regclass
 WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT a.atthasdef AND a.attidentity = ''
   AND EXISTS (SELECT FROM pg_class s WHERE s.oid = d.refobjid AND s.relkind = 'S')
UNION
SELECT coalesce(to_regclass(m.name[1]), to_regclass(format('%I.%s', n.nspname, m.name[1])))::oid, f.adrelid, f.adnum
  FROM pg_attrdef f JOIN pg_class c ON c.oid = f.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL regexp_matches(pg_get_expr(f.adbin, f.adrelid), 'nextval\(+''((?:[^'']|'''')+)''::text', 'g') AS m(name)";

/// All sequences of the schema.
pub(super) async fn sequences(client: &Client, schema: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT s.relname::text FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
               WHERE s.relkind = 'S' AND n.nspname = $1 ORDER BY s.relname COLLATE \"C\"";
    let rows = client.query(sql, &[&schema]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Sequences that no column owns and no default asks.
pub(super) async fn free_sequences(client: &Client, schema: &str) -> Result<Vec<String>, Error> {
    let sql = format!(
        "SELECT s.relname::text FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
         WHERE s.relkind = 'S' AND n.nspname = $1
           AND NOT EXISTS (SELECT FROM ({NUMBERED_BY}) AS used WHERE used.sequence = s.oid)
         ORDER BY s.relname COLLATE \"C\""
    );
    let rows = client.query(&sql, &[&schema]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Sequences of other schemas that no column owns and no default asks, `schema.name`.
pub(super) async fn free_elsewhere(client: &Client, schema: &str) -> Result<Vec<String>, Error> {
    let sql = format!(
        "SELECT n.nspname || '.' || s.relname FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
         WHERE s.relkind = 'S' AND n.nspname <> $1 AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
           AND NOT EXISTS (SELECT FROM ({NUMBERED_BY}) AS used WHERE used.sequence = s.oid)
         ORDER BY 1"
    );
    let rows = client.query(&sql, &[&schema]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The schema's columns that a sequence numbers as far as the server knows.
pub(super) async fn numbered(client: &Client, schema: &str) -> Result<Vec<(u32, i16)>, Error> {
    let sql = format!(
        "SELECT DISTINCT used.relation, used.number FROM ({NUMBERED_BY}) AS used JOIN pg_class s ON s.oid = used.sequence AND s.relkind = 'S'
           JOIN pg_class c ON c.oid = used.relation JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 ORDER BY 1, 2"
    );
    let rows = client.query(&sql, &[&schema]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The application's own functions, those of extensions apart. One whose body is SQL (`BEGIN ATOMIC`) is shown as the server shows it.
pub(super) async fn functions(client: &Client) -> Result<Vec<Function>, Error> {
    let sql = "SELECT p.proname::text, coalesce(nullif(p.prosrc, ''), pg_get_function_sqlbody(p.oid), ''), p.provolatile = 'v'
                 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE p.prokind = 'f' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
                  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
                ORDER BY n.nspname COLLATE \"C\", p.proname COLLATE \"C\", p.oid";
    let rows = client.query(sql, &[]).await?;
    let function = |row: &tokio_postgres::Row| Function {
        name: row.get(0),
        text: row.get(1),
        volatile: row.get(2),
    };
    Ok(rows.iter().map(function).collect())
}

/// Materialized views over these tables. One that reads another comes after it.
pub(super) async fn materialized(
    client: &Client,
    tables: &[Table],
) -> Result<Vec<Materialized>, Error> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let rows = client
        .query(
            "WITH RECURSIVE reads AS (
               SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation FROM pg_rewrite r JOIN pg_depend d
                 ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class),
             deep AS (
               SELECT view, relation, 1 AS depth FROM reads
               UNION
               SELECT deep.view, reads.relation, deep.depth + 1 FROM deep JOIN reads ON reads.view = deep.relation WHERE deep.depth < 50)
             SELECT format('%I.%I', n.nspname, c.relname), c.relispopulated, array_agg(DISTINCT deep.relation), pg_has_role(c.relowner, 'USAGE')
             FROM deep JOIN pg_class c ON c.oid = deep.view AND c.relkind = 'm' JOIN pg_namespace n ON n.oid = c.relnamespace
             GROUP BY c.oid, n.nspname, c.relname, c.relispopulated, c.relowner
             HAVING array_agg(deep.relation) && $1::oid[]
             ORDER BY max(deep.depth), 1",
            &[&oids],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Materialized {
            name: row.get(0),
            populated: row.get(1),
            reads: row.get(2),
            owned: row.get(3),
        })
        .collect())
}

/// Other schemas with tables, and how many they hold; neither the server's own nor ours.
pub(super) async fn elsewhere(client: &Client, schema: &str) -> Result<Vec<(String, u64)>, Error> {
    let rows = client
        .query(
            "SELECT n.nspname::text, count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> $1 AND n.nspname !~ '^pg_'
               AND n.nspname NOT IN ('information_schema', 'cutover')
             GROUP BY 1 ORDER BY 2 DESC, 1",
            &[&schema],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs()))
        .collect())
}
