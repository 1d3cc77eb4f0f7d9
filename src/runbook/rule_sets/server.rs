//! What PostgreSQL itself says, in its own English words or by SQLSTATE. Most client libraries pass it on as it is.

use super::Rules;

pub(super) const POSTGRES: Rules = &[
    (
        "database_constraint",
        r"violates (?:unique|foreign key|not-null|check|exclusion) constraint|violates row-level security policy|value too long for type|SQLSTATE\W{0,3}23[0-9A-Z]{3}",
    ),
    (
        "database_deadlock",
        r"deadlock detected|could not serialize access|SQLSTATE\W{0,3}(?:40P01|40001)",
    ),
    (
        "database_authentication",
        r#"password authentication failed|no pg_hba\.conf entry|permission denied for (?:table|view|schema|sequence|relation|function|database|column|large object)|\brole "[^"]*" (?:does not exist|is not permitted to log in)|must be owner of|SQLSTATE\W{0,3}(?:28[0-9A-Z]{3}|42501)"#,
    ),
    (
        "database_timeout",
        r"canceling statement due to|terminating connection due to idle|remaining connection slots are reserved|too many (?:clients already|connections for)|query_wait_timeout|SQLSTATE\W{0,3}(?:57014|55P03|25P03|53300)",
    ),
    (
        "ddl_exception",
        r"\b(?:relation|column|type|function|schema|index|sequence|constraint|table|view) \S.{0,200}?\b(?:does not exist|already exists)|operator does not exist|SQLSTATE\W{0,3}(?:42P01|42703|42704|42883|42P07|42701|42710|42P16|3F000|42P06)",
    ),
    (
        "database_exception",
        r"server closed the connection unexpectedly|terminating connection due to administrator command|the database system is (?:starting up|shutting down|in recovery mode)|could not connect to server|connection to server .{0,200} failed|(?:ECONNREFUSED|[Cc]onnection refused|Connect call failed).{0,80}[56]432|[56]432.{0,80}[Cc]onnection refused|invalid input syntax for|current transaction is aborted|cached plan must not change result type|SQLSTATE\W{0,3}[0-9A-Z]{5}\b",
    ),
];
