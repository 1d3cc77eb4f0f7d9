//! Which of the target's rules are worth asking about the rows of one table, and the SQL that asks them over the probe table. Pure.

use crate::target::catalogue::{Column, Constraint, ConstraintKind, Index};
use crate::target::quoted;
use crate::text::printable;
use crate::transfer::layout::TableLayout;
use crate::transfer::plan::consequences;
use crate::transfer::plan::probe::guard::{
    INDEX_ROW_BYTES, Length, is_guarded, may_be_too_long, with_value,
};
use crate::transfer::plan::scan::Scanned;

/// The table that the rows are in, inside the transaction.
const PROBE: &str = "pg_temp.cutover_probe";
/// What names a row of it.
const ROW: &str =
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
}

impl Question {
    /// Rows for which the condition does not hold.
    fn of_rows(name: &str, column: String, condition: &str, reason: String) -> Self {
        Self {
            name: name.to_owned(),
            column,
            before: String::new(),
            sql: of_rows_sql(condition),
            evaluated: format!("({condition})"),
            index: None,
            reason,
            pairwise: false,
        }
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
        asking.uniques(scanned);
        asking.exclusions();
        asking.indexed(scanned);
        asking.too_long(scanned);
        asking.parents();
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

    /// The source column of the first of these target columns that moves.
    fn reported<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> String {
        let table = self.table;
        let moving = names.into_iter().find_map(|name| {
            let column = table.columns.iter().find(|c| c.target.name == *name)?;
            Some(table.source_name(column).to_owned())
        });
        moving.unwrap_or_default()
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
            self.need_all();
            let read: Vec<&String> = table
                .columns
                .iter()
                .map(|moving| &moving.target.name)
                .filter(|name| mentions(expression, name))
                .collect();
            let others: Vec<&String> = table
                .target
                .columns
                .iter()
                .filter(|other| !other.generated && mentions(expression, &other.name))
                .map(|other| &other.name)
                .collect();
            self.need(others);
            let (name, ty) = (quoted(&column.name), &column.ty.base_shown);
            let condition = if column.not_null {
                format!("{name} IS NULL")
            } else {
                "false".to_owned()
            };
            let mut question = Question::of_rows(
                &format!("the computed column {}", column.name),
                self.reported(read),
                &condition,
                format!(
                    "NULL in the computed column {}",
                    printable(&column.name, 80)
                ),
            );
            question.before = format!(
                "ALTER TABLE {PROBE} ADD COLUMN IF NOT EXISTS {name} {ty} GENERATED ALWAYS AS ({expression}) STORED"
            );
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
            if let Some(expression) = &check.expression {
                self.need(&check.columns);
                let column = self.reported(&check.columns);
                self.ask(refused_by(column, &check.name, "the check", expression));
            }
        }
        for column in &table.columns {
            for check in &column.target.ty.domain_checks {
                let expression = with_value(&check.expression, &quoted(&column.target.name));
                self.need([&column.target.name]);
                let name = table.source_name(column).to_owned();
                self.ask(refused_by(
                    name,
                    &check.name,
                    "the domain's check",
                    &expression,
                ));
            }
        }
    }

    /// What a partition asks of its rows and the table does not; and what it takes, where the target itself is one.
    fn own_rules(&mut self) {
        let target = &self.table.target;
        if let Some(takes) = &target.takes {
            self.need_all();
            let column = self.mentioned(takes);
            let reason = format!(
                "{} is a partition, and does not take the row",
                printable(&target.name, 80)
            );
            let condition = format!("({takes}) IS NOT TRUE");
            self.ask(Question::of_rows(&target.name, column, &condition, reason));
        }
        for part in &target.own_rules {
            let (takes, shown) = (&part.takes, printable(&part.name, 80));
            for name in &part.not_null {
                self.need_all();
                let column = self.reported([name]);
                let condition = format!("({takes}) AND {} IS NULL", quoted(name));
                let reason = format!("NULL, and NOT NULL in the partition {shown}");
                self.ask(Question::of_rows(&part.name, column, &condition, reason));
            }
            for (name, check) in &part.checks {
                self.need_all();
                let column = self.mentioned(check);
                let what = format!("the partition {shown}'s check");
                let mut question = refused_by(column, name, &what, check);
                question.evaluated = format!("CASE WHEN ({takes}) THEN NOT ({check}) END");
                question.sql = of_rows_sql(&question.evaluated);
                self.ask(question);
            }
            for unique in &part.uniques {
                self.need_all();
                let column = self.mentioned(&unique.expressions.join(" "));
                let own = unique.predicate.iter().cloned();
                let covered: Vec<String> = own.chain([takes.clone()]).collect();
                self.ask(collides(
                    column,
                    &unique.name,
                    &unique.expressions,
                    &covered,
                    unique.nulls_not_distinct,
                ));
            }
        }
    }

    /// The source column of the first target column that this expression names. Sees to it that those of them that are filled are there.
    fn mentioned(&mut self, expression: &str) -> String {
        let columns = self.table.target.columns.iter();
        let named: Vec<&String> = columns
            .filter(|column| mentions(expression, &column.name))
            .map(|column| &column.name)
            .collect();
        self.need(named.iter().copied());
        self.reported(named)
    }

    fn partitions(&mut self) {
        let target = &self.table.target;
        if target.kind != crate::target::catalogue::RelationKind::Partitioned {
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
        let column = self.reported(&target.partition_key);
        self.ask(Question::of_rows(
            &format!("the partitions of {}", target.name),
            column,
            &format!("({takes}) IS NOT TRUE"),
            format!(
                "no partition of {} takes the row; make one (or a DEFAULT partition) beforehand",
                printable(&target.name, 80)
            ),
        ));
    }

    fn uniques(&mut self, scanned: Option<&Scanned>) {
        let table = self.table;
        for index in table.target.indexes.iter().filter(|index| index.unique) {
            if is_guarded(table, index, scanned) {
                continue;
            }
            self.need(&index.reads);
            let column = self.of_index(index);
            let covered: Vec<String> = index.predicate.iter().cloned().collect();
            self.ask(collides(
                column,
                &index.name,
                &index.expressions,
                &covered,
                index.nulls_not_distinct,
            ));
        }
    }

    /// The column that a policy about this index can be put on: a key column, else one that an expression or the condition reads.
    fn of_index(&self, index: &Index) -> String {
        let plain = self.reported(index.columns.iter().flatten());
        if !plain.is_empty() {
            return plain;
        }
        let in_keys = index
            .reads
            .iter()
            .filter(|name| index.expressions.iter().any(|key| mentions(key, name)));
        let in_keys = self.reported(in_keys);
        if in_keys.is_empty() {
            self.reported(&index.reads)
        } else {
            in_keys
        }
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
                let column = self.of_index(index);
                self.ask(excluded(column, constraint, index));
            }
        }
    }

    fn too_long(&mut self, scanned: Option<&Scanned>) {
        let table = self.table;
        for index in &table.target.indexes {
            match may_be_too_long(table, index, scanned) {
                Length::Short => {}
                Length::Measured => {
                    self.need(&index.reads);
                    let column = self.of_index(index);
                    self.ask(too_long(column, index));
                }
                Length::Tried => {
                    self.need(&index.reads);
                    let column = self.of_index(index);
                    self.questions_of_trial(column, index);
                }
            }
        }
    }

    /// An index that is made over the probe table: it tells by itself what it does not take.
    fn questions_of_trial(&mut self, column: String, index: &Index) {
        let Some((_, how)) = index.definition.split_once(" USING ") else {
            return;
        };
        let mut question = Question::of_rows(&index.name, column, "false", String::new());
        question.before = format!("CREATE INDEX ON {PROBE} USING {how}");
        question.index = Some(how.to_owned());
        self.ask(question);
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
            let column = self.of_index(index);
            // Never true, and nothing that could be left out of being computed.
            let keys = format!("num_nulls({}) < 0", index.expressions.join(", "));
            let condition = match &index.predicate {
                Some(predicate) => format!("CASE WHEN ({predicate}) THEN {keys} ELSE false END"),
                None => keys,
            };
            let name = format!("the index {}", index.name);
            self.ask(Question::of_rows(&name, column, &condition, String::new()));
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
            self.ask(Question::of_rows(
                &key.name,
                column.to_owned(),
                &condition,
                reason,
            ));
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
        self.found.ready = format!("ANALYZE {PROBE}");
        self.found
    }
}

fn of_rows_sql(condition: &str) -> String {
    format!(
        "SELECT \"cutover place\", \"cutover key\", '{{}}'::text[] FROM {PROBE} WHERE {condition} ORDER BY 1"
    )
}

/// Whether an expression of the server's names this column.
fn mentions(expression: &str, name: &str) -> bool {
    let quoted = quoted(name);
    if expression.contains(&quoted) {
        return true;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    expression.match_indices(name).any(|(at, _)| {
        let before = expression[..at].chars().next_back();
        let after = expression[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(|c| is_part(c) || c == '(')
    })
}

fn refused_by(column: String, name: &str, what: &str, expression: &str) -> Question {
    let reason = format!("refused by {what} {}", printable(name, 80));
    let mut question = Question::of_rows(name, column, &format!("NOT ({expression})"), reason);
    question.evaluated = format!("({expression})");
    question
}

/// Rows that are the same by these keys as one before them, among those that `covered` is true of.
fn collides(
    column: String,
    name: &str,
    keys: &[String],
    covered: &[String],
    nulls_not_distinct: bool,
) -> Question {
    let not_null = keys.iter().map(|key| format!("({key}) IS NOT NULL"));
    let mut conditions: Vec<String> = if nulls_not_distinct {
        Vec::new()
    } else {
        not_null.collect()
    };
    conditions.extend(covered.iter().map(|condition| format!("({condition})")));
    let keys = keys.join(", ");
    let condition = if conditions.is_empty() {
        "true".to_owned()
    } else {
        conditions.join(" AND ")
    };
    Question {
        name: name.to_owned(),
        column,
        before: String::new(),
        sql: format!(
            "SELECT p, k, ARRAY[first] FROM (
               SELECT \"cutover place\" AS p, \"cutover key\" AS k, row_number() OVER w AS n, first_value({ROW}) OVER w AS first
               FROM {PROBE} WHERE {condition} WINDOW w AS (PARTITION BY {keys} ORDER BY \"cutover place\")) AS numbered
             WHERE n > 1 ORDER BY p"
        ),
        evaluated: keys,
        index: None,
        reason: format!(
            "the same under the target's unique {} as",
            printable(name, 80)
        ),
        pairwise: false,
    }
}

fn excluded(column: String, constraint: &Constraint, index: &Index) -> Question {
    let elements: Vec<String> = index
        .expressions
        .iter()
        .enumerate()
        .map(|(n, element)| format!("({element}) AS e{n}"))
        .collect();
    let meet: Vec<String> = constraint
        .operators
        .iter()
        .enumerate()
        .map(|(n, operator)| format!("a.e{n} {operator} b.e{n}"))
        .collect();
    let covered = index
        .predicate
        .as_ref()
        .map(|predicate| format!(" WHERE {predicate}"))
        .unwrap_or_default();
    let side = format!(
        "(SELECT \"cutover place\" AS p, \"cutover key\" AS k, {ROW} AS r, {} FROM {PROBE}{covered})",
        elements.join(", ")
    );
    let how = index
        .definition
        .split_once(" USING ")
        .map_or("gist (\"cutover place\")", |(_, how)| how);
    Question {
        name: constraint.name.clone(),
        column,
        before: format!("CREATE INDEX ON {PROBE} USING {how}; ANALYZE {PROBE}"),
        sql: format!(
            "SELECT a.p, a.k, array_agg(b.r ORDER BY b.p) FROM {side} AS a JOIN {side} AS b ON b.p < a.p AND {} GROUP BY a.p, a.k ORDER BY 1",
            meet.join(" AND ")
        ),
        evaluated: index.expressions.join(", "),
        index: None,
        reason: format!(
            "excluded by the target's {} beside",
            printable(&constraint.name, 80)
        ),
        pairwise: true,
    }
}

/// The probe table has compressed its values as the index would.
fn too_long(column: String, index: &Index) -> Question {
    let sizes: Vec<String> = index
        .expressions
        .iter()
        .map(|key| format!("coalesce(pg_column_size({key}), 0)"))
        .collect();
    let covered = index
        .predicate
        .iter()
        .map(|predicate| format!(" AND ({predicate})"));
    let condition = format!(
        "8 + {} > {INDEX_ROW_BYTES}{}",
        sizes.join(" + "),
        covered.collect::<String>()
    );
    let reason = format!(
        "longer than the {INDEX_ROW_BYTES} bytes that the index {} can take, compressed",
        printable(&index.name, 80)
    );
    Question::of_rows(&index.name, column, &condition, reason)
}
