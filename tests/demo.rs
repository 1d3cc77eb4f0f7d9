//! The sandbox: what it starts, what it serves, and that nothing of it is left.

mod cluster;
