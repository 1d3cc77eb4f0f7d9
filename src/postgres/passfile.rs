//! libpq's password file: `host:port:database:user:password` per line, first match wins, `*` matches anything.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The password for these four, if the file has one. As in libpq, a file that others may read is not used.
pub(super) fn password(
    path: &Path,
    host: &str,
    port: u16,
    database: &str,
    user: &str,
) -> Option<String> {
    let metadata = path.metadata().ok()?;
    if !metadata.is_file() {
        return None;
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the password file is readable by others and is not used: chmod 600");
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    find(&text, [host, &port.to_string(), database, user])
}

fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(fields)
        .find_map(|[host, port, database, user, password]| {
            let pairs = [host, port, database, user].into_iter().zip(wanted);
            pairs
                .into_iter()
                .all(|(field, value)| field == "*" || unescaped(field) == value)
                .then(|| unescaped(password))
        })
}

/// Five fields; a backslash keeps the colon after it in its field, and the last field goes to the end of the line.
fn fields(line: &str) -> Option<[&str; 5]> {
    let mut found = Vec::with_capacity(5);
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b':' if found.len() < 4 => {
                found.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&line[start..]);
    found.try_into().ok()
}

fn unescaped(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn first_match_wins() {
        let file = "# comment\nbroken:line\ndb.example:5432:app:ann:one\n*:*:app:ann:t\\:w\\\\o\n*:*:*:*:three";
        assert_eq!(
            find(file, ["db.example", "5432", "app", "ann"]).unwrap(),
            "one"
        );
        assert_eq!(
            find(file, ["other", "5432", "app", "ann"]).unwrap(),
            "t:w\\o"
        );
        assert_eq!(
            find(file, ["other", "5432", "app", "bob"]).unwrap(),
            "three"
        );
        assert_eq!(find("db:1:a:b:c", ["db", "2", "a", "b"]), None);
    }
}
