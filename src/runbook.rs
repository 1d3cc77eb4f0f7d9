//! What the operator writes. Pure.
