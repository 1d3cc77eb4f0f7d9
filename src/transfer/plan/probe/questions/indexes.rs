//! Questions about the target's indexes: which rows collide, which keys are too long, which cannot be computed. Pure. Not in here: rules that
//! a row keeps or breaks by itself (`rows`).

use super::{Asking, PROBE, Question};
use crate::ours::statements::{self, Name};
use crate::postgres::catalogue::{ConstraintKind, Index};
use crate::transfer::plan::probe::guard::{Length, is_guarded, may_be_too_long};
use crate::transfer::plan::probe::rules::{collides, excluded, mentions, too_long};
use crate::transfer::plan::scan::Scanned;

impl Asking<'_> {
    pub(super) fn uniques(&mut self, scanned: Option<&Scanned>) {
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

    pub(super) fn exclusions(&mut self) {
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

    pub(super) fn too_long(&mut self, scanned: Option<&Scanned>) {
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
    pub(super) fn indexed(&mut self, scanned: Option<&Scanned>) {
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
}
