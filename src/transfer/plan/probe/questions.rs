//! Which of the target's rules are worth asking about the rows of one table, and the SQL that asks them over the probe table. Pure.

use crate::ours::statements::{self, Name};
use crate::target::catalogue::{Column, ConstraintKind, Index, RelationKind};
use crate::target::quoted;
use crate::text::printable;
use crate::transfer::layout::TableLayout;
use crate::transfer::plan::consequences::{self, Action};
use crate::transfer::plan::probe::guard::{Length, is_guarded, may_be_too_long, with_value};
use crate::transfer::plan::probe::rules::{collides, excluded, mentions, refused_by, too_long};
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

    /// Columns that the server computes: the expression must not fail on any row.
    fn computed(&mut self) {
        let table = self.table;
        for column in table
            .target
            .columns
            .iter()
            .filter(|column| column.generated)
        {
            let Some(expression) = &column.expression else {
                continue;
            };
            let Some(before) = self.compute(column) else {
                continue;
            };
            let read: Vec<&String> = table
                .columns
                .iter()
                .map(|moving| &moving.target.name)
                .filter(|name| mentions(expression, name))
                .collect();
            let name = quoted(&column.name);
            let condition = if column.not_null {
                format!("{name} IS NULL")
            } else {
                "false".to_owned()
            };
            let reads = self.moving(read);
            let mend = format!(
                "ALTER TABLE {} ALTER COLUMN {name} DROP NOT NULL in the target would let it be NULL",
                self.relation().quoted()
            );
            let mut question = Question::of_rows(
                &format!("the computed column {}", column.name),
                reads.first().cloned().unwrap_or_default(),
                &condition,
                format!(
                    "NULL in the computed column {}",
                    printable(&column.name, 80)
                ),
            )
            .reading(reads, mend);
            question.before = before;
            question.evaluated = format!("({expression})");
            self.ask(question);
        }
    }

    fn checks(&mut self) {
        let table = self.table;
        for check in table
            .target
            .constraints
            .iter()
            .filter(|constraint| constraint.kind == ConstraintKind::Check)
        {
            if let Some(expression) = &check.expression
                && !table.unasked.contains(&check.name)
            {
                self.need(&check.columns);
                let reads = self.moving(&check.columns);
                let column = reads.first().cloned().unwrap_or_default();
                let drop = statements::drop_constraint(&self.relation(), &check.name);
                let mend = format!("{drop} in the target would take the check away");
                let question = refused_by(column, &check.name, "the check", expression);
                self.ask(question.reading(reads, mend));
            }
        }
        for column in &table.columns {
            for check in &column.target.ty.domain_checks {
                let expression = with_value(&check.expression, &quoted(&column.target.name));
                self.need([&column.target.name]);
                let name = table.source_name(column).to_owned();
                let question =
                    refused_by(name.clone(), &check.name, "the domain's check", &expression);
                self.ask(question.reading(vec![name], String::new()));
            }
        }
    }

    /// What a partition asks of its rows and the table does not; and what it takes, where the target itself is one.
    fn own_rules(&mut self) {
        let target = &self.table.target;
        if let Some(takes) = &target.takes {
            self.need_all();
            let reads = self.mentioned(takes);
            let column = reads.first().cloned().unwrap_or_default();
            let reason = format!(
                "{} is a partition, and does not take the row",
                printable(&target.name, 80)
            );
            let condition = format!("({takes}) IS NOT TRUE");
            let question = Question::of_rows(&target.name, column, &condition, reason);
            self.ask(question.reading(reads, String::new()));
        }
        for part in &target.own_rules {
            let (takes, shown) = (&part.takes, printable(&part.name, 80));
            for name in &part.not_null {
                self.need_all();
                let reads = self.moving([name]);
                let column = reads.first().cloned().unwrap_or_default();
                let condition = format!("({takes}) AND {} IS NULL", quoted(name));
                let reason = format!("NULL, and NOT NULL in the partition {shown}");
                let question = Question::of_rows(&part.name, column, &condition, reason);
                self.ask(question.reading(reads, String::new()));
            }
            for (name, check) in &part.checks {
                self.need_all();
                let reads = self.mentioned(check);
                let column = reads.first().cloned().unwrap_or_default();
                let what = format!("the partition {shown}'s check");
                let mut question = refused_by(column, name, &what, check);
                question.evaluated = format!("CASE WHEN ({takes}) THEN NOT ({check}) END");
                question.sql = of_rows_sql(&question.evaluated);
                self.ask(question.reading(reads, String::new()));
            }
            for unique in &part.uniques {
                self.need_all();
                let reads = self.mentioned(&unique.expressions.join(" "));
                let column = reads.first().cloned().unwrap_or_default();
                let own = unique.predicate.iter().cloned();
                let covered: Vec<String> = own.chain([takes.clone()]).collect();
                let (keys, nulls) = (&unique.expressions, unique.nulls_not_distinct);
                let question = collides(column, &unique.name, keys, &covered, nulls);
                self.ask(question.reading(reads, String::new()));
            }
        }
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

    fn partitions(&mut self) {
        let target = &self.table.target;
        if target.kind != RelationKind::Partitioned {
            return;
        }
        let any: Vec<String> = target
            .partitions
            .iter()
            .map(|takes| format!("({takes})"))
            .collect();
        let takes = if any.is_empty() {
            "false".to_owned()
        } else {
            any.join(" OR ")
        };
        self.need_all();
        self.need(&target.partition_key);
        let names = target.columns.iter().map(|column| &column.name);
        let in_expressions = names.filter(|name| mentions(&takes, name));
        let reads = self.moving(target.partition_key.iter().chain(in_expressions));
        // Where no partition is there yet, an expression by which it is partitioned may read any column.
        let reads = if reads.is_empty() && target.partition_key.is_empty() {
            self.moving(target.columns.iter().map(|column| &column.name))
        } else {
            reads
        };
        let mut part = self.relation();
        part.name.push_str("_default");
        let mend = format!(
            "CREATE TABLE {} PARTITION OF {} DEFAULT in the target takes what no other partition takes",
            part.quoted(),
            self.relation().quoted()
        );
        let question = Question::of_rows(
            &format!("the partitions of {}", target.name),
            reads.first().cloned().unwrap_or_default(),
            &format!("({takes}) IS NOT TRUE"),
            format!(
                "no partition of {} takes the row; make one (or a DEFAULT partition) beforehand",
                printable(&target.name, 80)
            ),
        );
        self.ask(question.reading(reads, mend));
    }

    fn uniques(&mut self, scanned: Option<&Scanned>) {
        let table = self.table;
        for index in table.target.indexes.iter().filter(|index| index.unique) {
            if is_guarded(table, index, scanned) {
                continue;
            }
            self.need(&index.reads);
            let (reads, mend) = self.of_index(index);
            let column = reads.first().cloned().unwrap_or_default();
            let covered: Vec<String> = index.predicate.iter().cloned().collect();
            let (keys, nulls) = (&index.expressions, index.nulls_not_distinct);
            let question = collides(column, &index.name, keys, &covered, nulls);
            self.ask(question.reading(reads, mend));
        }
    }

    /// The columns that a policy about this index can be put on: key columns, then those that an expression or the condition reads. With
    /// what would take the index away.
    fn of_index(&self, index: &Index) -> (Vec<String>, String) {
        let in_keys = index
            .reads
            .iter()
            .filter(|name| index.expressions.iter().any(|key| mentions(key, name)));
        let names = index.columns.iter().flatten().chain(in_keys);
        let drop = match &index.constraint {
            Some(constraint) => statements::drop_constraint(&self.relation(), constraint),
            None => {
                let schema = self.table.schema.as_str();
                statements::drop_index(&Name::new(schema, index.name.as_str()))
            }
        };
        (
            self.moving(names.chain(&index.reads)),
            format!("{drop} in the target would take it away"),
        )
    }

    fn exclusions(&mut self) {
        let table = self.table;
        for constraint in table
            .target
            .constraints
            .iter()
            .filter(|constraint| constraint.kind == ConstraintKind::Exclusion)
        {
            let mut indexes = table.target.indexes.iter();
            let index = indexes.find(|index| index.constraint.as_ref() == Some(&constraint.name));
            if let Some(index) = index {
                self.need(&index.reads);
                let (reads, mend) = self.of_index(index);
                let column = reads.first().cloned().unwrap_or_default();
                self.ask(excluded(column, constraint, index).reading(reads, mend));
            }
        }
    }

    fn too_long(&mut self, scanned: Option<&Scanned>) {
        let table = self.table;
        for index in &table.target.indexes {
            let length = may_be_too_long(table, index, scanned);
            if length == Length::Short {
                continue;
            }
            self.need(&index.reads);
            let (reads, mend) = self.of_index(index);
            let column = reads.first().cloned().unwrap_or_default();
            match length {
                Length::Short => {}
                Length::Measured => self.ask(too_long(column, index).reading(reads, mend)),
                Length::Tried => self.questions_of_trial(column, index, reads, mend),
            }
        }
    }

    /// An index that is made over the probe table: it tells by itself what it does not take.
    fn questions_of_trial(
        &mut self,
        column: String,
        index: &Index,
        reads: Vec<String>,
        mend: String,
    ) {
        let Some((_, how)) = index.definition.split_once(" USING ") else {
            return;
        };
        let mut question = Question::of_rows(&index.name, column, "false", String::new());
        question.before = format!("CREATE INDEX ON {PROBE} USING {how}");
        question.index = Some(how.to_owned());
        self.ask(question.reading(reads, mend));
    }

    /// Expressions and conditions of indexes that the server computes for every row, unique ones apart that are asked anyway.
    fn indexed(&mut self, scanned: Option<&Scanned>) {
        let table = self.table;
        for index in &table.target.indexes {
            let computes = index.predicate.is_some() || index.columns.iter().any(Option::is_none);
            let is_asked = index.unique && !is_guarded(table, index, scanned);
            if !computes || is_asked || index.expressions.is_empty() {
                continue;
            }
            self.need(&index.reads);
            let (reads, mend) = self.of_index(index);
            let column = reads.first().cloned().unwrap_or_default();
            // Never true, and nothing that could be left out of being computed.
            let keys = format!("num_nulls({}) < 0", index.expressions.join(", "));
            let condition = match &index.predicate {
                Some(predicate) => format!("CASE WHEN ({predicate}) THEN {keys} ELSE false END"),
                None => keys,
            };
            let name = format!("the index {}", index.name);
            let question = Question::of_rows(&name, column, &condition, String::new());
            self.ask(question.reading(reads, mend));
        }
    }

    /// Parents that do not move: the target's own rows decide.
    fn parents(&mut self) {
        let table = self.table;
        for key in &table.outside {
            let Some((_, schema, parent)) = &key.references else {
                continue;
            };
            let moves = |name: &String| table.columns.iter().any(|c| c.target.name == *name);
            if !key.columns.iter().all(moves) {
                continue;
            }
            self.need(&key.columns);
            let stated = consequences::stated(table, key).map(|(column, _)| column);
            let column = stated.unwrap_or_else(|| consequences::wish(table, key).0);
            let columns: Vec<String> = key.columns.iter().map(|name| quoted(name)).collect();
            let equal: Vec<String> = columns
                .iter()
                .zip(&key.referenced_columns)
                .map(|(here, there)| format!("p.{} = cutover_probe.{here}", quoted(there)))
                .collect();
            let condition = format!(
                "{} AND NOT EXISTS (SELECT FROM {}.{} AS p WHERE {})",
                consequences::refers(key, columns.iter()),
                quoted(schema),
                quoted(parent),
                equal.join(" AND ")
            );
            let reason = format!(
                "no such row in the target's own {}, which {} wants and the import leaves as it is",
                printable(parent, 80),
                printable(&key.name, 80)
            );
            let mut question = Question::of_rows(&key.name, column.to_owned(), &condition, reason);
            let mend = format!(
                "{} needs these rows in the target before the import",
                printable(parent, 80)
            );
            question = question.reading(self.moving(&key.columns), mend);
            question.wished = consequences::wish(table, key).1;
            self.ask(question);
        }
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
