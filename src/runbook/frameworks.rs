//! Frameworks that are known by the table in which they record their migrations. Each side of a cutover has its own such table: it is neither
//! moved nor compared. Not in here: what a first runbook makes of them (`draft`), and
//! the shapes by which a table is known that an application named itself (`forms`).

mod forms;

use forms::form_of;
pub use forms::{ids_of, speaks_of_history};

/// What is known of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Framework {
    /// As people call it.
    pub name: &'static str,
    /// Its table of migrations.
    pub table: &'static str,
    /// Whether the name of that table tells by itself that it is one; others might call a table of their own so.
    pub telling: bool,
    /// The column with their ids.
    pub column: &'static str,
    /// Another column of the table, or another table, by which it is told from others that call theirs the same; empty where nobody does.
    pub beside: &'static str,
    /// The column beside it within whose values an id is unique; empty where an id is unique by itself.
    pub within: &'static str,
    /// Which rows are migrations that have been applied, as a condition of SQL.
    pub applied: &'static str,
    /// Table and column in PostgreSQL; `None` where they are not to be found by these names in the application's own schema.
    pub target: Option<(&'static str, &'static str)>,
    /// Further tables of its own: they are made anew in PostgreSQL, and their rows stay behind.
    pub leave: &'static [&'static str],
    /// How its migrations are run there, as the list of a `command`; empty where a script is made of them.
    pub example: &'static str,
    /// The variables by which it is told where, as they stand in `env`. They follow the session, and no password is among the arguments.
    pub env: &'static str,
    /// What people have to know of it.
    pub note: &'static str,
    /// The ready-made rules for its log, where there are some.
    pub log_rules: Option<&'static str>,
}

/// What most are told by.
pub const DATABASE_URL: &str = "DATABASE_URL: \"{target_url}\"";

/// A framework of which only the least is known: others are told by what they have besides.
const PLAIN: Framework = Framework {
    name: "",
    table: "",
    telling: true,
    column: "",
    within: "",
    beside: "",
    applied: "true",
    target: None,
    leave: &[],
    example: "",
    env: DATABASE_URL,
    note: "",
    log_rules: None,
};

/// All of them; of two that fit, the first is meant.
#[rustfmt::skip]
pub const ALL: &[Framework] = &[
    Framework { name: "Entity Framework Core", table: "__EFMigrationsHistory", column: "MigrationId", target: Some(("__EFMigrationsHistory", "MigrationId")),
        leave: &["__EFMigrationsLock"], log_rules: Some("dotnet"), ..PLAIN },
    Framework { name: "Django", table: "django_migrations", column: "name", target: Some(("django_migrations", "name")),
        within: "app", example: "[python, manage.py, migrate, --noinput]", log_rules: Some("django"), ..PLAIN },
    Framework { name: "Ecto", table: "schema_migrations", column: "version", beside: "inserted_at", target: Some(("schema_migrations", "version")),
        example: "[mix, ecto.migrate]",
        env: "DATABASE_URL: \"{target_url}\", MIX_ENV: prod", ..PLAIN },
    Framework { name: "golang-migrate", table: "schema_migrations", column: "version", beside: "dirty", applied: "dirty = 0",
        target: Some(("schema_migrations", "version")), example: "[migrate, -path, migrations, -database, \"{target_url}\", up]",
        env: "PGPASSWORD: \"{target_password}\"", log_rules: Some("go"), ..PLAIN },
    Framework { name: "Rails", table: "schema_migrations", column: "version", beside: "ar_internal_metadata", target: Some(("schema_migrations", "version")),
        leave: &["ar_internal_metadata"], example: "[bin/rails, \"db:migrate\"]",
        env: "DATABASE_URL: \"{target_url}\", RAILS_ENV: production", log_rules: Some("rails"), ..PLAIN },
    Framework { name: "dbmate, or Rails before 5", table: "schema_migrations", column: "version", target: Some(("schema_migrations", "version")),
        example: "[dbmate, up]", ..PLAIN },
    Framework { name: "Laravel", table: "migrations", telling: false, column: "migration", beside: "batch", target: Some(("migrations", "migration")),
        example: "[php, artisan, migrate, --force]",
        env: "DB_CONNECTION: pgsql, DB_URL: \"{target_url}\"", log_rules: Some("laravel"), ..PLAIN },
    Framework { name: "TypeORM", table: "migrations", telling: false, column: "name", beside: "timestamp", target: Some(("migrations", "name")),
        example: "[npx, typeorm, \"migration:run\", -d, dist/postgres.js]", log_rules: Some("node"), ..PLAIN },
    Framework { name: "Alembic", table: "alembic_version", column: "version_num", target: Some(("alembic_version", "version_num")),
        example: "[alembic, upgrade, head]",
        env: "DATABASE_URL: \"{target_url:postgresql}\"", log_rules: Some("python"), ..PLAIN },
    Framework { name: "Prisma", table: "_prisma_migrations", column: "migration_name", beside: "rolled_back_at",
        applied: "rolled_back_at IS NULL AND finished_at IS NOT NULL", target: Some(("_prisma_migrations", "migration_name")),
        example: "[npx, prisma, migrate, deploy]",
        note: "Prisma's migrations are for one provider: those for PostgreSQL are new ones, with ids of their own.", log_rules: Some("node"), ..PLAIN },
    Framework { name: "Knex", table: "knex_migrations", column: "name", target: Some(("knex_migrations", "name")), leave: &["knex_migrations_lock"],
        example: "[npx, knex, \"migrate:latest\"]",
        env: "DATABASE_URL: \"{target_url}\", NODE_ENV: production", log_rules: Some("node"), ..PLAIN },
    Framework { name: "Sequelize", table: "SequelizeMeta", column: "name", target: Some(("SequelizeMeta", "name")),
        example: "[npx, sequelize-cli, \"db:migrate\", --url, \"{target_url}\"]",
        env: "PGPASSWORD: \"{target_password}\"", log_rules: Some("node"), ..PLAIN },
    Framework { name: "Flyway", table: "flyway_schema_history", column: "script", beside: "success",
        applied: "success <> 0 AND script NOT LIKE '<<%'", target: Some(("flyway_schema_history", "script")), example: "[flyway, migrate]",
        env: "FLYWAY_URL: \"jdbc:postgresql://{target_host}:{target_port}/{target_database}\", FLYWAY_USER: \"{target_user}\", FLYWAY_PASSWORD: \"{target_password}\"", log_rules: Some("spring"), ..PLAIN },
    Framework { name: "Liquibase", table: "DATABASECHANGELOG", column: "ID", target: Some(("databasechangelog", "id")),
        leave: &["DATABASECHANGELOGLOCK"], example: "[liquibase, update]",
        env: "LIQUIBASE_COMMAND_URL: \"jdbc:postgresql://{target_host}:{target_port}/{target_database}\", LIQUIBASE_COMMAND_USERNAME: \"{target_user}\", LIQUIBASE_COMMAND_PASSWORD: \"{target_password}\"", log_rules: Some("spring"), ..PLAIN },
    Framework { name: "Doctrine", table: "doctrine_migration_versions", column: "version", target: Some(("doctrine_migration_versions", "version")),
        example: "[php, bin/console, \"doctrine:migrations:migrate\", --no-interaction]", log_rules: Some("laravel"), ..PLAIN },
    Framework { name: "sqlx", table: "_sqlx_migrations", column: "version", beside: "success", applied: "success <> 0",
        target: Some(("_sqlx_migrations", "version")), example: "[sqlx, migrate, run]", ..PLAIN },
    Framework { name: "Diesel", table: "__diesel_schema_migrations", column: "version", target: Some(("__diesel_schema_migrations", "version")),
        example: "[diesel, migration, run]", ..PLAIN },
    Framework { name: "SeaORM", table: "seaql_migrations", column: "version", target: Some(("seaql_migrations", "version")),
        example: "[sea-orm-cli, migrate, up]", ..PLAIN },
    Framework { name: "goose", table: "goose_db_version", column: "version_id", beside: "is_applied", applied: "is_applied <> 0",
        target: Some(("goose_db_version", "version_id")), example: "[goose, up]",
        env: "GOOSE_DRIVER: postgres, GOOSE_DBSTRING: \"{target_url}\"", log_rules: Some("go"), ..PLAIN },
    Framework { name: "Refinery", table: "refinery_schema_history", column: "version", target: Some(("refinery_schema_history", "version")),
        example: "[refinery, migrate, -e, DATABASE_URL]", ..PLAIN },
    Framework { name: "Drizzle", table: "__drizzle_migrations", column: "hash", example: "[npx, drizzle-kit, migrate]",
        note: "In PostgreSQL Drizzle keeps its migrations in a schema of their own, which C2 does not look into.", log_rules: Some("node"), ..PLAIN },
];

/// The framework whose tables these are. `columns` gives the columns of a table, if there is one of that name.
pub fn recognised<'c>(
    columns: impl Fn(&str) -> Option<&'c [String]>,
) -> Option<&'static Framework> {
    ALL.iter().find(|framework| {
        columns(framework.table).is_some_and(|there| {
            let has = |name: &str| there.iter().any(|c| c.eq_ignore_ascii_case(name));
            let beside = framework.beside;
            has(framework.column) && (beside.is_empty() || has(beside) || columns(beside).is_some())
        })
    })
}

/// Tables in which other frameworks and applications keep book of their schema: name, columns by which such a table is told from another
/// of that name, and who keeps it.
#[rustfmt::skip]
const BOOKS: &[(&str, &[&str], &str)] = &[
    ("VersionInfo", &["Version", "AppliedOn"], "FluentMigrator"),
    ("applied_schema_deltas", &["version", "file"], "Synapse"),
    ("applied_module_schemas", &["module_name", "file"], "Synapse"),
    ("schema_version", &["lock", "version", "upgraded"], "Synapse"),
    ("schema_compat_version", &["lock", "compat_version"], "Synapse"),
    ("schema_version", &["installed_rank", "success"], "Flyway"),
    ("schema_changes", &["change_id", "schema_version", "changed"], "Home Assistant"),
    ("migration_log", &["migration_id", "success", "timestamp"], "Grafana"),
    ("unistore_migration_log", &["migration_id", "success", "timestamp"], "Grafana"),
    ("resource_migration_log", &["migration_id", "success", "timestamp"], "Grafana"),
    ("updatelog", &["ul_key", "ul_value"], "MediaWiki"),
    ("gorp_migrations", &["id", "applied_at"], "sql-migrate"),
    ("phinxlog", &["version", "migration_name"], "Phinx"),
    ("migration", &["version", "apply_time"], "Yii"),
    ("migrations", &["name", "run_on"], "db-migrate"),
    ("migrations", &["name", "version", "currentVersion"], "Ghost"),
    ("migrations_lock", &["lock_key", "locked"], "Ghost"),
    ("migrations", &["version", "class", "group", "namespace"], "CodeIgniter"),
    ("pgmigrations", &["name", "run_on"], "node-pg-migrate"),
    ("mikro_orm_migrations", &["name", "executed_at"], "MikroORM"),
    ("migratehistory", &["name", "migrated_at"], "peewee"),
    ("kysely_migration", &["name", "timestamp"], "Kysely"),
    ("kysely_migration_lock", &["is_locked"], "Kysely"),
    ("bun_migrations", &["name", "group_id"], "Bun"),
    ("bun_migration_locks", &["table_name"], "Bun"),
    ("directus_migrations", &["version", "name"], "Directus"),
    ("strapi_migrations", &["name", "time"], "Strapi"),
    ("strapi_migrations_internal", &["name", "time"], "Strapi"),
    ("strapi_database_schema", &["schema", "time", "hash"], "Strapi"),
    ("payload_migrations", &["name", "batch", "created_at"], "Payload"),
    ("atlas_schema_revisions", &["version", "description", "executed_at"], "Atlas"),
    ("schema_migration", &["version"], "Pop"),
    ("aerich", &["version", "app", "content"], "Aerich"),
    ("play_evolutions", &["id", "hash", "applied_at"], "Play"),
    ("migration_versions", &["version", "executed_at"], "Doctrine"),
    ("_yoyo_migration", &["migration_hash", "migration_id"], "yoyo"),
    ("_yoyo_log", &["migration_hash", "operation"], "yoyo"),
    ("_yoyo_version", &["version", "installed_at_utc"], "yoyo"),
    ("yoyo_lock", &["locked", "pid"], "yoyo"),
    ("typeorm_metadata", &["type", "database", "schema", "table", "value"], "TypeORM"),
];

/// Whether a table of this name is some tool's, without its columns.
pub fn is_known(name: &str) -> bool {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    ALL.iter().any(|framework| is(framework.table)) || BOOKS.iter().any(|(table, ..)| is(table))
}

/// Who keeps book of the schema's migrations in this table, if it is such a table: by its name, and by its columns where the name might
/// be an application's own.
pub fn book_of<'c>(
    name: &str,
    columns: impl Iterator<Item = &'c str> + Clone,
) -> Option<&'static str> {
    book_among(name, columns, std::iter::empty())
}

/// As [`book_of`], where the names of the tables beside it are known: some frameworks are told by another table of theirs.
pub fn book_among<'c, 't>(
    name: &str,
    columns: impl Iterator<Item = &'c str> + Clone,
    tables: impl Iterator<Item = &'t str> + Clone,
) -> Option<&'static str> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    let has = |wanted: &str| columns.clone().any(|c| c.eq_ignore_ascii_case(wanted));
    let telling =
        |f: &&Framework| (f.telling && is(f.table)) || f.leave.iter().any(|other| is(other));
    let lies_beside = |wanted: &str| tables.clone().any(|t| t.eq_ignore_ascii_case(wanted));
    // Several keep a table of one name: the one whose other column or table is there, or who has no other.
    let fits = |f: &&Framework| {
        telling(f) && (f.beside.is_empty() || has(f.beside) || lies_beside(f.beside))
    };
    if let Some(framework) = ALL.iter().find(fits).or_else(|| ALL.iter().find(telling)) {
        return Some(framework.name);
    }
    let by_columns = |f: &&Framework| is(f.table) && has(f.column) && has(f.beside);
    if let Some(framework) = ALL.iter().filter(|f| !f.telling).find(by_columns) {
        return Some(framework.name);
    }
    let book = BOOKS
        .iter()
        .find(|(table, wanted, _)| is(table) && wanted.iter().all(|column| has(column)));
    if let Some((_, _, keeper)) = book {
        return Some(*keeper);
    }
    form_of(name, columns).map(|form| form.keeper)
}

#[cfg(test)]
mod tests {
    use super::{book_among, book_of, ids_of};

    #[test]
    fn books_are_told_by_name_or_by_columns() {
        let book = |name: &str, columns: &[&str]| book_of(name, columns.iter().copied());
        assert_eq!(book("django_migrations", &[]), Some("Django"));
        assert_eq!(
            book("migrations", &["id", "migration", "batch"]),
            Some("Laravel")
        );
        assert_eq!(
            book("migrations", &["id", "timestamp", "name"]),
            Some("TypeORM")
        );
        assert_eq!(book("migrations", &["id", "bird", "flew_on"]), None);
        assert_eq!(
            book("applied_schema_deltas", &["version", "file"]),
            Some("Synapse")
        );
        assert_eq!(
            book("schema_migrations", &["version"]),
            Some("dbmate, or Rails before 5")
        );
        let rails = ["schema_migrations", "ar_internal_metadata", "birds"];
        let version = ["version"].into_iter();
        assert_eq!(
            book_among("schema_migrations", version, rails.into_iter()),
            Some("Rails")
        );
        assert_eq!(
            book("schema_migrations", &["version", "inserted_at"]),
            Some("Ecto")
        );
        assert_eq!(book("VersionInfo", &["Id", "Version"]), None);
        let knex = ["id", "name", "batch", "migration_time"];
        assert_eq!(book("xc_knex_migrationsv2", &knex), Some("Knex"));
        assert_eq!(
            book("xc_knex_migrationsv2_lock", &["index", "is_locked"]),
            Some("Knex")
        );
        assert_eq!(book("deliveries", &knex), None);
        let adonis = Some("dbmate, Rails or Adonis");
        assert_eq!(book("adonis_schema_versions", &["version"]), adonis);
        assert_eq!(book("adonis_schema", &knex), Some("Knex"));
        let typeorm = ["id", "timestamp", "name"];
        assert_eq!(book("typeorm_migrations", &typeorm), Some("TypeORM"));
        assert_eq!(book("readings", &typeorm), None);
        assert_eq!(
            book("bird_migrations", &["id", "timestamp", "name", "bird"]),
            None
        );
        assert_eq!(
            book("d1_migrations", &["id", "name", "applied_at"]),
            Some("D1 (wrangler)")
        );
        let goose = ["id", "version_id", "is_applied", "tstamp"];
        assert_eq!(book("shop_versions", &goose), Some("goose"));
        assert_eq!(book("versions", &["version"]), None);
        assert_eq!(book("bird_migrations", &["id", "name", "batch"]), None);
        assert_eq!(book("bird_migrations", &[]), None);
    }

    #[test]
    fn ids_are_where_the_shape_says() {
        let ids = |name, columns: &[&'static str]| ids_of(name, columns.iter().copied());
        assert_eq!(
            ids("typeorm_migrations", &["id", "timestamp", "Name"]),
            Some("Name")
        );
        assert_eq!(ids("migration_lock", &["index", "is_locked"]), None);
        assert_eq!(ids("birds", &["id", "timestamp", "name"]), None);
    }
}
