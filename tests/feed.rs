//! The feed: what is written to PostgreSQL from the switch on. Against real servers.

mod capture;
mod reader;
mod rollbacks;
