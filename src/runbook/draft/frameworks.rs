//! Frameworks that are known by the table in which they record their migrations. Not in here: what is made of them (`draft`).

/// What is known of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Framework {
    /// As people call it.
    pub name: &'static str,
    /// Its table of migrations.
    pub table: &'static str,
    /// The column with their ids.
    pub column: &'static str,
    /// Another column of the table, by which it is told from others that call theirs the same; empty where nobody else does.
    pub beside: &'static str,
    /// Further tables of its own: they are made anew in PostgreSQL, and their rows stay behind.
    pub leave: &'static [&'static str],
    /// How its migrations are run, as keys of the step.
    pub migrate: &'static str,
    /// The ready-made rules for its log, where there are some.
    pub log_rules: Option<&'static str>,
}

/// All of them; of two that fit, the first is meant.
#[rustfmt::skip]
pub const ALL: &[Framework] = &[
    Framework { name: "Entity Framework Core", table: "__EFMigrationsHistory", column: "MigrationId", beside: "ProductVersion", leave: &["__EFMigrationsLock"],
        migrate: "script: <a file made by `dotnet ef migrations script --idempotent`>", log_rules: Some("dotnet") },
    Framework { name: "Django", table: "django_migrations", column: "name", beside: "app", leave: &[],
        migrate: "command: [python, manage.py, migrate, --noinput]", log_rules: None },
    Framework { name: "Ecto", table: "schema_migrations", column: "version", beside: "inserted_at", leave: &[],
        migrate: "command: [mix, ecto.migrate]", log_rules: None },
    Framework { name: "golang-migrate", table: "schema_migrations", column: "version", beside: "dirty", leave: &[],
        migrate: "command: [migrate, -path, <folder of the migrations>, -database, \"${TARGET_URL}\", up]", log_rules: None },
    Framework { name: "Rails", table: "schema_migrations", column: "version", beside: "", leave: &["ar_internal_metadata"],
        migrate: "command: [bin/rails, \"db:migrate\"]", log_rules: None },
    Framework { name: "Laravel", table: "migrations", column: "migration", beside: "batch", leave: &[],
        migrate: "command: [php, artisan, migrate, --force]", log_rules: None },
    Framework { name: "TypeORM", table: "migrations", column: "name", beside: "timestamp", leave: &[],
        migrate: "command: [npx, typeorm, \"migration:run\", -d, <the data source>]", log_rules: None },
    Framework { name: "Alembic", table: "alembic_version", column: "version_num", beside: "", leave: &[],
        migrate: "command: [alembic, upgrade, head]", log_rules: None },
    Framework { name: "Prisma", table: "_prisma_migrations", column: "migration_name", beside: "", leave: &[],
        migrate: "command: [npx, prisma, migrate, deploy]", log_rules: None },
    Framework { name: "Knex", table: "knex_migrations", column: "name", beside: "batch", leave: &["knex_migrations_lock"],
        migrate: "command: [npx, knex, \"migrate:latest\"]", log_rules: None },
    Framework { name: "Sequelize", table: "SequelizeMeta", column: "name", beside: "", leave: &[],
        migrate: "command: [npx, sequelize-cli, \"db:migrate\"]", log_rules: None },
    Framework { name: "Flyway", table: "flyway_schema_history", column: "script", beside: "checksum", leave: &[],
        migrate: "command: [flyway, migrate]", log_rules: None },
    Framework { name: "Liquibase", table: "DATABASECHANGELOG", column: "ID", beside: "MD5SUM", leave: &["DATABASECHANGELOGLOCK"],
        migrate: "command: [liquibase, update]", log_rules: None },
    Framework { name: "Doctrine", table: "doctrine_migration_versions", column: "version", beside: "", leave: &[],
        migrate: "command: [php, bin/console, \"doctrine:migrations:migrate\", --no-interaction]", log_rules: None },
    Framework { name: "sqlx", table: "_sqlx_migrations", column: "version", beside: "checksum", leave: &[],
        migrate: "command: [sqlx, migrate, run]", log_rules: None },
    Framework { name: "Diesel", table: "__diesel_schema_migrations", column: "version", beside: "", leave: &[],
        migrate: "command: [diesel, migration, run]", log_rules: None },
    Framework { name: "SeaORM", table: "seaql_migrations", column: "version", beside: "", leave: &[],
        migrate: "command: [sea-orm-cli, migrate, up]", log_rules: None },
    Framework { name: "goose", table: "goose_db_version", column: "version_id", beside: "", leave: &[],
        migrate: "command: [goose, up]", log_rules: None },
];

/// The framework whose tables these are. `columns` gives the columns of a table, if there is one of that name.
pub fn recognised<'c>(
    columns: impl Fn(&str) -> Option<&'c [String]>,
) -> Option<&'static Framework> {
    ALL.iter().find(|framework| {
        columns(framework.table).is_some_and(|there| {
            let has = |name: &str| there.iter().any(|c| c.eq_ignore_ascii_case(name));
            has(framework.column) && (framework.beside.is_empty() || has(framework.beside))
        })
    })
}
