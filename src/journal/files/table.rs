//! The table: each file of a session's folder, and what its being forged would come to.
//!
//! Not in here: opening them (the module above).

use std::path::Path;

/// What lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Plain,
    /// A folder of files whose names are not known beforehand.
    Folder,
    /// A socket.
    Socket,
}

/// Whose hands are on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    /// The session's owner alone: whoever opened it, and runs its engine.
    Owner,
    /// The bridge's group besides.
    Group,
}

/// A file, or a folder of files, of a session's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name, below the session's folder.
    pub name: &'static str,
    /// Whether it lies in `shared/`. Sessions of earlier versions have no such folder.
    pub is_shared: bool,
    /// What it is.
    pub kind: Kind,
    /// Who can write it.
    pub writer: Hands,
    /// Who can read it.
    pub reader: Hands,
    /// What a forged one would do.
    pub forged: &'static str,
    /// Why it does not.
    pub found: &'static str,
}

const OWN: &str = "nobody else can put one there; owner, mode and kind are looked at first";

const fn own(name: &'static str, forged: &'static str) -> Row {
    Row {
        name,
        is_shared: false,
        kind: Kind::Plain,
        writer: Hands::Owner,
        reader: Hands::Group,
        forged,
        found: OWN,
    }
}

const fn secret(name: &'static str, forged: &'static str) -> Row {
    Row {
        reader: Hands::Owner,
        ..own(name, forged)
    }
}

const fn folder_of(row: Row) -> Row {
    Row {
        kind: Kind::Folder,
        ..row
    }
}

const fn shared(name: &'static str, forged: &'static str, found: &'static str) -> Row {
    Row {
        is_shared: true,
        writer: Hands::Group,
        found,
        ..own(name, forged)
    }
}

/// A constant of each row, and all of them in [`TABLE`].
macro_rules! table {
    ($($(#[$what:meta])* $name:ident = $row:expr;)+) => {
        $($(#[$what])* pub const $name: Row = $row;)+

        /// All of them.
        pub const TABLE: [&Row; [$(stringify!($name)),+].len()] = [$(&$name),+];
    };
}

table! {
    /// The runbook and its values, secrets included: what an engine is started with.
    ORDERS = secret(
        "orders.json",
        "the owner's engine would run another runbook, or on other databases",
    );
    /// The bytes of configuration files before the switch, by their hash.
    FORMER = folder_of(secret(
        "former",
        "a rollback would write it into the application's configuration; it is besides the hash that the journal names, or is not written",
    ));
    /// What a guard could not tell.
    UNTOLD = own("untold", "its lines would become alarms in the journal");
    /// The engine's own record of how far it has written the journal.
    SEAL = own(
        "journal.seal",
        "a journal that the group has rewritten would be believed",
    );
    /// What the engine prints.
    ENGINE_LOG = own(
        "engine.log",
        "people would read what no engine wrote; a link would be written to",
    );
    /// The log before this one.
    FORMER_LOG = own("engine.log.1", "as `engine.log`");
    /// The engine's socket.
    SOCKET = Row {
        kind: Kind::Socket,
        writer: Hands::Group,
        ..own(
            "engine.sock",
            "people would speak to somebody else than the engine; speaking to it is what the group may",
        )
    };
    /// Where the socket is, if not there.
    SOCKET_POINTER = own("engine.sock.path", "as `engine.sock`");
    /// The guard's socket, once its engine is dead.
    GUARD_SOCKET = Row {
        kind: Kind::Socket,
        writer: Hands::Group,
        ..own(
            "guard.sock",
            "nobody could ask the guard for an engine; who asks is known by the operating system, and all that it gives is an engine of the owner's",
        )
    };
    /// Where that is, if not there.
    GUARD_POINTER = own("guard.sock.path", "as `guard.sock`");
    /// The runbook's text.
    RUNBOOK = own(
        "runbook.yaml",
        "a bundle would hold another runbook; its hash is in the journal, and the check names what differs",
    );
    /// Its values that are no secrets.
    RUNBOOK_VALUES = own("runbook.values.json", "as `runbook.yaml`");
    /// Where else the engine writes files.
    PLACES = own(
        "places.json",
        "`status` would look for unfinished files elsewhere; only such that this program names are removed",
    );
    /// Room for a full disk.
    RESERVE = own("reserve", "there would be no room when it is needed");
    /// What actions printed.
    OUTPUT = folder_of(own(
        "output",
        "a link in it would be written to, or its target kept as evidence",
    ));
    /// What R5 keeps.
    PRESERVED = folder_of(own("preserved", "as `output`"));
    /// Where backups are restored to, to be tried.
    DRILL = folder_of(secret(
        "drill",
        "a copy of the data would be written elsewhere",
    ));
    /// A backup that was uploaded and fetched again.
    READ_BACK = own(
        "read-back.db",
        "the operator's command would write through a link; its hash is compared with the backup's",
    );
    /// Rows that a rollback left behind.
    SALVAGE = secret(
        "salvage.db",
        "`salvage apply` would bring its rows into SQLite",
    );
    /// The same of an attempt before, in whose place another one came.
    SALVAGE_BEFORE = secret("salvage.before.db", "as `salvage.db`");
    /// What users write to PostgreSQL, as it is read while they write.
    FEED = secret(
        "feed.db",
        "a rollback would bring its rows into SQLite",
    );
    /// SQLite's log of that.
    FEED_WAL = secret("feed.db-wal", "as `feed.db`");
    /// SQLite's index of the log.
    FEED_SHM = secret("feed.db-shm", "as `feed.db`");
    /// Files that people read, by their hash.
    ARTEFACTS = folder_of(own(
        "artefacts",
        "people would read what no step left; whoever reads one compares it with its name",
    ));
    /// What a rehearsal lent.
    REHEARSAL = own(
        "rehearsal.json",
        "`unpoint` would run, or not run, against what was done",
    );
    /// Held by who drives a rehearsal. Its text is for people.
    REHEARSAL_LOCK = Row {
        writer: Hands::Group,
        ..own(
            "rehearsal.lock",
            "somebody else's name would be told to people; that it is held is told by the lock alone",
        )
    };
    /// Bundles that people write.
    REPORT = Row {
        writer: Hands::Group,
        found: "whoever checks a bundle goes by its hashes; nothing reads one back, and nothing in it is written through a link",
        ..folder_of(own("report", "people would read another report"))
    };
    /// Where the group works.
    SHARED = Row {
        writer: Hands::Group,
        found: "see the rows of what is in it",
        ..folder_of(own("shared", "see the rows of what is in it"))
    };
    /// Events, and what lies beside them.
    JOURNAL = shared(
        "journal.db",
        "things would be on record that nobody did",
        "the chain, the head, and the seal, which the group cannot write; signatures with SSH keys are checked anew",
    );
    /// SQLite's log.
    JOURNAL_WAL = shared("journal.db-wal", "as `journal.db`", "as `journal.db`");
    /// SQLite's index of that.
    JOURNAL_SHM = shared(
        "journal.db-shm",
        "readers would see no consistent file",
        "as `journal.db`",
    );
    /// The end of the chain.
    HEAD = shared(
        "journal.head",
        "a journal that was cut off would look whole",
        "the seal, and the journal itself",
    );
    /// Locked by the engine that runs.
    LEASE = shared(
        "engine.lease",
        "another process would be named as the engine's; holding it keeps an engine from beginning",
        "the lock alone decides, and the number of the lease is in the journal",
    );
}

/// The row of a name below a session's folder; a file in a folder of files has that folder's.
pub fn row_of(name: &Path) -> Option<&'static Row> {
    let mut parts = name.components().map(|c| c.as_os_str());
    let first = parts.next()?;
    let is_in = |shared: bool, name: &std::ffi::OsStr| {
        TABLE
            .into_iter()
            .find(|row| row.is_shared == shared && name == row.name)
    };
    match (first == SHARED.name, parts.next()) {
        (true, Some(name)) => is_in(true, name),
        _ => is_in(false, first),
    }
}
