//! The independent checker. Shares no conversion code with `transfer`.

mod canon;
mod equality;
