//! Whether an expression of SQLite's means in PostgreSQL what it means there, wherever both write it alike. One that may not is compared by people:
//! letter case (NOCASE, LIKE), the order of texts, values of another type, division, functions that only share a name.

use super::tree::Node;
use crate::runbook::transfer::ColumnPolicy;
use crate::sqlite::checks::name;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, TableLayout};

/// Functions that are the same on both sides.
const SAME: [&str; 9] = [
    "lower", "upper", "coalesce", "length", "abs", "nullif", "trim", "ltrim", "rtrim",
];

/// What a value is, as far as comparing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Number,
    Text,
    Truth,
    /// NULL by itself.
    Null,
    /// Something whose comparison differs, or may.
    Other,
}

/// Judges the trees of one table.
pub(super) struct Meaning<'t> {
    pub table: &'t TableLayout,
}

impl Meaning<'_> {
    /// Whether a key is the same value on both sides.
    pub fn is_sure_key(&self, node: &Node) -> bool {
        node.of.is_empty() || self.is_sure(node)
    }

    /// Whether a condition holds of the same rows.
    pub fn is_sure_condition(&self, node: &Node) -> bool {
        match node.head.as_str() {
            "and" | "or" | "not" => node.of.iter().all(|part| self.is_sure_condition(part)),
            _ if node.of.is_empty() => self.class(node) == Class::Truth,
            _ => self.is_sure(node),
        }
    }

    fn is_sure(&self, node: &Node) -> bool {
        let all = || node.of.iter().all(|part| self.is_sure(part));
        let classes = || node.of.iter().map(|part| self.class(part));
        match node.head.as_str() {
            _ if node.of.is_empty() => true,
            "and" | "or" | "not" => self.is_sure_condition(node),
            "isnull" => all(),
            "=" | "<>" | "is" | "in" => all() && self.is_compared(&node.of),
            "<" | "<=" => all() && classes().all(|class| class == Class::Number),
            "like" | "ilike" => {
                node.of.len() == 2 && all() && self.class(&node.of[0]) == Class::Text
            }
            "+" | "-" | "*" => all() && classes().all(|class| class == Class::Number),
            // Whole numbers are divided without a rest on both sides, and by zero on none.
            "/" | "%" => {
                let by = node.of.get(1).map(|by| by.head.as_str());
                let by = by.and_then(|by| by.parse::<i64>().ok());
                by.is_some_and(|by| by > 0) && self.is_whole(&node.of[0])
            }
            "||" => {
                all()
                    && node
                        .of
                        .iter()
                        .all(|part| self.class(part) == Class::Text || self.is_whole(part))
            }
            "-1" => all() && classes().all(|class| class == Class::Number),
            "case" | "case of" => self.is_sure_case(node),
            head => {
                let called = head.strip_prefix("fn ");
                called.is_some_and(|called| SAME.contains(&called))
                    && all()
                    && self.is_of_text(node)
            }
        }
    }

    /// Conditions where they stand, or values that are compared with the first.
    fn is_sure_case(&self, node: &Node) -> bool {
        let last = node.of.len().saturating_sub(1);
        match node.head.as_str() {
            "case of" => {
                let mut whens = node.of[1..last].iter().step_by(2);
                node.of.iter().all(|part| self.is_sure(part))
                    && whens.all(|when| self.is_compared(&[node.of[0].clone(), when.clone()]))
            }
            _ => node.of.iter().enumerate().all(|(at, part)| {
                if at % 2 == 0 && at < last {
                    self.is_sure_condition(part)
                } else {
                    self.is_sure(part)
                }
            }),
        }
    }

    /// Functions of texts are asked about texts: those of numbers, times and bytes differ in how they are written.
    fn is_of_text(&self, node: &Node) -> bool {
        let mut classes = node.of.iter().map(|part| self.class(part));
        match node.head.as_str() {
            "fn abs" => classes.all(|class| class == Class::Number),
            "fn coalesce" | "fn nullif" => self.class(node) != Class::Other,
            // Letter case and blanks are the same whatever the column takes for equal.
            _ => node.of.iter().all(|part| {
                let column = self.column(part);
                let class = column.map_or_else(|| self.class(part), |c| self.class_of_values(c));
                class == Class::Text
            }),
        }
    }

    /// Whether both sides take the same of these for equal.
    fn is_compared(&self, of: &[Node]) -> bool {
        let classes: Vec<Class> = of.iter().map(|node| self.class(node)).collect();
        let all = |known: Class| {
            classes
                .iter()
                .all(|class| *class == known || *class == Class::Null)
        };
        let is_truth = |(node, class): (&Node, &Class)| {
            *class == Class::Truth || node.head == "0" || node.head == "1"
        };
        all(Class::Number) || all(Class::Text) || of.iter().zip(&classes).all(is_truth)
    }

    fn is_whole(&self, node: &Node) -> bool {
        let of_column = self.column(node).map(|column| {
            let is = matches!(column.converter.kind, Kind::Int2 | Kind::Int4 | Kind::Int8);
            is && self.class(node) == Class::Number
        });
        of_column.unwrap_or_else(|| node.of.is_empty() && node.head.parse::<i64>().is_ok())
    }

    fn column(&self, node: &Node) -> Option<&ColumnLayout> {
        if !node.of.is_empty() || !node.head.starts_with('"') {
            return None;
        }
        let target = name(&node.head)?;
        let mut columns = self.table.columns.iter();
        columns.find(|column| column.target.name == target)
    }

    fn class(&self, node: &Node) -> Class {
        if let Some(column) = self.column(node) {
            return self.class_of_column(column);
        }
        let first = || node.of.first().map_or(Class::Other, |one| self.class(one));
        match node.head.as_str() {
            "null" => Class::Null,
            head if head.starts_with('\'') => Class::Text,
            head if node.of.is_empty() && head.parse::<f64>().is_ok() => Class::Number,
            "+" | "-" | "*" | "/" | "%" | "-1" | "fn length" | "fn abs" => Class::Number,
            "||" | "fn lower" | "fn upper" | "fn trim" | "fn ltrim" | "fn rtrim" => Class::Text,
            "fn nullif" => first(),
            "fn coalesce" => self.common(node.of.iter()),
            "case" => self.common(node.of.iter().skip(1).step_by(2).chain(node.of.last())),
            "case of" => self.common(node.of.iter().skip(2).step_by(2).chain(node.of.last())),
            _ => Class::Other,
        }
    }

    /// The class of several values of which one is taken.
    fn common<'n>(&self, of: impl Iterator<Item = &'n Node>) -> Class {
        let classes = of.map(|node| self.class(node));
        let mut known = classes.filter(|class| *class != Class::Null);
        match known.next() {
            None => Class::Null,
            Some(first) if known.all(|class| class == first) => first,
            Some(_) => Class::Other,
        }
    }

    /// A column whose values arrive as they are, and are compared by the same rules.
    fn class_of_column(&self, column: &ColumnLayout) -> Class {
        let from = &self.table.source.columns[column.source];
        match from.collation.is_some() || column.target.folds {
            true => Class::Other,
            false => self.class_of_values(column),
        }
    }

    /// A column whose values arrive as they are.
    fn class_of_values(&self, column: &ColumnLayout) -> Class {
        let from = &self.table.source.columns[column.source];
        let policy = ColumnPolicy {
            on_problem: None,
            duplicates_one: false,
            ..column.converter.policy.clone()
        };
        if policy != ColumnPolicy::default() {
            return Class::Other;
        }
        let is_text = has_affinity_of_text(&from.declared);
        match &column.converter.kind {
            Kind::Text(_) if is_text => Class::Text,
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric(_) | Kind::Float8 if !is_text => {
                Class::Number
            }
            Kind::Bool if !is_text => Class::Truth,
            Kind::Text(_)
            | Kind::Int2
            | Kind::Int4
            | Kind::Int8
            | Kind::Numeric(_)
            | Kind::Float8
            | Kind::Bool
            | Kind::Oid
            | Kind::Float4
            | Kind::Char(_)
            | Kind::Uuid
            | Kind::Bytea
            | Kind::Date
            | Kind::Time(_)
            | Kind::Timestamp(_)
            | Kind::TimestampTz(_)
            | Kind::Interval(_)
            | Kind::Json
            | Kind::Jsonb
            | Kind::Inet
            | Kind::Cidr
            | Kind::Enum(_)
            | Kind::Bit { .. }
            | Kind::Array { .. }
            | Kind::Unsupported => Class::Other,
        }
    }
}

/// Whether SQLite makes text of numbers in a column of this declared type. `INT` counts first, as there.
fn has_affinity_of_text(declared: &str) -> bool {
    let declared = declared.to_uppercase();
    !declared.contains("INT")
        && ["CHAR", "CLOB", "TEXT"]
            .iter()
            .any(|word| declared.contains(word))
}

/// LIKE as the server would have to write it to mean the same: SQLite's does not tell letter case of ASCII and has no escape of its own. Nothing where
/// that depends on what is compared.
pub(super) fn of_source(node: Node) -> Option<Node> {
    let of: Option<Vec<Node>> = node.of.into_iter().map(of_source).collect();
    let node = Node::new(node.head, of?);
    if node.head != "like" {
        return Some(node);
    }
    let pattern = node.of.get(1).filter(|_| node.of.len() == 2)?;
    let is_plain = pattern.of.is_empty()
        && pattern.head.starts_with('\'')
        && pattern.head.is_ascii()
        && !pattern.head.contains('\\');
    let has_letters = pattern.head.contains(|c: char| c.is_ascii_alphabetic());
    let head = if has_letters { "ilike" } else { "like" };
    is_plain.then(|| Node::new(head, node.of.clone()))
}

/// ILIKE of a pattern without letters is LIKE.
pub(super) fn of_target(node: Node) -> Node {
    let of: Vec<Node> = node.of.into_iter().map(of_target).collect();
    let has_letters = |node: &Node| node.head.contains(char::is_alphabetic);
    let head = match node.head.as_str() {
        "ilike"
            if of
                .get(1)
                .is_some_and(|one| one.of.is_empty() && !has_letters(one)) =>
        {
            "like"
        }
        head => head,
    };
    Node::new(head, of)
}
