//! Instances of the application: configuration switch, restart, readiness.
