//! What .NET's hosts, EF Core and Npgsql print, as plain text or as JSON lines.

use super::Rules;

/// PostgreSQL's errors by SQLSTATE, as Npgsql words them, and what Npgsql itself throws.
pub(super) const NPGSQL: Rules = &[
    (
        "database_constraint",
        r"PostgresException.{0,40}?\b23[0-9A-Z]{3}: ",
    ),
    (
        "database_deadlock",
        r"PostgresException.{0,40}?\b(?:40P01|40001): ",
    ),
    (
        "database_authentication",
        r"PostgresException.{0,40}?\b(?:28[0-9A-Z]{3}|42501): |No password has been provided",
    ),
    (
        "database_timeout",
        r"PostgresException.{0,40}?\b(?:57014|55P03|25P03): |connection pool has been exhausted|NpgsqlException.*(?:[Tt]imeout|timed out)|Timeout during (?:reading|connection) attempt",
    ),
    (
        "ddl_exception",
        r"PostgresException.{0,40}?\b(?:42P01|42703|42704|42883|42P07|42701|42710|42P16|3F000|42P06): ",
    ),
    ("database_exception", r"(?:Postgres|Npgsql)Exception"),
    (
        "database_exception",
        r"System\.TimeoutException: .*(?:[Dd]atabase|[Pp]ostgres|SQL)",
    ),
];

pub(super) const EFCORE: Rules = &[
    (
        "pending_migration",
        r"PendingModelChangesWarning|has pending changes|[Pp]ending migrations?",
    ),
    (
        "migration_completed",
        r"No migrations were applied\. The database is already up to date|[Mm]igrations? (?:were |was )?(?:applied|completed)",
    ),
    (
        "database_timeout",
        r"SqliteException.*SQLite Error 5: |Execution Timeout Expired",
    ),
    ("database_constraint", r"SqliteException.*SQLite Error 19: "),
    (
        "database_exception",
        r"DbUpdate(?:Concurrency)?Exception|SqliteException|Failed executing DbCommand|An error occurred using (?:the connection to database|a transaction)|An exception occurred (?:while iterating over the results|in the database while saving changes)",
    ),
];

pub(super) const ASPNETCORE: Rules = &[
    (
        "endpoint_exception",
        r"An unhandled exception (?:has occurred while executing the request|was thrown by the application)|HTTP .* responded 500",
    ),
    (
        "unhandled_exception",
        r"^Unhandled exception|Application terminated unexpectedly|Hosting failed to start|BackgroundService failed|Application startup exception|The HostOptions\.BackgroundServiceExceptionBehavior",
    ),
    ("host_booted", r"Application started\."),
    ("services_initialised", r"Now listening on: "),
];
