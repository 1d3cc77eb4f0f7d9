//! Pairs names of the source with names of the target: stated, exact, ignoring case, PascalCase against snake_case. Keys of the transfer section
//! that name nothing are in [`stray`].
//!
//! Pure, and free of conversion: the parity check pairs by the same rule without sharing anything that touches a value.

pub mod stray;

use std::collections::BTreeMap;

/// The longest name PostgreSQL keeps, in bytes. It cuts longer ones off without a word.
pub const MAX_NAME_BYTES: usize = 63;

/// How a pair was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// `rename:` in the runbook.
    Stated,
    /// The same name.
    Exact,
    /// The same name but for letter case.
    IgnoringCase,
    /// PascalCase here, snake_case there.
    SnakeCase,
}

/// Why a source name has no partner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmatched {
    /// Nothing in the target fits.
    #[error("missing in the target")]
    Missing,
    /// `rename:` names something that is not there.
    #[error("renamed to {}, which the target does not have", crate::text::printable(.0, 80))]
    StatedMissing(String),
    /// Several target names fit equally well.
    #[error("fits several names in the target: {}", crate::text::printable(&.0.join(", "), 200))]
    Ambiguous(Vec<String>),
    /// Another source name has the same partner.
    #[error("would land in {}, which {} already fills", crate::text::printable(.target, 80), crate::text::printable(.other, 80))]
    Taken {
        /// The contested target name.
        target: String,
        /// The other source name.
        other: String,
    },
    /// PostgreSQL would cut the name off and might hit another table.
    #[error("the name has {0} bytes, PostgreSQL keeps 63: give it a target by `rename:`")]
    TooLong(usize),
    /// PostgreSQL has no empty names.
    #[error("the name is empty, which PostgreSQL does not allow: give it a target by `rename:`")]
    Empty,
}

/// For each source name its partner, or why there is none. `stated` gives the runbook's `rename:`.
pub fn pair<'t>(
    sources: &[&str],
    targets: &[&'t str],
    stated: impl Fn(&str) -> Option<String>,
) -> Vec<Result<(&'t str, How), Unmatched>> {
    let mut found: Vec<_> = sources
        .iter()
        .map(|source| partner(source, targets, stated(source)))
        .collect();
    let mut holders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, result) in found.iter().enumerate() {
        if let Ok((target, _)) = result {
            holders.entry(target).or_default().push(index);
        }
    }
    for (target, mut indexes) in holders {
        // The best way in keeps the target; equally good ones lose it all, since choosing would be guessing.
        indexes.sort_by_key(|index| {
            found[*index]
                .as_ref()
                .map(|(_, how)| *how as u8)
                .unwrap_or(u8::MAX)
        });
        let rank = |index: usize| found[index].as_ref().map(|(_, how)| *how as u8).ok();
        let keeper =
            (indexes.len() == 1 || rank(indexes[0]) != rank(indexes[1])).then_some(indexes[0]);
        for index in indexes
            .iter()
            .copied()
            .filter(|index| Some(*index) != keeper)
        {
            let other = indexes
                .iter()
                .copied()
                .find(|other| *other != index)
                .unwrap_or(index);
            found[index] = Err(Unmatched::Taken {
                target: target.to_owned(),
                other: sources[other].to_owned(),
            });
        }
    }
    found
}

fn partner<'t>(
    source: &str,
    targets: &[&'t str],
    stated: Option<String>,
) -> Result<(&'t str, How), Unmatched> {
    if let Some(stated) = stated {
        return match targets.iter().find(|target| **target == stated) {
            Some(target) => Ok((target, How::Stated)),
            None => Err(Unmatched::StatedMissing(stated)),
        };
    }
    if source.is_empty() {
        return Err(Unmatched::Empty);
    }
    if source.len() > MAX_NAME_BYTES {
        return Err(Unmatched::TooLong(source.len()));
    }
    if let Some(target) = targets.iter().find(|target| **target == source) {
        return Ok((target, How::Exact));
    }
    let lower = source.to_lowercase();
    let by = |fits: &dyn Fn(&str) -> bool| {
        targets
            .iter()
            .copied()
            .filter(|target| fits(target))
            .collect::<Vec<_>>()
    };
    let ignoring_case = by(&|target| target.to_lowercase() == lower);
    match ignoring_case.as_slice() {
        [one] => return Ok((one, How::IgnoringCase)),
        [] => {}
        several => {
            return Err(Unmatched::Ambiguous(
                several.iter().map(|name| (*name).to_owned()).collect(),
            ));
        }
    }
    let (snake, split_digits) = (snake_case(source, false), snake_case(source, true));
    let in_snake = by(&|target| target == snake || target == split_digits);
    match in_snake.as_slice() {
        [one] => Ok((one, How::SnakeCase)),
        [] => Err(Unmatched::Missing),
        several => Err(Unmatched::Ambiguous(
            several.iter().map(|name| (*name).to_owned()).collect(),
        )),
    }
}

/// `ToolContents` → `tool_contents`, `HTTPServerId` → `http_server_id`; with `split_digits` also `Line2` → `line_2`.
pub fn snake_case(name: &str, split_digits: bool) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    for (index, c) in chars.iter().copied().enumerate() {
        let previous = index.checked_sub(1).map(|before| chars[before]);
        let next = chars.get(index + 1).copied();
        let starts_word = match previous {
            None | Some('_') => false,
            Some(before) if c.is_uppercase() => {
                !before.is_uppercase() || next.is_some_and(char::is_lowercase)
            }
            Some(before) => split_digits && c.is_ascii_digit() && !before.is_ascii_digit(),
        };
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// The one target name of `unfilled` that differs from `source` by nothing but letter case, blanks, dashes and underscores, or else by
/// the plural, or that is what PostgreSQL made of a name too long for it. A suggestion, never a pair by itself.
pub fn likely<'t>(source: &str, unfilled: &[&'t str]) -> Option<Likely<'t>> {
    let only = |fits: &dyn Fn(&str) -> bool| {
        let mut found = unfilled.iter().copied().filter(|name| fits(name));
        let first = found.next();
        first.filter(|_| found.next().is_none())
    };
    let cut = || {
        let end = (0..=MAX_NAME_BYTES.min(source.len()))
            .rev()
            .find(|end| source.is_char_boundary(*end))
            .unwrap_or_default();
        &source[..end]
    };
    let bare = folded(source);
    if source.len() > MAX_NAME_BYTES
        && let Some(name) = only(&|name| name == cut())
    {
        return Some(Likely { name, sure: true });
    }
    if bare.is_empty() {
        return None;
    }
    if let Some(name) = only(&|name| folded(name) == bare) {
        return Some(Likely { name, sure: true });
    }
    let one = singular(&bare);
    let name = only(&|name| singular(&folded(name)) == one)?;
    Some(Likely { name, sure: false })
}

/// A suggested partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likely<'t> {
    pub name: &'t str,
    /// The names alone tell; otherwise a table's columns have to fit too.
    pub sure: bool,
}

/// Letters and digits alone, in lower case.
pub fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Plurals that no rule makes, as frameworks know them.
const IRREGULAR: &[(&str, &str)] = &[
    ("people", "person"),
    ("children", "child"),
    ("indices", "index"),
    ("matrices", "matrix"),
    ("vertices", "vertex"),
    ("criteria", "criterion"),
    ("analyses", "analysis"),
    ("statuses", "status"),
    ("aliases", "alias"),
    ("buses", "bus"),
];

/// English plurals as frameworks make them.
fn singular(folded: &str) -> String {
    for (many, one) in IRREGULAR {
        if let Some(stem) = folded.strip_suffix(many) {
            return singular(&format!("{stem}{one}"));
        }
    }
    if let Some(stem) = folded.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for ending in ["sses", "ches", "shes", "xes", "zes"] {
        if folded.ends_with(ending) {
            return folded[..folded.len() - 2].to_owned();
        }
    }
    match folded.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') && !stem.is_empty() => stem.to_owned(),
        _ => folded.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pascal_becomes_snake() {
        for (pascal, snake) in [
            ("ToolContents", "tool_contents"),
            ("HTTPServerId", "http_server_id"),
            ("Id", "id"),
            ("already_snake", "already_snake"),
            ("User_Name", "user_name"),
            ("ÄrgerListe", "ärger_liste"),
        ] {
            assert_eq!(snake_case(pascal, false), snake);
        }
        assert_eq!(snake_case("Line2", true), "line_2");
    }

    #[test]
    fn a_likely_partner_is_the_only_one_that_fits() {
        for (source, unfilled, wanted) in [
            (
                "user_account",
                &["userAccount", "x"][..],
                Some(("userAccount", true)),
            ),
            (
                "Order Details",
                &["order_details"],
                Some(("order_details", true)),
            ),
            ("first-name", &["FirstName"], Some(("FirstName", true))),
            ("category", &["Categories"], Some(("Categories", false))),
            ("addresses", &["Address"], Some(("Address", false))),
            ("user", &["users", "Users"], None),
            ("a_b", &["aB", "AB"], None),
            ("status", &["statu"], Some(("statu", false))),
            (
                "OrderStatus",
                &["order_statuses"],
                Some(("order_statuses", false)),
            ),
            ("Person", &["people"], Some(("people", false))),
            ("--", &["__"], None),
        ] {
            let found = likely(source, unfilled).map(|likely| (likely.name, likely.sure));
            assert_eq!(found, wanted, "{source}");
        }
        let long = "L".repeat(70);
        let cut = "L".repeat(63);
        let found = likely(&long, &[&cut]).map(|likely| likely.name);
        assert_eq!(found, Some(cut.as_str()));
    }

    #[test]
    fn the_better_match_keeps_the_target() {
        let found = pair(&["Tools", "tools", "TOOLS"], &["tools"], |_| None);
        assert_eq!(found[1], Ok(("tools", How::Exact)));
        assert!(matches!(found[0], Err(Unmatched::Taken { .. })));
        assert!(matches!(found[2], Err(Unmatched::Taken { .. })));
    }

    #[test]
    fn equally_good_sources_both_lose() {
        let found = pair(&["TOOLS", "Tools"], &["tools"], |_| None);
        assert!(
            found
                .iter()
                .all(|result| matches!(result, Err(Unmatched::Taken { .. })))
        );
    }

    #[test]
    fn long_and_empty_names_need_a_stated_target() {
        let long = "L".repeat(67);
        let cut = "L".repeat(63);
        assert_eq!(
            pair(&[&long], &[&cut], |_| None)[0],
            Err(Unmatched::TooLong(67))
        );
        assert_eq!(
            pair(&[&long], &[&cut], |_| Some(cut.clone()))[0],
            Ok((cut.as_str(), How::Stated))
        );
        assert_eq!(pair(&[""], &["a"], |_| None)[0], Err(Unmatched::Empty));
    }

    #[test]
    fn several_candidates_are_not_guessed_between() {
        assert!(matches!(
            pair(&["ORDERS"], &["Orders", "orders"], |_| None)[0],
            Err(Unmatched::Ambiguous(_))
        ));
    }
}
