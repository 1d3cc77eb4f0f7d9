//! Questions about rules that a row keeps or breaks by itself: computed columns, checks, partitions, parents that do not move. Pure. Not
//! in here: what an index asks (`indexes`).

use super::{Asking, Question, of_rows_sql};
use crate::ours::statements;
use crate::postgres::catalogue::{ConstraintKind, RelationKind};
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::plan::consequences;
use crate::transfer::plan::probe::guard::with_value;
use crate::transfer::plan::probe::rules::{collides, mentions, refused_by};

impl Asking<'_> {
    /// Columns that the server computes: the expression must not fail on any row.
    pub(super) fn computed(&mut self) {
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

    pub(super) fn checks(&mut self) {
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
    pub(super) fn own_rules(&mut self) {
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

    pub(super) fn partitions(&mut self) {
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

    /// Parents that do not move: the target's own rows decide.
    pub(super) fn parents(&mut self) {
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
}
