//! What must hold between the parts of a runbook. Pure. Not in here: the form of each part (`parse`), and anything that looks at the
//! world (`cli::check`).

use super::model::Runbook;
use super::reader::Reader;

/// Reports everything that does not fit together. Parts in which errors were found already are left alone.
pub(super) fn check(_runbook: &Runbook, _reader: &mut Reader<'_>) {}
