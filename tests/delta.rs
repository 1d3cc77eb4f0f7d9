//! Which rows of two snapshots differ.

mod pages;
