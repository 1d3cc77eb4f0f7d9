//! The independent checker. Shares no conversion code with `transfer`.
