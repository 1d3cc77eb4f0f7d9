//! What is ours and what is not. The one place that removes, empties, drops, renames over or overwrites: whatever is not known to have
//! been made by `cutover` stays, and is named.
//!
//! A folder is ours by a mark in it that holds its own device, inode and birth ([`folder`]), the copy of a rehearsal by that mark too
//! ([`copy`]), a file that is not whole by a name that only we make ([`temporary`]), a scratch database by a record in it that holds its
//! own identity ([`scratch`]), a role and the databases of it on a server that a sandbox is a guest of by a comment that holds the role's own
//! oid ([`guest`]). A mark that was copied counts for nothing. Not in here: what a runbook tells us to write (`action`), and when
//! rows of an import may go (`transfer`); their statements are made in [`statements`].

#![expect(
    clippy::disallowed_methods,
    reason = "the one place that removes, renames and overwrites"
)]

pub mod below;
pub mod copy;
pub mod file;
pub mod folder;
pub mod guest;
pub mod lock;
pub mod mark;
pub mod objects;
pub mod scratch;
pub mod statements;
pub mod temporary;
