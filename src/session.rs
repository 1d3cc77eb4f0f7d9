//! The rules of a session. Pure: time comes in as a value.
