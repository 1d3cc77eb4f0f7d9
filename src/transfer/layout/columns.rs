//! Which column goes where within a pair of tables, and into which kind. Not in here: target columns that nothing fills (`unfilled`), names
//! without a partner (`unpaired`).

use crate::postgres::catalogue;
use crate::runbook::transfer::{ColumnPolicy, Transfer};
use crate::sqlite::schema;
use crate::transfer::convert::Converter;
use crate::transfer::kind::Kind;
use crate::transfer::matching::{self, Unmatched};

use super::{ColumnLayout, Layout, immovable, unpaired};

impl Layout {
    pub(super) fn pair_columns(
        &mut self,
        source: &schema::Table,
        target: &catalogue::Table,
        transfer: &Transfer,
    ) -> Vec<ColumnLayout> {
        let (excluded, moving): (Vec<usize>, Vec<usize>) =
            (0..source.columns.len()).partition(|place| {
                transfer.excludes_column(&source.name, &source.columns[*place].name)
            });
        for place in excluded {
            self.skip(
                &format!("{}.{}", source.name, source.columns[place].name),
                "excluded",
            );
        }
        let names: Vec<&str> = moving
            .iter()
            .map(|place| source.columns[*place].name.as_str())
            .collect();
        let targets: Vec<&str> = target
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let pairs = matching::pair(&names, &targets, |name| {
            transfer
                .renamed_column(&source.name, name)
                .map(str::to_owned)
        });
        let mut columns = Vec::new();
        let mut filled: Vec<&str> = Vec::new();
        let likely = unpaired::columns(&names, &pairs, target);
        for ((place, pair), likely) in moving.into_iter().zip(pairs).zip(likely) {
            let name = &source.columns[place].name;
            match pair {
                Err(Unmatched::Missing) if source.columns[place].generated => {
                    self.skip(
                        &format!("{}.{name}", source.name),
                        "generated, and not in the target",
                    );
                }
                Err(reason) => self.unpaired_column(source, name, &reason, likely),
                Ok((partner, _)) => {
                    filled.push(partner);
                    let partner = target
                        .column(partner)
                        .expect("BUG: a partner is a column of the table");
                    columns.extend(self.column(source, place, partner, transfer));
                }
            }
        }
        self.check_unfilled(source, target, &filled, transfer);
        columns
    }

    fn column(
        &mut self,
        source: &schema::Table,
        place: usize,
        target: &catalogue::Column,
        transfer: &Transfer,
    ) -> Option<ColumnLayout> {
        let name = &source.columns[place].name;
        let full = format!("{}.{name}", source.name);
        let policy: ColumnPolicy = transfer.column(&source.name, name);
        let moving = |kind: Kind| ColumnLayout {
            source: place,
            target: target.clone(),
            converter: Converter {
                kind,
                zone: policy.zone.or(transfer.zone),
                policy: policy.clone(),
                not_null: target.not_null,
                // What the server makes of its expression; see [`crate::transfer::defaults`].
                default: None,
            },
        };
        if target.generated && source.columns[place].generated {
            self.skip(&full, "the target computes it; a difference from what SQLite computed is a note of `verify`");
            return None;
        }
        if target.generated {
            self.skip(&full, "the target computes it; another value than SQLite holds is a difference for `verify`");
            let column = moving(Kind::of(&target.ty));
            self.recomputed.push((source.name.clone(), column));
            return None;
        }
        if source.columns[place].unreadable {
            let reason = "SQLite computes it by a function that only the application has, so that it cannot be read; let PostgreSQL compute it (GENERATED ALWAYS AS), or fill it by `after_import:`";
            self.problems
                .push(immovable(&source.name, Some(name), reason));
            return None;
        }
        let kind = Kind::of(&target.ty);
        if kind == Kind::Unsupported {
            let reason = unpaired::no_conversion(target);
            self.problems
                .push(immovable(&source.name, Some(name), reason));
            return None;
        }
        Some(moving(kind))
    }
}
