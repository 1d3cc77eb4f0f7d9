//! The section of a rollback: what caused it, how long it took, what it cost, and its rows.

use super::super::{Block, Span, Text, cause, span};
use super::{ROW_COLUMNS, heading, row, table};
use crate::report::evidence::RollbackReport;

pub(super) fn rolled_back(rollback: &RollbackReport) -> Vec<Block> {
    let told = cause(&rollback.cause, &rollback.reason).then(" ");
    let told = match rollback.restored_seconds {
        Some(took) => told
            .then("The application served from SQLite again after ")
            .then(Span::Strong(span(took).into())),
        None => told.then("The application has not been seen to serve from SQLite again"),
    };
    let kept = match rollback.within_rto {
        Some(true) => Text::own("within"),
        Some(false) => Span::Strong("not within".into()).into(),
        None => Text::own("so far within"),
    };
    let rto = format!(" the RTO of {}. ", span(rollback.rto_seconds));
    let health = match rollback.healthy {
        Some(true) => Text::own("Every row that the application needs to serve succeeded."),
        Some(false) => Text::from(Span::Strong("Not healthy:".into()))
            .then(" a row that the application needs to serve failed."),
        None => Text::own("It has not ended."),
    };
    let mut blocks = vec![Block::Paragraph(
        told.then(", ").then(kept).then(rto).then(health),
    )];
    blocks.extend(cost(rollback));
    blocks.push(heading("Its rows"));
    let lines = rollback.rows.iter().map(row);
    blocks.push(table(ROW_COLUMNS, lines, "None has begun."));
    blocks
}

/// What users had written to PostgreSQL, and what became of it.
fn cost(rollback: &RollbackReport) -> Vec<Block> {
    let mut blocks = vec![heading("What it cost")];
    if let Some(brought) = &rollback.brought_back {
        blocks.push(Block::Paragraph(Text::foreign(brought).then(".")));
    }
    if let Some(file) = &rollback.salvaged_to {
        let kept = match rollback.brought_back {
            Some(_) if !rollback.not_kept.is_empty() => {
                "What was read of the rows that users wrote to PostgreSQL is kept in "
            }
            Some(_) => "All rows that users wrote to PostgreSQL are kept in ",
            None => {
                "Rows that users wrote to PostgreSQL and that SQLite does not have; they are kept in "
            }
        };
        blocks.push(Block::Paragraph(
            Text::own(kept).then(Text::foreign(file)).then("."),
        ));
    }
    for why in &rollback.not_kept {
        let not_kept = Text::from(Span::Strong("Not kept:".into())).then(" ");
        blocks.push(Block::Paragraph(
            not_kept.then(Text::foreign(why)).then("."),
        ));
    }
    if rollback.left_behind.is_empty() && !rollback.not_kept.is_empty() {
        return blocks;
    }
    let lines = rollback.left_behind.iter().map(|t| {
        vec![
            Text::foreign(&t.table),
            t.inserted.to_string().into(),
            t.changed.to_string().into(),
            t.deleted.to_string().into(),
        ]
    });
    const COLUMNS: &[&str] = &["table", "#inserted", "#changed", "#deleted"];
    let nothing = "No rows that users had written to PostgreSQL were found to be kept.";
    blocks.push(table(COLUMNS, lines, nothing));
    blocks
}
