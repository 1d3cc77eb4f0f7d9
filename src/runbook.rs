//! What the operator writes. Pure.

pub mod transfer;
