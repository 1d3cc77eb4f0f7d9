//! Making the schema `cutover` in the target, in which everything of ours lies there.

/// Makes the schema where it is missing. Several of our own connections may find it missing at the same moment, so they wait for each other
/// until their transactions end. The second may still believe what it looked up before it waited, and `IF NOT EXISTS` asks no more than
/// that: what it then runs into is that the schema is there, which is what was wanted.
pub const MAKE: &str = "
    SELECT pg_catalog.pg_advisory_xact_lock(7163385914070528);
    DO $make$ BEGIN
      CREATE SCHEMA IF NOT EXISTS cutover;
    EXCEPTION WHEN unique_violation OR duplicate_schema THEN NULL;
    END $make$;";
