//! Which of the target's rules are worth asking about the rows of one table, and the SQL that asks them over the probe table. Pure. Which
//! rules there are to ask about is in `rows` and `indexes`; here is what a question is, and what all of them need of the probe table.

mod indexes;
mod rows;

use crate::ours::statements::Name;
use crate::postgres::catalogue::Column;
use crate::postgres::quoted;
use crate::transfer::layout::TableLayout;
use crate::transfer::plan::consequences::Action;
use crate::transfer::plan::probe::rules::mentions;
use crate::transfer::plan::scan::Scanned;

/// The table that the rows are in, inside the transaction.
pub(super) const PROBE: &str = "pg_temp.cutover_probe";
/// What names a row of it.
pub(super) const ROW: &str =
    "CASE WHEN \"cutover key\" = '' THEN 'row ' || \"cutover place\" ELSE \"cutover key\" END";

/// One rule of the server's, as a query over the probe table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// The constraint, index or column.
    pub name: String,
    /// Source column that a policy can be put on; empty when there is none.
    pub column: String,
    /// What has to be there first.
    pub before: String,
    /// Yields the place of each row at fault (NULL: it is no row of this table), its key, and what it collides with.
    pub sql: String,
    /// What the server has to compute for it, for looking at rows one by one.
    pub evaluated: String,
    /// How the index is made that takes the rows in one by one instead, where it is the index that may refuse them.
    pub index: Option<String>,
    /// What is wrong with such a row.
    pub reason: String,
    /// A row is at fault only while one of those it collides with stays.
    pub pairwise: bool,
    /// Rows are at fault beside others: to be asked once it is known which rows arrive.
    pub of_several: bool,
    /// Source columns that it reads, those that a policy is best put on first. Empty: every row gets the same.
    pub reads: Vec<String>,
    /// What is best done about a row at fault.
    pub wished: Action,
    /// What would mend the target.
    pub mend: String,
}

impl Question {
    /// Rows for which the condition does not hold.
    pub(super) fn of_rows(name: &str, column: String, condition: &str, reason: String) -> Self {
        Self {
            name: name.to_owned(),
            column,
            before: String::new(),
            sql: of_rows_sql(condition),
            evaluated: format!("({condition})"),
            index: None,
            reason,
            pairwise: false,
            of_several: false,
            reads: Vec::new(),
            wished: Action::Aside,
            mend: String::new(),
        }
    }

    /// With the source columns that it reads and what would mend the target.
    pub(super) fn reading(mut self, reads: Vec<String>, mend: String) -> Self {
        self.reads = reads;
        self.mend = mend;
        self
    }
}

/// What is asked about one table.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// The target's schema.
    pub schema: String,
    /// In order: what later ones need comes first.
    pub questions: Vec<Question>,
    /// Places of the moving columns that are sent.
    pub columns: Vec<usize>,
    /// Makes the probe table.
    pub create: String,
    /// Takes the rows in.
    pub copy: String,
    /// What is done once the rows are in.
    pub ready: String,
}

impl Questions {
    /// All rules of a table that its rows could break. `scanned` tells which keys can be skipped; without it, all are asked.
    pub fn of(table: &TableLayout, scanned: Option<&Scanned>) -> Self {
        let mut asking = Asking::new(table);
        asking.computed();
        asking.checks();
        asking.partitions();
        asking.own_rules();
        asking.indexed(scanned);
        asking.too_long(scanned);
        asking.parents();
        asking.uniques(scanned);
        asking.exclusions();
        asking.finish()
    }

    /// No question, and these of the target's columns, also those that the server fills by itself.
    pub fn of_filled(table: &TableLayout, names: &[String]) -> Self {
        let mut asking = Asking::new(table);
        asking.need(names);
        for name in names {
            let column = table.target.column(name).filter(|column| column.generated);
            if let Some(before) = column.and_then(|column| asking.compute(column)) {
                asking.found.ready.push_str(&format!("{before};\n"));
            }
        }
        asking.finish()
    }

    /// No question, and these of the moving columns by their places.
    pub fn of_columns(table: &TableLayout, columns: &[usize]) -> Self {
        let mut asking = Asking::new(table);
        asking.found.columns = columns.to_vec();
        asking.finish()
    }
}

struct Asking<'t> {
    table: &'t TableLayout,
    found: Questions,
    /// Target columns that nothing moves into and that the rules read: filled by their defaults.
    filled: Vec<&'t Column>,
}

impl<'t> Asking<'t> {
    fn new(table: &'t TableLayout) -> Self {
        Self {
            table,
            found: Questions {
                schema: table.schema.clone(),
                ..Questions::default()
            },
            filled: Vec::new(),
        }
    }

    fn ask(&mut self, question: Question) {
        self.found.questions.push(question);
    }

    /// Sees to it that these target columns are in the probe table.
    fn need<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) {
        let table = self.table;
        for name in names {
            let moving = table.columns.iter().position(|c| c.target.name == *name);
            match (moving, table.target.column(name)) {
                (Some(place), _) => self.found.columns.push(place),
                (None, Some(column)) if column.generated => {
                    // Which columns it is computed from is not known: any of them.
                    self.found.columns.extend(0..table.columns.len());
                }
                (None, Some(column)) => {
                    if !self.filled.iter().any(|known| known.name == column.name) {
                        self.filled.push(column);
                    }
                }
                (None, None) => {}
            }
        }
    }

    fn need_all(&mut self) {
        self.found.columns.extend(0..self.table.columns.len());
    }

    /// The source columns of those of these target columns that move, each once; of one that the server computes, those that it is computed
    /// from.
    fn moving<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Vec<String> {
        let table = self.table;
        let mut found: Vec<String> = Vec::new();
        for name in names {
            let computed = table.target.column(name).filter(|column| column.generated);
            let expression = computed.and_then(|column| column.expression.as_deref());
            let of = table.columns.iter().filter(|moving| {
                let read = &moving.target.name;
                read == name || expression.is_some_and(|expression| mentions(expression, read))
            });
            for column in of {
                let name = table.source_name(column).to_owned();
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        found
    }

    /// The table's name for SQL.
    fn relation(&self) -> Name {
        Name::new(self.table.schema.as_str(), self.table.target.name.as_str())
    }

    /// The statement that makes the probe table compute a column, with what it reads sent.
    fn compute(&mut self, column: &Column) -> Option<String> {
        let expression = column.expression.as_ref()?;
        let table = self.table;
        self.need_all();
        let others: Vec<&String> = table
            .target
            .columns
            .iter()
            .filter(|other| !other.generated && mentions(expression, &other.name))
            .map(|other| &other.name)
            .collect();
        self.need(others);
        let (name, ty) = (quoted(&column.name), &column.ty.base_shown);
        Some(format!(
            "ALTER TABLE {PROBE} ADD COLUMN IF NOT EXISTS {name} {ty} GENERATED ALWAYS AS ({expression}) STORED"
        ))
    }

    /// The source columns of the target columns that this expression names. Sees to it that those of them that are filled are there.
    fn mentioned(&mut self, expression: &str) -> Vec<String> {
        let columns = self.table.target.columns.iter();
        let named: Vec<&String> = columns
            .filter(|column| mentions(expression, &column.name))
            .map(|column| &column.name)
            .collect();
        self.need(named.iter().copied());
        self.moving(named)
    }

    fn finish(mut self) -> Questions {
        let table = self.table;
        self.found.columns.sort_unstable();
        self.found.columns.dedup();
        // The types below the domains, whose own checks would stop the load at the first row.
        let declared = |column: &Column| {
            let collation = column
                .collation
                .as_ref()
                .map(|name| format!(" COLLATE {name}"))
                .unwrap_or_default();
            format!(
                ", {} {}{collation}",
                quoted(&column.name),
                column.ty.base_shown
            )
        };
        let mut columns: String = self
            .found
            .columns
            .iter()
            .map(|place| declared(&table.columns[*place].target))
            .collect();
        for column in &self.filled {
            columns.push_str(&declared(column));
            // A number that a sequence gives is new in any case, and asking for it would use it up.
            let default = column.expression.as_ref();
            if let Some(default) = default.filter(|default| !default.contains("nextval(")) {
                columns.push_str(&format!(" DEFAULT {default}"));
            }
        }
        self.found.create = format!(
            "CREATE TEMPORARY TABLE cutover_probe (\"cutover place\" bigint, \"cutover key\" text{columns}) ON COMMIT DROP"
        );
        let sent = self.found.columns.iter();
        let sent = sent.map(|place| format!(", {}", quoted(&table.columns[*place].target.name)));
        self.found.copy = format!(
            "COPY {PROBE} (\"cutover place\", \"cutover key\"{}) FROM STDIN (FORMAT binary)",
            sent.collect::<String>()
        );
        self.found.ready.push_str(&format!("ANALYZE {PROBE}"));
        self.found
    }
}

fn of_rows_sql(condition: &str) -> String {
    format!(
        "SELECT \"cutover place\", \"cutover key\", '{{}}'::text[] FROM {PROBE} WHERE {condition} ORDER BY 1"
    )
}
