//! The sandbox: a sample application, a throwaway PostgreSQL, a fleet, traffic and faults, all real.
