//! All types of a database, and what a column's type comes to once domains and arrays are looked through. Not in here: how a type's values
//! are written (`transfer::kind`).

use std::collections::HashMap;

use tokio_postgres::{Client, Error};

use super::{BaseType, ColumnType, DomainCheck};

/// All types of the database, to look through domains and arrays.
pub(super) struct Types {
    by_oid: HashMap<u32, TypeRow>,
    labels: HashMap<u32, Vec<String>>,
    checks: HashMap<u32, Vec<DomainCheck>>,
}

struct TypeRow {
    schema: String,
    name: String,
    kind: char,
    base: u32,
    typmod: i32,
    element: u32,
    is_array: bool,
    not_null: bool,
    shown: String,
}

impl Types {
    pub(super) async fn read(client: &Client) -> Result<Self, Error> {
        let mut by_oid = HashMap::new();
        for row in client
            .query(
                "SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typbasetype, t.typtypmod, t.typelem,
                        t.typcategory = 'A' AND t.typlen = -1, t.typnotnull,
                        CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END
                 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace",
                &[],
            )
            .await?
        {
            let kind = row.get::<_, &str>(3).chars().next().unwrap_or('?');
            by_oid.insert(
                row.get(0),
                TypeRow {
                    schema: row.get(1),
                    name: row.get(2),
                    kind,
                    base: row.get(4),
                    typmod: row.get(5),
                    element: row.get(6),
                    is_array: row.get(7),
                    not_null: row.get(8),
                    shown: row.get(9),
                },
            );
        }
        let mut labels: HashMap<u32, Vec<String>> = HashMap::new();
        for row in client
            .query(
                "SELECT enumtypid, enumlabel::text FROM pg_enum ORDER BY enumtypid, enumsortorder",
                &[],
            )
            .await?
        {
            labels.entry(row.get(0)).or_default().push(row.get(1));
        }
        let mut checks: HashMap<u32, Vec<DomainCheck>> = HashMap::new();
        for row in client
            .query(
                "SELECT contypid, conname::text, pg_get_expr(conbin, 0) FROM pg_constraint
                 WHERE contypid <> 0 AND contype = 'c' ORDER BY contypid, conname",
                &[],
            )
            .await?
        {
            checks.entry(row.get(0)).or_default().push(DomainCheck {
                name: row.get(1),
                expression: row.get(2),
            });
        }
        Ok(Self {
            by_oid,
            labels,
            checks,
        })
    }

    /// The column's type, and whether a domain on the way refuses NULL.
    pub(super) fn column_type(&self, oid: u32, typmod: i32, shown: String) -> (ColumnType, bool) {
        let (mut base_oid, mut base_typmod, mut base_shown) = (oid, typmod, shown.clone());
        let mut not_null = false;
        let mut domain_checks = Vec::new();
        while let Some(row) = self.by_oid.get(&base_oid)
            && row.kind == 'd'
        {
            domain_checks.extend(self.checks.get(&base_oid).into_iter().flatten().cloned());
            not_null |= row.not_null;
            base_typmod = row.typmod;
            base_shown = row.shown.clone();
            base_oid = row.base;
        }
        let base = self.base(base_oid);
        (
            ColumnType {
                shown,
                oid,
                typmod,
                base,
                base_typmod,
                base_shown,
                domain_checks,
            },
            not_null,
        )
    }

    fn base(&self, oid: u32) -> BaseType {
        let Some(row) = self.by_oid.get(&oid) else {
            return BaseType::Other;
        };
        match row.kind {
            'e' => BaseType::Enum {
                labels: self.labels.get(&oid).cloned().unwrap_or_default(),
            },
            'b' if row.is_array && row.element != 0 => BaseType::Array {
                element: Box::new(self.base(row.element)),
                element_oid: row.element,
            },
            'b' => BaseType::Named {
                schema: row.schema.clone(),
                name: row.name.clone(),
            },
            _ => BaseType::Other,
        }
    }
}
