//! The fault `second-writer`: somebody's forgotten job that writes to the SQLite file past the application.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// The hidden subcommand that runs [`main`].
pub const SUBCOMMAND: &str = "second-writer";

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one attempt waits for a lock.
const BUSY_LIMIT: Duration = Duration::from_millis(250);

/// Counts a view up, again and again, whoever holds the file; ends when its standard input does.
pub fn main(file: &Path) -> ExitCode {
    std::thread::spawn(|| {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        Ok(connection)
    };
    let connection = match open() {
        Ok(connection) => connection,
        Err(error) => {
            errln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    };
    loop {
        // Refused while somebody holds a fence; that is the point, and it does not give up.
        let _ = connection.execute(
            r#"UPDATE "ToolContents" SET "ViewCount" = "ViewCount" + 1 WHERE "Id" = 1"#,
            [],
        );
        std::thread::sleep(PAUSE);
    }
}
