//! Shapes of the tables in which tools keep book of a schema's migrations, for those that let an application name the table. A shape that
//! another table could have by chance counts only whole, and under a name that speaks of migrations.

/// The shape of a book whose table applications may name themselves.
pub(super) struct Form {
    /// All of its columns where [`Form::telling`] is not set, else those by which it is told from every other table.
    columns: &'static [&'static str],
    /// No other table has such columns, so that the name need not speak of migrations.
    telling: bool,
    /// The column with their ids.
    id: &'static str,
    pub(super) keeper: &'static str,
}

/// A shape that is one by all of its columns, under a name that speaks of migrations.
const fn all(columns: &'static [&'static str], id: &'static str, keeper: &'static str) -> Form {
    Form {
        columns,
        telling: false,
        id,
        keeper,
    }
}

/// A shape that no other table has, under any name.
const fn any(columns: &'static [&'static str], id: &'static str, keeper: &'static str) -> Form {
    Form {
        columns,
        telling: true,
        id,
        keeper,
    }
}

/// Books whose table applications may name themselves.
#[rustfmt::skip]
const FORMS: &[Form] = &[
    all(&["id", "name", "batch", "migration_time"], "name", "Knex"),
    all(&["index", "is_locked"], "", "Knex"),
    all(&["version"], "version", "dbmate, Rails or Adonis"),
    all(&["id", "timestamp", "name"], "name", "TypeORM"),
    all(&["id", "name", "applied_at"], "name", "D1 (wrangler)"),
    all(&["id", "migration", "batch"], "migration", "Laravel"),
    all(&["name"], "name", "Sequelize (Umzug)"),
    all(&["name", "createdat", "updatedat"], "name", "Sequelize (Umzug)"),
    all(&["filename"], "filename", "Sequel"),
    all(&["version", "inserted_at"], "version", "Ecto"),
    all(&["version", "dirty"], "version", "golang-migrate"),
    all(&["version", "run_on"], "version", "Diesel"),
    all(&["version", "applied_at"], "version", "SeaORM"),
    all(&["version", "apply_time"], "version", "Yii"),
    all(&["version", "name", "applied_on", "checksum"], "version", "Refinery"),
    all(&["version", "executed_at"], "version", "Doctrine"),
    all(&["version", "executed_at", "execution_time"], "version", "Doctrine"),
    all(&["version", "description", "installed_on", "success", "checksum", "execution_time"], "version", "sqlx"),
    all(&["version", "name", "timestamp"], "name", "Directus"),
    all(&["version", "name", "md5", "run_at"], "version", "Postgrator"),
    all(&["version", "appliedon", "description"], "version", "FluentMigrator"),
    all(&["id", "name", "run_on"], "name", "node-pg-migrate or db-migrate"),
    all(&["id", "name", "executed_at"], "name", "MikroORM"),
    all(&["id", "name", "migrated_at"], "name", "peewee"),
    all(&["id", "name", "group_id", "migrated_at"], "name", "Bun"),
    all(&["id", "app", "name", "applied"], "name", "Django"),
    all(&["id", "hash", "created_at"], "hash", "Drizzle"),
    all(&["id", "applied_at"], "id", "sql-migrate"),
    all(&["id", "version", "class", "group", "namespace", "time", "batch"], "version", "CodeIgniter"),
    all(&["name", "timestamp"], "name", "Kysely"),
    all(&["id", "is_locked"], "", "Kysely"),
    any(&["id", "locked", "lockgranted", "lockedby"], "", "Liquibase"),
    any(&["version_id", "is_applied", "tstamp"], "version_id", "goose"),
    any(&["installed_rank", "script", "checksum", "installed_on"], "script", "Flyway"),
    any(&["id", "author", "filename", "dateexecuted", "orderexecuted", "md5sum"], "id", "Liquibase"),
    any(&["migrationid", "productversion"], "migrationid", "Entity Framework Core"),
    any(&["migration_name", "checksum", "applied_steps_count"], "migration_name", "Prisma"),
    any(&["version", "migration_name", "start_time", "breakpoint"], "version", "Phinx"),
    any(&["version", "partial_hashes", "operator_version"], "version", "Atlas"),
    any(&["version_num"], "version_num", "Alembic"),
];

/// What names of tables have in them in which tools keep book of a schema, in small letters.
#[rustfmt::skip]
const SPEAKING: [&str; 18] = [
    "migration", "migrate", "schema_version", "schemaversion", "schema_history", "schemahistory", "schema_info", "schema_change", "schema_revision",
    "schema_log", "adonis_schema", "db_version", "dbversion", "database_version", "sequelize", "umzug", "phinx", "alembic",
];

/// Whether a table's name speaks of the schema's history. It may be the application's own all the same.
pub fn speaks_of_history(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SPEAKING.iter().any(|word| name.contains(word))
}

/// The shape that these columns have, if a table of this name may have it.
pub(super) fn form_of<'c>(
    name: &str,
    columns: impl Iterator<Item = &'c str> + Clone,
) -> Option<&'static Form> {
    let has = |wanted: &&str| {
        columns
            .clone()
            .any(|column| column.eq_ignore_ascii_case(wanted))
    };
    let speaks = speaks_of_history(name);
    FORMS.iter().find(|form| {
        let fits = form.telling || speaks && columns.clone().count() == form.columns.len();
        fits && form.columns.iter().all(has)
    })
}

/// The column with the ids of migrations of a table that is known by its columns alone; none where that is a lock.
pub fn ids_of<'c>(
    name: &str,
    mut columns: impl Iterator<Item = &'c str> + Clone,
) -> Option<&'c str> {
    let form = form_of(name, columns.clone())?;
    columns.find(|column| column.eq_ignore_ascii_case(form.id))
}
