//! Which file a path leads to. Nothing is opened: closing a descriptor of the live file would drop its locks.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::identity::SourceIdentity;

/// The identity of the file at `path`; symbolic links are followed.
///
/// # Errors
/// Nothing is there, or the folder may not be searched.
pub fn identity(path: &Path) -> std::io::Result<SourceIdentity> {
    let file = std::fs::metadata(path)?;
    Ok(SourceIdentity {
        device: file.dev(),
        inode: file.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn a_second_name_is_the_same_file_and_a_copy_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("app.db"), "rows").unwrap();
        std::fs::hard_link(at("app.db"), at("hard")).unwrap();
        std::os::unix::fs::symlink(at("app.db"), at("soft")).unwrap();
        std::fs::copy(at("app.db"), at("copy")).unwrap();
        let of = |name: &str| identity(&at(name)).unwrap();
        assert_eq!(of("app.db"), of("hard"));
        assert_eq!(of("app.db"), of("soft"));
        assert_ne!(of("app.db"), of("copy"));
        assert!(identity(&at("missing")).is_err());
    }
}
