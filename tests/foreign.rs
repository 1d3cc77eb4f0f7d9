//! Applications that are not ours: they share no code and no convention with the sandbox. A lending library in Django, whose nights are
//! played in a folder and on a server where everything else is a canary, and an application on SQLAlchemy and Alembic.
//!
//! What they run on is installed by `scripts/foreign-programs.sh`. Not in here: what the sandbox's nights prove (`night`).

mod application;
mod bridge;
mod canaries;
mod chain;
mod harm;
mod night;
mod people;
mod place;
mod runbook;
mod walk;
