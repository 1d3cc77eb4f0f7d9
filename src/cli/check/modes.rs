//! Whether others may read the password that the switch (F1) writes: it replaces one key of a configuration file that is there, and leaves the
//! file its mode and owner. Not in here: how a key is replaced (`action::config_file`).

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::postgres::Finding;
use crate::production::configuration_of;
use crate::runbook::Runbook;
use crate::text::printable;

/// The group's and the others' right to read.
const READ_BY_OTHERS: u32 = 0o044;

/// A warning for each configuration file that the switch puts a password into and that others than its owner may read. Files that are
/// not on this host are no matter here.
pub fn examine(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let switched = runbook.steps.iter();
    let mut switched = switched.filter_map(|step| step.kind.switched_key());
    let writes_a_password = switched.any(|it| holds_a_password(it.name, it.to));
    if !writes_a_password {
        return Vec::new();
    }
    let instances = runbook.fleet.instances.iter();
    let files: BTreeSet<PathBuf> = instances
        .filter_map(|instance| configuration_of(runbook, folder, instance))
        .collect();
    files
        .iter()
        .filter_map(|file| read_by_others(file))
        .collect()
}

fn read_by_others(file: &Path) -> Option<Finding> {
    let mode = file.metadata().ok()?.permissions().mode() & 0o7777;
    (mode & READ_BY_OTHERS != 0).then(|| {
        let detail = format!(
            "{} has mode {mode:04o}, and F1 writes a password into it, which leaves its mode as it is: its group or everybody reads the \
             database's password from then on. `chmod go-r`, or let the group be one of the application's own",
            printable(&file.display().to_string(), 240)
        );
        Finding::advice("configuration, mode", false, detail)
    })
}

/// Whether the value of a key is a password, or has one in it: in a URL, or in the form of keywords.
fn holds_a_password(key: &str, value: &str) -> bool {
    let in_url = url::Url::parse(value).is_ok_and(|url| {
        let in_query = url.query_pairs().any(|(name, _)| name == "password");
        url.password().is_some() || in_query
    });
    let lower: String = value.to_lowercase();
    let words: String = lower.split_whitespace().collect();
    let in_keywords = ["password=", "pwd="]
        .iter()
        .any(|word| words.contains(word));
    let key = key.to_lowercase();
    in_url || in_keywords || key.contains("password") || key.contains("secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_seen_in_whatever_form_it_is_written() {
        let holds = |value| holds_a_password("DATABASE_URL", value);
        assert!(holds("postgresql://app:s3cret@db:5432/library"));
        assert!(holds("postgresql:///library?host=/run&password=s3cret"));
        assert!(holds("Host=db;Database=library;Password = s3cret"));
        assert!(!holds("postgresql://app@db:5432/library"));
        assert!(!holds("Postgres"));
        assert!(holds_a_password("DB_PASSWORD", "s3cret"));
    }

    #[test]
    fn a_file_that_others_read_is_named_with_its_mode() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let with = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), mode).expect("a mode");
            read_by_others(file.path()).map(|finding| finding.detail)
        };
        assert_eq!(with(0o600), None);
        assert!(with(0o644).expect("a warning").contains("has mode 0644"));
        assert!(with(0o640).expect("a warning").contains("has mode 0640"));
    }
}
