//! Guesses about a whole column: the unit of its numbers, and storage classes that do not go with its type. Only ever shown.

use crate::transfer::convert::{Class, Converter};
use crate::transfer::kind::Kind;
use crate::transfer::rows::ColumnLook;

/// A wished setting with the unit filled in where it was left open.
pub fn resolve(policy: &str, look: Option<&ColumnLook>) -> String {
    policy.replace("epoch: ?", &format!("epoch: {}", look.map_or("s", unit)))
}

/// The unit under which the largest number lies between 1980 and 2100.
fn unit(look: &ColumnLook) -> &'static str {
    let Some((_, high)) = look.numbers else {
        return "s";
    };
    match high {
        2_444_000..=2_489_000 => "julian",
        315_000_000_000..=4_102_444_800_000 => "ms",
        315_000_000_000_000..=4_102_444_800_000_000 => "us",
        624_000_000_000_000_000..=662_000_000_000_000_000 => "ticks",
        _ => "s",
    }
}

/// A remark about storage classes that convert, but that the declared type would not let one expect.
pub fn odd_classes(kind: &Kind, look: &ColumnLook) -> Option<String> {
    let of = |class: Class| look.classes[class as usize];
    let numbers = of(Class::Integer) + of(Class::Real);
    match kind {
        Kind::Text(_) | Kind::Char(_) if numbers > 0 && of(Class::Text) > 0 => Some(format!(
            "holds {numbers} numbers beside text; as text, 1 and '1' become the same"
        )),
        Kind::Text(_) | Kind::Char(_) if numbers > 0 => {
            Some(format!("holds {numbers} numbers, which become text"))
        }
        _ => None,
    }
}

/// What happens to a column's values, in words, with the policies that apply.
pub fn conversion(converter: &Converter) -> String {
    let mut words = converter.in_words().to_owned();
    let policies: Vec<String> = converter
        .policy
        .pairs()
        .into_iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    if !policies.is_empty() {
        words.push_str(&format!("; {}", policies.join(", ")));
    }
    words
}
