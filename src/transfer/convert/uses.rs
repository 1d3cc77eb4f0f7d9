//! Which policies a value has used, so that an import says how often each was. Not in here: what they do to it.

/// The policies that one value needed, as a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses(pub u32);

/// One policy, by its place in [`Uses`] and in [`Use::NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Use {
    /// `fraction:`
    Fraction,
    /// `epoch:`
    Epoch,
    /// `offset: to_utc`
    Offset,
    /// `zone:`
    Zone,
    /// `boolean_words: true`
    BooleanWords,
    /// `boolean_bytes: true`
    BooleanBytes,
    /// `guid_bytes:`
    GuidBytes,
    /// `guid_text: any`
    GuidText,
    /// `real:`
    Real,
    /// `scale:`
    Scale,
    /// `negative_zero: drop`
    NegativeZero,
    /// `midnight: allow`
    Midnight,
    /// `far_years: keep`
    FarYears,
    /// `nul: strip`
    Nul,
    /// `invalid_utf8: replace`
    InvalidUtf8,
    /// `char_padding: pad`
    CharPadding,
    /// `bytes:`
    Bytes,
    /// `jsonb_blob: decode`
    JsonbBlob,
    /// `enum: ordinal`
    EnumOrdinal,
    /// `netmask: keep`
    Netmask,
    /// `values:`
    Values,
    /// `null: default`
    NullDefault,
    /// `time: drop`
    TimeDropped,
    /// `split:`
    Split,
    /// `since:`
    Since,
    /// `unsigned: wrap`
    Unsigned,
    /// `on_problem: null`
    Nulled,
    /// `on_problem: quarantine`
    Quarantined,
}

impl Use {
    /// The keys, in the order of the variants.
    pub const NAMES: [&'static str; 28] = [
        "fraction",
        "epoch",
        "offset",
        "zone",
        "boolean_words",
        "boolean_bytes",
        "guid_bytes",
        "guid_text",
        "real",
        "scale",
        "negative_zero",
        "midnight",
        "far_years",
        "nul",
        "invalid_utf8",
        "char_padding",
        "bytes",
        "jsonb_blob",
        "enum",
        "netmask",
        "values",
        "null",
        "time",
        "split",
        "since",
        "unsigned",
        "on_problem: null",
        "on_problem: quarantine",
    ];
}

impl Uses {
    /// No policy was needed.
    pub const NONE: Self = Self(0);

    pub fn add(&mut self, policy: Use) {
        self.0 |= 1 << policy as u8;
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn one(policy: Use) -> Self {
        Self(1 << policy as u8)
    }
}
