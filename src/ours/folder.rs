//! A folder of our own, known by a mark in it that holds its own device, inode and birth. What is in it and not known to be ours stays, and
//! is named; so does the folder then.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file;
use super::lock::{self, Holder, Lock};
use super::mark::Mark;
use crate::regular_file;

/// How the mark is called, in the folder.
const MARK: &str = ".cutover-folder.json";
/// The mark before it is whole.
const UNFINISHED: &str = ".cutover-folder.json.partial";
/// Held by the process that uses the folder.
const LOCK: &str = ".cutover-folder.lock";

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    folder: Mark,
    /// Sessions that used it, the newest last.
    sessions: Vec<String>,
    /// A file beside the folder that we made, if there is one.
    beside: Option<Mark>,
}

/// A folder that carries our mark.
#[derive(Debug, Clone)]
pub struct OwnFolder {
    path: PathBuf,
    content: Content,
}

/// Why a folder is not ours to use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else is there.
    #[error(
        "{} is there already and was not made by cutover ({what}); nothing in it was touched. Move it away, or name another place",
        path.display()
    )]
    NotOurs {
        path: PathBuf,
        /// Why it is not ours.
        what: String,
    },
    /// The operating system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// As a verb.
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        doing,
        path,
        source,
    }
}

impl OwnFolder {
    /// The folder at `path` if it is there and ours; `None` where nothing is there, or only an empty folder.
    ///
    /// # Errors
    /// [`Error::NotOurs`] with what is there.
    pub fn find(path: &Path) -> Result<Option<OwnFolder>, Error> {
        let not_ours = |what: &str| Error::NotOurs {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("look at", path)(error)),
        };
        if found.is_symlink() {
            return Err(not_ours("a symbolic link"));
        }
        if !found.is_dir() {
            return Err(not_ours("not a folder"));
        }
        let text = match regular_file::read(&path.join(MARK)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match first_stranger(path)? {
                    None => Ok(None),
                    Some(name) => Err(not_ours(&format!("it holds {name} and no mark of ours"))),
                };
            }
            Err(error) => return Err(io_error("read the mark in", path)(error)),
        };
        let content: Content =
            serde_json::from_slice(&text).map_err(|_| not_ours("its mark is not legible"))?;
        let mark = Mark::of(path).map_err(io_error("look at", path))?;
        if content.folder != mark {
            return Err(not_ours("its mark was made for another folder"));
        }
        Ok(Some(OwnFolder {
            path: path.to_owned(),
            content,
        }))
    }

    /// The folder at `path`, made where nothing is there; the folder above it must exist. From now on `session` uses it.
    pub fn make(path: &Path, session: &str) -> Result<OwnFolder, Error> {
        let mut own = match OwnFolder::find(path)? {
            Some(own) => own,
            None => {
                match fs::create_dir(path) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                        return Err(io_error("make", path)(error));
                    }
                    _ => {}
                }
                OwnFolder {
                    path: path.to_owned(),
                    content: Content {
                        folder: Mark::of(path).map_err(io_error("look at", path))?,
                        sessions: Vec::new(),
                        beside: None,
                    },
                }
            }
        };
        own.content.sessions.retain(|known| known != session);
        own.content.sessions.push(session.to_owned());
        own.write()?;
        Ok(own)
    }

    /// Keeps every other process of ours from using it, for as long as the lock is kept.
    ///
    /// # Errors
    /// Another one uses it, and is named.
    pub fn lock(&self, holder: &Holder) -> Result<Lock, lock::Error> {
        Lock::take(&self.path.join(LOCK), holder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sessions that used it, the newest last.
    pub fn sessions(&self) -> &[String] {
        &self.content.sessions
    }

    /// Records that the file with this mark, beside the folder, is ours: before it gets its name there.
    pub fn record_beside(&mut self, mark: Mark) -> Result<(), Error> {
        self.content.beside = Some(mark);
        self.write()
    }

    /// Whether the file with this mark is the one that we made beside the folder.
    pub fn made_beside(&self, mark: &Mark) -> bool {
        self.content.beside.as_ref() == Some(mark)
    }

    /// Removes every regular file in the folder, and one level below it, that `is_known` says we make, by its path from the folder; then
    /// the folders below that are empty. Returns what stays because we do not know it.
    ///
    /// # Errors
    /// Something cannot be read or removed; what was removed before that is gone, and was ours.
    pub fn clear(&self, is_known: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Error> {
        let mut strangers = Vec::new();
        for (name, is_folder) in entries(&self.path)? {
            let at = self.path.join(&name);
            if !is_folder {
                if !is_the_mark(&name) {
                    self.remove_known(Path::new(&name), is_known, &mut strangers)?;
                }
                continue;
            }
            for (inner, _) in entries(&at)? {
                self.remove_known(&Path::new(&name).join(inner), is_known, &mut strangers)?;
            }
            // It stays where something is left in it.
            if is_known(Path::new(&name)) {
                let _ = fs::remove_dir(&at);
            } else {
                strangers.push(at);
            }
        }
        Ok(strangers)
    }

    fn remove_known(
        &self,
        inner: &Path,
        is_known: &dyn Fn(&Path) -> bool,
        strangers: &mut Vec<PathBuf>,
    ) -> Result<(), Error> {
        let at = self.path.join(inner);
        let found = fs::symlink_metadata(&at).map_err(io_error("look at", &at))?;
        if !found.is_file() || !is_known(inner) {
            strangers.push(at);
            return Ok(());
        }
        fs::remove_file(&at).map_err(io_error("remove", &at))
    }

    fn write(&self) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(&self.content).expect("BUG: a mark is plain data");
        let (partial, path) = (self.path.join(UNFINISHED), self.path.join(MARK));
        let write = || {
            let mut file = fs::File::create(&partial)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            file::sync_name(&path)
        };
        write().map_err(io_error("write the mark", &path))
    }
}

fn is_the_mark(name: &str) -> bool {
    [MARK, UNFINISHED, LOCK].contains(&name)
}

/// Something in a folder without a mark; an unfinished mark of ours is nothing.
fn first_stranger(path: &Path) -> Result<Option<String>, Error> {
    let mut names = entries(path)?.into_iter().map(|(name, _)| name);
    Ok(names
        .find(|name| !is_the_mark(name))
        .map(|name| crate::text::printable(&name, 80)))
}

/// What is in a folder by name, and whether it is a folder itself. A name that is not UTF-8 is none of ours and shown as it can be.
fn entries(path: &Path) -> Result<Vec<(String, bool)>, Error> {
    let read = fs::read_dir(path).map_err(io_error("list", path))?;
    let mut found = Vec::new();
    for entry in read {
        let entry = entry.map_err(io_error("list", path))?;
        let kind = entry.file_type().map_err(io_error("look into", path))?;
        match entry.file_name().into_string() {
            Ok(name) => found.push((name, kind.is_dir())),
            Err(name) => {
                return Err(Error::NotOurs {
                    path: path.join(name),
                    what: "a name that we do not make".to_owned(),
                });
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("own");
        (above, path)
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_an_empty_one_is_taken() {
        let (_above, path) = fresh();
        fs::create_dir(&path).unwrap();
        OwnFolder::make(&path, "s-1").unwrap();
        fs::remove_file(path.join(MARK)).unwrap();
        fs::write(path.join("photo.jpg"), "x").unwrap();
        let refused = OwnFolder::make(&path, "s-1").unwrap_err().to_string();
        assert!(refused.contains("photo.jpg"), "{refused}");
        assert!(path.join("photo.jpg").exists());
    }

    #[test]
    fn a_copied_mark_does_not_count() {
        let (above, path) = fresh();
        OwnFolder::make(&path, "s-1").unwrap();
        let other = above.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::copy(path.join(MARK), other.join(MARK)).unwrap();
        let refused = OwnFolder::find(&other).unwrap_err().to_string();
        assert!(refused.contains("made for another folder"), "{refused}");
        std::os::unix::fs::symlink(&path, above.path().join("link")).unwrap();
        let refused = OwnFolder::find(&above.path().join("link"));
        assert!(matches!(refused, Err(Error::NotOurs { .. })), "{refused:?}");
    }

    #[test]
    fn only_what_is_known_goes() {
        let (above, path) = fresh();
        let own = OwnFolder::make(&path, "s-1").unwrap();
        fs::write(path.join("maintenance"), "x").unwrap();
        fs::write(path.join("letter"), "x").unwrap();
        fs::create_dir_all(path.join("backup/deep")).unwrap();
        fs::write(path.join("backup/deep/maintenance"), "x").unwrap();
        let outside = above.path().join("outside");
        fs::write(&outside, "x").unwrap();
        std::os::unix::fs::symlink(&outside, path.join("incident.md")).unwrap();
        let known = |at: &Path| {
            ["maintenance", "incident.md", "backup"]
                .iter()
                .any(|name| at == Path::new(name))
        };
        let stays = own.clear(&known).unwrap();
        let stays: Vec<_> = stays
            .iter()
            .map(|p| p.strip_prefix(&path).unwrap())
            .collect();
        assert_eq!(
            stays,
            ["backup/deep", "incident.md", "letter"].map(Path::new)
        );
        assert!(!path.join("maintenance").exists());
        assert!(path.join("backup/deep/maintenance").exists() && outside.exists());
    }
}
