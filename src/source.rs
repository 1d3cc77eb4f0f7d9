//! SQLite: open, schema, write fence, backup.
