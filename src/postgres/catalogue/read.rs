//! Reads what a schema holds: relations, columns, constraints, indexes, triggers, a question each. Not in here: what hangs on tables
//! ([`super::around`]), and looking through domains and arrays (`types`).

use std::collections::HashMap;

use tokio_postgres::{Client, Error};

use super::types::Types;
use super::*;

impl Catalogue {
    /// Reads the catalogue of `schema`.
    pub async fn read(client: &Client, schema: &str) -> Result<Self, Error> {
        let types = Types::read(client).await?;
        let mut tables = relations(client, schema).await?;
        let places: HashMap<u32, usize> = tables
            .iter()
            .enumerate()
            .map(|(place, table)| (table.oid, place))
            .collect();
        for (oid, column) in columns(client, schema, &types).await? {
            if let Some(place) = places.get(&oid) {
                tables[*place].columns.push(column);
            }
        }
        for (oid, constraint) in constraints(client, schema).await? {
            if let Some(place) = places.get(&oid) {
                tables[*place].constraints.push(constraint);
            }
        }
        for (oid, index) in indexes(client, schema).await? {
            if let Some(place) = places.get(&oid) {
                tables[*place].indexes.push(index);
            }
        }
        for (oid, trigger) in triggers(client, schema).await? {
            if let Some(place) = places.get(&oid) {
                tables[*place].triggers.push(trigger);
            }
        }
        around::partitions(client, schema, &mut tables).await?;
        Ok(Self {
            schema: schema.to_owned(),
            sequences: around::sequences(client, schema).await?,
            free_sequences: around::free_sequences(client, schema).await?,
            free_elsewhere: around::free_elsewhere(client, schema).await?,
            numbered: around::numbered(client, schema).await?,
            functions: around::functions(client).await?,
            materialized: around::materialized(client, &tables).await?,
            elsewhere: around::elsewhere(client, schema).await?,
            tables,
        })
    }
}

async fn relations(client: &Client, schema: &str) -> Result<Vec<Table>, Error> {
    let rows = client
        .query(
            "SELECT c.oid, c.relname::text, c.relkind::text, c.relpersistence = 'u', pg_has_role(c.relowner, 'USAGE'),
                    c.relrowsecurity AND c.relforcerowsecurity, c.relhasrules AND c.relkind IN ('r', 'p'), c.relispartition,
                    c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
                    ARRAY(SELECT a.attname::text FROM pg_partitioned_table p CROSS JOIN LATERAL unnest(p.partattrs::int2[]) WITH ORDINALITY AS k(n, place)
                          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n WHERE p.partrelid = c.oid ORDER BY k.place),
                    CASE WHEN c.relispartition THEN pg_get_partition_constraintdef(c.oid) END
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY c.relname COLLATE \"C\"",
            &[&schema],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Table {
            oid: row.get(0),
            name: row.get(1),
            kind: match row.get::<_, &str>(2) {
                "r" => RelationKind::Table,
                "p" => RelationKind::Partitioned,
                "f" => RelationKind::Foreign,
                _ => RelationKind::View,
            },
            unlogged: row.get(3),
            owned: row.get(4),
            row_security_forced: row.get(5),
            rules: row.get(6),
            is_partition: row.get(7),
            has_children: row.get(8),
            partitions: Vec::new(),
            parts: Vec::new(),
            own_rules: Vec::new(),
            takes: row.get(10),
            partition_key: row.get(9),
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            triggers: Vec::new(),
        })
        .collect())
}

async fn columns(
    client: &Client,
    schema: &str,
    types: &Types,
) -> Result<Vec<(u32, Column)>, Error> {
    let rows = client
        .query(
            "SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                    a.atthasdef OR a.attidentity <> '' OR t.typtype = 'd' AND t.typdefault IS NOT NULL, a.attidentity::text, a.attgenerated <> '',
                    coalesce(NOT l.collisdeterministic, false),
                    CASE WHEN a.attcollation <> CASE WHEN t.typtype = 'd' AND t.typcollation <> 0 THEN 'pg_catalog.\"default\"'::regcollation
                           ELSE t.typcollation END THEN format('%I.%I', ln.nspname, l.collname) END,
                    coalesce(pg_get_expr(f.adbin, f.adrelid),
                      CASE WHEN t.typtype = 'd' AND a.attidentity = '' AND a.attgenerated = '' THEN pg_get_expr(t.typdefaultbin, 0) END)
             FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attrelid, a.attnum",
            &[&schema],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let (ty, domain_not_null) = types.column_type(row.get(3), row.get(4), row.get(5));
            let folds = row.get::<_, bool>(10)
                || matches!(&ty.base, BaseType::Named { name, .. } if name == "citext");
            let column = Column {
                number: row.get(1),
                name: row.get(2),
                ty,
                not_null: row.get::<_, bool>(6) || domain_not_null,
                has_default: row.get(7),
                expression: row.get(12),
                identity: match row.get::<_, &str>(8) {
                    "a" => Some(Identity::Always),
                    "d" => Some(Identity::ByDefault),
                    _ => None,
                },
                generated: row.get(9),
                collation: row.get(11),
                folds,
            };
            (row.get(0), column)
        })
        .collect())
}

/// Without the copies of a foreign key that PostgreSQL makes for each partition of the table that it refers to: the key itself asks for
/// what they ask for together.
async fn constraints(client: &Client, schema: &str) -> Result<Vec<(u32, Constraint)>, Error> {
    let rows = client
        .query(
            "SELECT k.conrelid, k.conname::text, k.contype::text, pg_get_constraintdef(k.oid), k.convalidated,
                    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, place)
                          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.place),
                    nullif(k.confrelid, 0), fn.nspname::text, f.relname::text, k.conparentid <> 0,
                    obj_description(k.oid, 'pg_constraint'),
                    CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END,
                    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, place)
                          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.place),
                    ARRAY(SELECT format('OPERATOR(%I.%s)', pn.nspname, p.oprname) FROM unnest(k.conexclop) WITH ORDINALITY AS u(o, place)
                          JOIN pg_operator p ON p.oid = u.o JOIN pg_namespace pn ON pn.oid = p.oprnamespace ORDER BY u.place)
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
             WHERE (n.nspname = $1 OR fn.nspname = $1)
               AND NOT EXISTS (WITH RECURSIVE above(parent, refers) AS (
                     SELECT k.conparentid, k.confrelid UNION ALL
                     SELECT o.conparentid, o.confrelid FROM above JOIN pg_constraint o ON o.oid = above.parent)
                   SELECT FROM above WHERE k.contype = 'f' AND refers <> k.confrelid)
             ORDER BY k.conrelid, k.conname COLLATE \"C\"",
            &[&schema],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let references = row
                .get::<_, Option<u32>>(6)
                .map(|oid| (oid, row.get(7), row.get(8)));
            let constraint = Constraint {
                name: row.get(1),
                kind: match row.get::<_, &str>(2) {
                    "p" => ConstraintKind::Primary,
                    "u" => ConstraintKind::Unique,
                    "f" => ConstraintKind::Foreign,
                    "c" => ConstraintKind::Check,
                    "x" => ConstraintKind::Exclusion,
                    _ => ConstraintKind::Other,
                },
                definition: row.get(3),
                validated: row.get(4),
                columns: row.get(5),
                references,
                inherited: row.get(9),
                comment: row.get(10),
                expression: row.get(11),
                referenced_columns: row.get(12),
                operators: row.get(13),
            };
            (row.get(0), constraint)
        })
        .collect())
}

async fn indexes(client: &Client, schema: &str) -> Result<Vec<(u32, Index)>, Error> {
    let rows = client
        .query(
            "SELECT i.indrelid, i.indexrelid, x.relname::text, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid,
                    (SELECT k.conname::text FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') LIMIT 1),
                    ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(n, place)
                          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n AND u.n > 0
                          WHERE u.place <= i.indnkeyatts ORDER BY u.place),
                    pg_get_expr(i.indpred, i.indrelid), x.relkind = 'I' OR x.relispartition, i.indisclustered, i.indisreplident,
                    s.spcname::text, obj_description(i.indexrelid, 'pg_class'),
                    pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT DISTINCT%',
                    ARRAY(SELECT pg_get_indexdef(i.indexrelid, u.n::int, false) || CASE
                            WHEN co.collname <> 'default' AND u.coll IS DISTINCT FROM a.attcollation
                              THEN format(' COLLATE %I.%I', cn.nspname, co.collname) ELSE '' END
                          FROM unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY AS u(number, coll, n)
                          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number AND u.number > 0
                          LEFT JOIN pg_collation co ON co.oid = u.coll LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
                          WHERE u.n <= i.indnkeyatts ORDER BY u.n),
                    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped
                          AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                            AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
                          ORDER BY a.attnum),
                    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_proc'::regclass),
                    EXISTS (SELECT FROM unnest(i.indcollation::oid[]) AS u(coll) JOIN pg_collation co ON co.oid = u.coll
                            WHERE NOT co.collisdeterministic)
             FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = x.reltablespace
             WHERE n.nspname = $1 ORDER BY i.indrelid, x.relname COLLATE \"C\"",
            &[&schema],
        )
        .await?;
    let mut statistics = index_statistics(client, schema).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let oid: u32 = row.get(1);
            let index = Index {
                oid,
                name: row.get(2),
                definition: row.get(3),
                unique: row.get(4),
                valid: row.get(5),
                constraint: row.get(6),
                columns: row.get(7),
                predicate: row.get(8),
                expressions: row.get(15),
                partitioned: row.get(9),
                clustered: row.get(10),
                replica_identity: row.get(11),
                tablespace: row.get(12),
                comment: row.get(13),
                nulls_not_distinct: row.get(14),
                reads: row.get(16),
                calls_functions: row.get(17),
                folds: row.get(18),
                statistics: statistics.remove(&oid).unwrap_or_default(),
            };
            (row.get(0), index)
        })
        .collect())
}

/// Statistics targets of index columns. Unset is NULL since PostgreSQL 17, -1 before.
async fn index_statistics(
    client: &Client,
    schema: &str,
) -> Result<BTreeMap<u32, Vec<(i16, i16)>>, Error> {
    let rows = client
        .query(
            "SELECT a.attrelid, a.attnum, a.attstattarget::int2 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relkind = 'i' AND coalesce(a.attstattarget, -1) >= 0 ORDER BY 1, 2",
            &[&schema],
        )
        .await?;
    let mut found: BTreeMap<u32, Vec<(i16, i16)>> = BTreeMap::new();
    for row in rows {
        found
            .entry(row.get(0))
            .or_default()
            .push((row.get(1), row.get(2)));
    }
    Ok(found)
}

/// PostgreSQL 14 marks a partition's copy of a trigger as internal, as it marks those that enforce constraints. Those of our own feed are
/// nobody's but ours.
async fn triggers(client: &Client, schema: &str) -> Result<Vec<(u32, Trigger)>, Error> {
    let rows = client
        .query(
            "SELECT t.tgrelid, t.tgname::text, t.tgenabled::text, t.tgtype & 7 = 7, p.prosrc, t.tgparentid <> 0,
                    count(*) FILTER (WHERE t.tgparentid = 0) OVER (PARTITION BY t.tgname) > 1, t.tgtype & 4 = 4
             FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1
               AND (p.pronamespace IS DISTINCT FROM to_regnamespace('cutover') OR NOT starts_with(t.tgname::text, 'cutover_feed_'))
               AND (NOT t.tgisinternal OR (t.tgparentid <> 0
                 AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't')))
             ORDER BY t.tgrelid, t.tgname COLLATE \"C\"",
            &[&schema],
        )
        .await?;
    let enabled = |text: &str| text.chars().next().unwrap_or('O');
    Ok(rows
        .iter()
        .map(|row| {
            (
                row.get(0),
                Trigger {
                    name: row.get(1),
                    enabled: enabled(row.get(2)),
                    before_insert: row.get(3),
                    on_insert: row.get(7),
                    body: row.get(4),
                    inherited: row.get(5),
                    shared: row.get(6),
                },
            )
        })
        .collect())
}
