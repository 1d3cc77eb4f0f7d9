//! Samples and rules in; clear, burning, blind or fired out. Pure.
