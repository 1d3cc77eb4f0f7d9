//! A column for the tests of the files beside this one.

use super::Converter;
use crate::runbook::transfer::ColumnPolicy;
use crate::transfer::kind::Kind;

/// A column of this kind under these settings.
pub(super) fn column(kind: Kind, settings: &[(&str, &str)]) -> Converter {
    let mut policy = ColumnPolicy::default();
    for (key, value) in settings {
        policy.set(key, value).expect("a known setting");
    }
    Converter {
        kind,
        zone: policy.zone,
        policy,
        not_null: false,
        default: None,
    }
}
