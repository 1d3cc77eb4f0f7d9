//! The state machine of one trigger on one signal.
