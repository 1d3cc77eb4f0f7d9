//! What of an application is checked out, by the files of git alone: the tag at its `HEAD`, or the commit. Nothing of git is run. Not in here:
//! the other files of the folder ([`super::folder`]).

use std::io::Read as _;
use std::path::Path;

use super::folder::text;
use crate::regular_file;

/// Characters of a commit that tell it from others.
const COMMIT_CHARS: usize = 12;
/// How many tags are looked at.
const TAGS: usize = 2_000;
/// How many bytes of a tag's object are read to find its commit.
const OBJECT_BYTES: u64 = 512;

/// The release that is checked out, and where that was seen.
pub(super) fn version(dir: &Path) -> Option<(String, &'static str)> {
    let git = dir.join(".git");
    let commit = commit(&git)?;
    match tag(&git, &commit) {
        Some(tag) => Some((tag, "git, the tag at HEAD")),
        None => Some((commit.chars().take(COMMIT_CHARS).collect(), ".git/HEAD")),
    }
}

fn commit(git: &Path) -> Option<String> {
    let head = text(&git.join("HEAD")).ok()?;
    let id = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        // A name that leads out of the folder is none of git's.
        Some(name) if !name.starts_with("refs/") || name.split('/').any(|part| part == "..") => {
            return None;
        }
        Some(name) => match text(&git.join(name)) {
            Ok(id) => id.trim().to_owned(),
            Err(_) => {
                let packed = text(&git.join("packed-refs")).ok()?;
                let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
                lines.find(|(_, known)| *known == name)?.0.to_owned()
            }
        },
    };
    is_id(&id).then_some(id)
}

fn is_id(id: &str) -> bool {
    id.len() >= 40 && id.chars().all(|c| c.is_ascii_hexdigit())
}

/// A tag that leads to this commit; of several the last by name.
fn tag(git: &Path, commit: &str) -> Option<String> {
    let mut found = packed(&text(&git.join("packed-refs")).unwrap_or_default(), commit);
    if let Ok(entries) = std::fs::read_dir(git.join("refs/tags")) {
        for entry in entries.take(TAGS).filter_map(Result::ok) {
            let Ok(id) = text(&entry.path()) else {
                continue;
            };
            let id = id.trim();
            let leads = id == commit || object(git, id).is_some_and(|to| to == commit);
            if let (true, Ok(name)) = (leads, entry.file_name().into_string()) {
                found.push(name);
            }
        }
    }
    found.into_iter().max()
}

/// Tags of `packed-refs` that lead to this commit: by themselves, or by the line below, which is what an annotated one leads to.
fn packed(refs: &str, commit: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last: Option<&str> = None;
    for line in refs.lines() {
        if let Some(peeled) = line.strip_prefix('^') {
            found.extend(last.filter(|_| peeled == commit).map(str::to_owned));
            continue;
        }
        let named = line.split_once(' ');
        last = named.and_then(|(_, name)| name.strip_prefix("refs/tags/"));
        let is_it = named.is_some_and(|(id, _)| id == commit);
        found.extend(last.filter(|_| is_it).map(str::to_owned));
    }
    found
}

/// What an annotated tag's object leads to.
fn object(git: &Path, id: &str) -> Option<String> {
    if !is_id(id) {
        return None;
    }
    let (folder, name) = id.split_at(2);
    let file = regular_file::open(&git.join("objects").join(folder).join(name)).ok()?;
    let mut bytes = Vec::new();
    let inflated = flate2::read::ZlibDecoder::new(file);
    // What was read before an error tells as much.
    let _ = inflated.take(OBJECT_BYTES).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once('\0')?;
    let object = body.lines().next()?.strip_prefix("object ")?;
    head.starts_with("tag ").then(|| object.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "407fe77870af407fe77870af407fe77870af407f";
    const OTHER: &str = "1111111111111111111111111111111111111111";

    #[test]
    fn a_tag_at_head_is_the_version() {
        let dir = tempfile::tempdir().expect("a folder");
        let git = dir.path().join(".git");
        std::fs::create_dir_all(git.join("refs/tags")).expect("folders");
        assert_eq!(version(dir.path()), None);
        std::fs::write(git.join("HEAD"), format!("{HEAD}\n")).expect("a file");
        let commit = version(dir.path()).expect("a commit");
        assert_eq!(commit, ("407fe77870af".to_owned(), ".git/HEAD"));
        std::fs::write(git.join("refs/tags/v0"), OTHER).expect("a file");
        assert_eq!(version(dir.path()), Some(commit));
        std::fs::write(git.join("refs/tags/v1"), format!("{HEAD}\n")).expect("a file");
        let tag = version(dir.path()).expect("a tag");
        assert_eq!(tag, ("v1".to_owned(), "git, the tag at HEAD"));
    }

    #[test]
    fn an_annotated_tag_is_known_by_its_object() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("objects/11");
        std::fs::create_dir_all(&folder).expect("folders");
        let file = std::fs::File::create(folder.join(&OTHER[2..])).expect("a file");
        let mut deflated = flate2::write::ZlibEncoder::new(file, flate2::Compression::default());
        writeln!(deflated, "tag 150\0object {HEAD}\ntype commit\ntag v2").expect("an object");
        deflated.finish().expect("an object");
        assert_eq!(object(dir.path(), OTHER).as_deref(), Some(HEAD));
        assert_eq!(object(dir.path(), HEAD), None);
    }

    #[test]
    fn packed_tags_are_read_with_what_they_lead_to() {
        let refs = format!(
            "# pack-refs with: peeled\n{HEAD} refs/heads/main\n{HEAD} refs/tags/plain\n{OTHER} refs/tags/v2\n^{HEAD}\n{HEAD} refs/tags/v3\n^{OTHER}\n"
        );
        assert_eq!(packed(&refs, HEAD), ["plain", "v2", "v3"]);
        assert!(packed("", HEAD).is_empty());
    }
}
