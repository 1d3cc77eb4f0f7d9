//! The work of R2+ within its transaction, as often as it takes: a full-text index that is not made anew in time takes the transaction back with
//! it, so that the rows are brought in once more without that index, which is named. Not in here: the commit.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::salvage::Error;
use crate::salvage::apply::derived::Anew;
use crate::salvage::apply::whole;
use crate::salvage::file::Salvaged;
use crate::salvage::mark::{self, Mark, Stays};
use crate::sqlite::writer::Writer;

/// How rows are brought in.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// The nearest value is good enough.
    pub nearest: bool,
    /// How long full-text indexes may take, all of them together.
    pub index_limit: Duration,
}

/// What is brought in, and where.
pub(super) struct Work<'a> {
    pub salvaged: &'a Salvaged,
    /// As the salvage file notes it.
    pub file: &'a Path,
    pub how: How,
    pub say: &'a dyn Fn(&str),
}

impl Work<'_> {
    /// Brings the rows in and leaves the mark, which says what stays. After an error nothing of it is there.
    pub(super) fn done(&self, mut writer: Writer, mark: &mut Mark) -> Result<Writer, Error> {
        let mut anew = Anew::within(self.how.index_limit);
        loop {
            match self.attempt(&writer, &anew, mark) {
                Ok(()) => return Ok(writer),
                Err(Error::IndexLate { index, made, .. }) => {
                    (self.say)(&format!(
                        "the full-text index {index} takes too long: the rows are brought in once more, without it"
                    ));
                    // After a second one only those are tried that are known to be quick, and after a third none: the application waits.
                    anew.only = match (anew.without.is_empty(), &anew.only) {
                        (true, _) => None,
                        (false, None) => Some(made),
                        (false, Some(_)) => Some(BTreeSet::new()),
                    };
                    anew.without.insert(index);
                    writer = writer.again()?;
                }
                Err(error) => {
                    writer.undo();
                    return Err(error);
                }
            }
        }
    }

    fn attempt(&self, writer: &Writer, anew: &Anew, mark: &mut Mark) -> Result<(), Error> {
        let connection = writer.connection();
        let whole = whole::bring(
            connection,
            self.salvaged,
            self.file,
            self.how.nearest,
            anew,
            self.say,
        )?;
        mark.rows = whole.brought;
        mark.stays = Stays {
            unfilled: whole.unfilled,
        };
        mark::leave(connection, mark)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ids, place, run};
    use super::super::{bring, marked};
    use super::*;

    /// A view without an end, over which an index would be made for ever.
    const ENDLESS: &str = "
        CREATE VIRTUAL TABLE Found USING fts5(Name, content='T', content_rowid='Id');
        INSERT INTO Found (Found) VALUES ('rebuild');
        CREATE VIEW Endless AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS Id, 'x' AS Name FROM n;
        CREATE VIRTUAL TABLE Slow USING fts5(Name, content='Endless', content_rowid='Id');
        CREATE VIRTUAL TABLE Slower USING fts5(Name, content='Endless', content_rowid='Id');
        CREATE VIRTUAL TABLE Z USING fts5(Name, content='T', content_rowid='Id');";

    fn found(place: &super::super::Place, index: &str) -> i64 {
        let connection = crate::sqlite::open_read_only(&place.file).expect("the file");
        let sql = format!("SELECT count(*) FROM {index} WHERE {index} MATCH 'three'");
        connection
            .query_row(&sql, [], |row| row.get(0))
            .expect(&sql)
    }

    #[test]
    fn an_index_that_takes_too_long_is_named_and_the_rows_are_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(folder.path());
        run(&place.file, ENDLESS);
        let how = How {
            nearest: false,
            index_limit: Duration::from_millis(500),
        };
        let told = bring(&place, None, None, how, &|_| ()).expect("the rows go in");
        assert_eq!(ids(&place), "1,3");
        assert_eq!(told.brought.sums(), [1, 0, 1]);
        let stale: Vec<&str> = told.brought.stale.iter().map(String::as_str).collect();
        // The second that is late ends it: for one that nobody has tried yet the application does not wait.
        assert_eq!(stale.len(), 3, "{stale:?}");
        assert!(stale[0].starts_with("the full-text index Slow was not made anew, for that"));
        assert!(stale[0].ends_with(r#"INSERT INTO "Slow" ("Slow") VALUES ('rebuild')"#));
        assert_eq!((found(&place, "Found"), found(&place, "Z")), (1, 0));
        let mark = marked(&place).expect("it is this file's").expect("a mark");
        assert_eq!((mark.rows, mark.stays.unfilled.stale.len()), (2, 3));
        assert!(!told.outcome().ok, "it is red, for an index lacks rows");
    }

    #[test]
    fn the_other_indexes_are_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(folder.path());
        run(&place.file, ENDLESS);
        run(&place.file, "DROP TABLE Slower");
        let how = How {
            nearest: false,
            index_limit: Duration::from_millis(500),
        };
        let told = bring(&place, None, None, how, &|_| ()).expect("the rows go in");
        assert_eq!(told.brought.stale.len(), 1, "{:?}", told.brought.stale);
        assert_eq!((found(&place, "Found"), found(&place, "Z")), (1, 1));
        assert_eq!(ids(&place), "1,3");
    }
}
