//! A function for SQLite that gives a value as it will arrive: two spellings of one GUID, or of one `citext`, are one value in PostgreSQL, and a
//! child finds its parent by that.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::target::catalogue::Column;
use crate::transfer::convert::Converter;
use crate::transfer::layout::Layout;

/// Which letters the target takes for equal.
#[derive(Clone, Copy)]
enum Folds {
    None,
    Ascii,
    All,
}

impl Folds {
    fn of(column: &Column) -> Self {
        match (column.folds, column.folds_ascii) {
            (false, _) => Self::None,
            (true, true) => Self::Ascii,
            (true, false) => Self::All,
        }
    }

    fn apply(self, text: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Ascii => Some(text.to_ascii_lowercase()),
            Self::All => Some(text.to_lowercase()),
        }
    }
}

/// How the values of all moving columns arrive, by table and column.
pub(super) struct Arrived {
    tables: Vec<Vec<(Converter, Folds)>>,
}

impl Arrived {
    pub(super) fn of(layout: &Layout) -> Self {
        let of_table = |table: &crate::transfer::layout::TableLayout| {
            let columns = table.columns.iter();
            columns
                .map(|column| (column.converter.clone(), Folds::of(&column.target)))
                .collect()
        };
        Self {
            tables: layout.tables.iter().map(of_table).collect(),
        }
    }

    /// Adds `cutover_arrived(table, column, value)`; NULL for NULL, and for what does not arrive.
    pub(super) fn register(self, connection: &Connection) -> rusqlite::Result<()> {
        connection.create_scalar_function(
            "cutover_arrived",
            3,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            move |context| self.value(context),
        )
    }

    fn value(&self, context: &Context<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
        let place = |at: usize| {
            context
                .get::<i64>(at)
                .map(|place| place.unsigned_abs() as usize)
        };
        let (table, column) = (place(0)?, place(1)?);
        let known = self.tables.get(table).and_then(|table| table.get(column));
        let Some((converter, folds)) = known else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        if converter.encode(context.get_raw(2), &mut bytes).is_err() || bytes == NULL {
            return Ok(None);
        }
        // Without the length in front, which may change with the letters' case.
        let text = std::str::from_utf8(bytes.get(4..).unwrap_or_default());
        let folded = text.ok().and_then(|text| folds.apply(text));
        Ok(Some(folded.map_or(bytes, String::into_bytes)))
    }
}

/// A field of binary COPY that is NULL: the length -1.
const NULL: [u8; 4] = [0xff; 4];
