//! Guesses about a whole column: the byte order of its GUIDs, and storage classes that do not go with its type. Only ever shown. Units of
//! numbers are in [`super::units`].

use crate::transfer::convert::{Class, Converter};
use crate::transfer::kind::Kind;
use crate::transfer::plan::units::World;
use crate::transfer::rows::ColumnLook;

/// The blobs of a column that are to be GUIDs, by what their version and variant say about the order of their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guids {
    /// Blobs of sixteen bytes that are not all zero.
    pub count: u64,
    /// Of them, those that have a version in the order of the text form.
    pub rfc4122: u64,
    /// And in the order of `Guid.ToByteArray()`.
    pub dotnet: u64,
}

impl Guids {
    /// Takes a blob in.
    pub fn see(&mut self, bytes: &[u8]) {
        let Ok(id) = <[u8; 16]>::try_from(bytes) else {
            return;
        };
        if id == [0; 16] {
            return;
        }
        self.count += 1;
        // The variant is in the ninth byte either way, the version in the seventh or eighth.
        let is_known = id[8] & 0xc0 == 0x80;
        let is_version = |byte: u8| (1..=8).contains(&(byte >> 4));
        self.rfc4122 += u64::from(is_known && is_version(id[6]));
        self.dotnet += u64::from(is_known && is_version(id[7]));
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.rfc4122 += other.rfc4122;
        self.dotnet += other.dotnet;
    }

    /// The order that all of them have and not all have the other way round; where both would do, the framework tells.
    pub fn order(&self, world: World) -> Option<&'static str> {
        match (self.rfc4122 == self.count, self.dotnet == self.count) {
            (true, false) => Some("rfc4122"),
            (false, true) => Some("dotnet"),
            _ if world.dotnet && !world.text_order => Some("dotnet"),
            _ if world.text_order && !world.dotnet => Some("rfc4122"),
            _ => None,
        }
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
    let pairs = converter.policy.pairs().into_iter();
    let policies: Vec<String> = pairs
        .map(|(key, value)| crate::text::printable(&format!("{key}: {value}"), 200))
        .collect();
    if !policies.is_empty() {
        words.push_str(&format!("; {}", policies.join(", ")));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_guids_bytes_is_told_by_its_version() {
        let seen = |ids: &[[u8; 16]]| {
            let mut guids = Guids::default();
            ids.iter().for_each(|id| guids.see(id));
            guids
        };
        let mut text_order = [0x90; 16];
        (text_order[6], text_order[7]) = (0x41, 0x00);
        let mut dotnet_order = text_order;
        dotnet_order.swap(6, 7);
        let plain = World::default();
        assert_eq!(seen(&[text_order]).order(plain), Some("rfc4122"));
        assert_eq!(seen(&[dotnet_order, [0; 16]]).order(plain), Some("dotnet"));
        assert_eq!(seen(&[text_order, dotnet_order]).order(plain), None);
        let both = [0x41_u8; 16].map(|byte| byte | 0x80);
        assert_eq!(seen(&[both]).order(plain), None);
        let rails = World {
            text_order: true,
            ..plain
        };
        assert_eq!(seen(&[both]).order(rails), Some("rfc4122"));
    }
}
