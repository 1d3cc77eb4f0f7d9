//! The terminal UI. Sees only the session and the journal; touches neither database.
