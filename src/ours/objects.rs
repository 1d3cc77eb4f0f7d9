//! What a PostgreSQL database holds, system objects and those of extensions left out; and which of it may go with a rehearsal. The rule is a
//! pure function; reading is beside it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio_postgres::GenericClient;

use super::statements::{Kind, OWN_TABLES};

/// One object of a database, as `pg_identify_object` names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Object {
    /// `table`, `view`, `function`, …
    pub kind: String,
    /// With its schema, quoted where it must be.
    pub identity: String,
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let identity = crate::text::printable(&self.identity, 120);
        write!(f, "{} {identity}", self.kind)
    }
}

/// What an earlier rehearsal recorded about the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// What was there before the first rehearsal and stays: extensions and empty schemas.
    pub before: BTreeSet<Object>,
    pub made: BTreeSet<Object>,
}

/// What may be done with a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These go, and nothing else is there.
    Ours {
        /// May be empty.
        go: BTreeSet<Object>,
        /// Stays, and is nobody's data: extensions and schemas.
        before: BTreeSet<Object>,
    },
    /// These are neither system objects nor made by a rehearsal.
    Strangers(BTreeSet<Object>),
}

/// The rule: only what rehearsals recorded goes. Without a record the database must hold nothing but extensions and empty schemas; with
/// `is_claimed` (a person typed the database's name) everything goes that a rehearsal could have made.
pub fn judge(found: &BTreeSet<Object>, recorded: Option<&Recorded>, is_claimed: bool) -> Verdict {
    // Without a record, also the schema `cutover` is somebody's: an import into this database keeps its checkpoints there.
    let is_frame = |o: &Object| {
        matches!(Kind::of_word(&o.kind), Some(Kind::Extension | Kind::Schema)) && *o != own_schema()
    };
    let (before, made) = match recorded {
        Some(recorded) => (recorded.before.clone(), recorded.made.clone()),
        None => (
            found.iter().filter(|o| is_frame(o)).cloned().collect(),
            BTreeSet::new(),
        ),
    };
    let is_ours = |o: &Object| recorded.is_some() && (is_own(o) || is_own_function(o));
    let strangers = found.iter().filter(|o| {
        let known = before.contains(*o) || made.contains(*o) || is_ours(o);
        let may_go = is_claimed && Kind::of_word(&o.kind).is_some();
        !known && !may_go
    });
    let strangers: BTreeSet<Object> = strangers.cloned().collect();
    if !strangers.is_empty() {
        return Verdict::Strangers(strangers);
    }
    let go = found
        .iter()
        .filter(|o| !before.contains(*o) && !is_own(o))
        .cloned()
        .collect();
    Verdict::Ours { go, before }
}

fn own_schema() -> Object {
    Object {
        kind: Kind::Schema.word().to_owned(),
        identity: "cutover".to_owned(),
    }
}

/// The schema `cutover`, and the tables of ours in it. What else lies there is somebody's.
fn is_own(object: &Object) -> bool {
    let table = object.identity.strip_prefix("cutover.");
    let is_table = object.kind == Kind::Table.word();
    *object == own_schema() || (is_table && table.is_some_and(|name| OWN_TABLES.contains(&name)))
}

/// The functions that note writes for a rollback (`feed::capture`). They go as the objects of a rehearsal do, after the tables whose
/// triggers they are.
fn is_own_function(object: &Object) -> bool {
    let name = object.identity.strip_prefix("cutover.feed_");
    let number = name.and_then(|rest| rest.strip_suffix("()"));
    let is_number = number.is_some_and(|number| number.parse::<i32>().is_ok());
    is_number && object.kind == Kind::Function.word()
}

/// Everything that a database holds, but for system objects, what extensions made, and what belongs to an object that is listed (indexes,
/// the sequence of a column, the row type of a table).
pub async fn list(client: &impl GenericClient) -> Result<BTreeSet<Object>, tokio_postgres::Error> {
    let rows = client.query(LIST, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Object {
            kind: row.get(0),
            identity: row.get(1),
        })
        .collect())
}

/// Names that begin with `pg_` are reserved for the system; oids below 16384 are of `initdb`.
const LIST: &str = "
WITH space AS (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), there (class, object) AS (
    SELECT 'pg_catalog.pg_class'::regclass, c.oid FROM pg_catalog.pg_class c
    WHERE c.relnamespace IN (TABLE space) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
      AND NOT (c.relkind = 'S' AND EXISTS (
          SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')))
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid FROM pg_catalog.pg_proc WHERE pronamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid FROM pg_catalog.pg_type t
    WHERE t.typnamespace IN (TABLE space) AND t.typtype IN ('b', 'd', 'e', 'p', 'r')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
    UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid FROM pg_catalog.pg_operator WHERE oprnamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, oid FROM pg_catalog.pg_opclass WHERE opcnamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, oid FROM pg_catalog.pg_opfamily WHERE opfnamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_conversion'::regclass, oid FROM pg_catalog.pg_conversion WHERE connamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid FROM pg_catalog.pg_collation WHERE collnamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid FROM pg_catalog.pg_ts_config WHERE cfgnamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid FROM pg_catalog.pg_ts_dict WHERE dictnamespace IN (TABLE space)
    UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid FROM space
    UNION ALL SELECT 'pg_catalog.pg_extension'::regclass, oid FROM pg_catalog.pg_extension
    UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT 'pg_catalog.pg_publication'::regclass, oid FROM pg_catalog.pg_publication
    UNION ALL SELECT 'pg_catalog.pg_event_trigger'::regclass, oid FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT 'pg_catalog.pg_largeobject'::regclass, oid FROM pg_catalog.pg_largeobject_metadata
)
SELECT i.type, i.identity FROM there, pg_catalog.pg_identify_object(there.class, there.object, 0) i
WHERE i.identity IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = there.class AND d.objid = there.object AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))";

#[cfg(test)]
mod tests {
    use super::*;

    fn set(objects: &[(&str, &str)]) -> BTreeSet<Object> {
        let object = |(kind, identity): &(&str, &str)| Object {
            kind: (*kind).to_owned(),
            identity: (*identity).to_owned(),
        };
        objects.iter().map(object).collect()
    }

    #[test]
    fn an_empty_database_is_taken_with_its_extensions_and_schemas() {
        let frame = set(&[("schema", "public"), ("extension", "plpgsql")]);
        let verdict = judge(&frame, None, false);
        let go = BTreeSet::new();
        assert_eq!(verdict, Verdict::Ours { go, before: frame });
    }

    #[test]
    fn whatever_else_is_there_refuses() {
        for kind in [
            "table",
            "view",
            "sequence",
            "function",
            "type",
            "publication",
            "large object",
        ] {
            let found = set(&[("schema", "public"), (kind, "public.x")]);
            let strangers = set(&[(kind, "public.x")]);
            assert_eq!(
                judge(&found, None, false),
                Verdict::Strangers(strangers.clone())
            );
            let recorded = Recorded {
                before: set(&[("schema", "public")]),
                made: set(&[("table", "public.y")]),
            };
            assert_eq!(
                judge(&found, Some(&recorded), false),
                Verdict::Strangers(strangers)
            );
        }
    }

    #[test]
    fn the_schema_cutover_without_a_record_is_somebodys() {
        let found = set(&[("schema", "cutover"), ("table", "cutover.quarantine")]);
        assert_eq!(
            judge(&found, None, false),
            Verdict::Strangers(found.clone())
        );
        let recorded = Recorded::default();
        let go = BTreeSet::new();
        let ours = Verdict::Ours {
            go: go.clone(),
            before: go,
        };
        assert_eq!(judge(&found, Some(&recorded), false), ours);

        // The functions of an interrupted rehearsal's feed are ours, and go before the schema can.
        let noting = set(&[("function", "cutover.feed_7()")]);
        let with_them: BTreeSet<Object> = found.union(&noting).cloned().collect();
        let Verdict::Ours { go, .. } = judge(&with_them, Some(&recorded), false) else {
            panic!("they are ours")
        };
        assert_eq!(go, noting);
        let other = set(&[("function", "cutover.feed_me()")]);
        assert!(matches!(
            judge(&other, Some(&recorded), false),
            Verdict::Strangers(_)
        ));

        // What somebody put beside our tables is theirs, and goes only with the name that a person typed.
        let theirs = set(&[("table", "cutover.mine"), ("view", "cutover.quarantine")]);
        let found = found.union(&theirs).cloned().collect();
        assert_eq!(
            judge(&found, Some(&recorded), false),
            Verdict::Strangers(theirs.clone())
        );
        let Verdict::Ours { go, .. } = judge(&found, Some(&recorded), true) else {
            panic!("a typed name claims it")
        };
        assert_eq!(go, theirs);
    }

    #[test]
    fn what_rehearsals_made_goes_and_a_typed_name_takes_the_rest() {
        let found = set(&[
            ("schema", "public"),
            ("table", "public.a"),
            ("table", "public.b"),
        ]);
        let recorded = Recorded {
            before: set(&[("schema", "public")]),
            made: set(&[("table", "public.a"), ("table", "public.gone")]),
        };
        assert!(matches!(
            judge(&found, Some(&recorded), false),
            Verdict::Strangers(_)
        ));
        let tables = set(&[("table", "public.a"), ("table", "public.b")]);
        for recorded in [Some(&recorded), None] {
            let Verdict::Ours { go, .. } = judge(&found, recorded, true) else {
                panic!("a typed name claims it")
            };
            assert_eq!(go, tables);
        }
        // A rehearsal makes no publication, so that no typed name drops one.
        let found = set(&[("publication", "p")]);
        assert!(matches!(judge(&found, None, true), Verdict::Strangers(_)));
    }
}
