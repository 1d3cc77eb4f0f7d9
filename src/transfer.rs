//! Rows from source to target.
