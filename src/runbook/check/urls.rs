//! Files that the URLs of databases name: a process looks for a relative one in the folder in which it was started, and whoever takes a session
//! up starts an engine anywhere. Not in here: all other paths of a runbook, which are its folder's (`runbook::reader`).

use super::Check;

/// libpq's parameters that name files.
const FILES: [&str; 5] = ["sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"];

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    let mut urls = vec![
        ("target.url", &runbook.target.url),
        ("target.runtime_url", &runbook.target.runtime_url),
    ];
    if let Some(rehearsal) = &runbook.rehearsal {
        urls.push(("rehearsal.url", &rehearsal.url));
        urls.push(("rehearsal.runtime_url", &rehearsal.runtime_url));
    }
    for (path, url) in urls {
        for name in relative(url) {
            let found = format!("a relative one for `{name}`");
            let hint = "it is looked for in the folder in which a process is started, and an engine that takes this session up may be \
                        started in another: write the whole path";
            let expected = "files by their whole paths in this URL";
            check.warn(path, expected, &found, Some(hint.to_owned()));
        }
    }
}

/// Which of these parameters name a file relative to whatever folder a process is in. The value is not given: it is part of a secret.
fn relative(url: &str) -> impl Iterator<Item = &'static str> {
    FILES.into_iter().filter(move |name| {
        let parts = url.split(['?', '&', ' ', '\t', '\n']);
        let mut values = parts.filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        values.any(|value| {
            let value = value.trim_start_matches('\'');
            let is_whole = value.starts_with('/') || value.to_lowercase().starts_with("%2f");
            !is_whole && !value.is_empty() && value != "system"
        })
    })
}

#[cfg(test)]
mod tests {
    use super::relative;

    fn of(url: &str) -> Vec<&'static str> {
        relative(url).collect()
    }

    #[test]
    fn a_file_without_its_folder_is_relative() {
        let url = "postgres://a:b@h/d?sslmode=verify-full&sslrootcert=certs/ca.pem&sslkey=/k";
        assert_eq!(of(url), ["sslrootcert"]);
        let words = "host=h passfile='pass' sslcert=./c dbname=d";
        assert_eq!(of(words), ["sslcert", "passfile"]);
        for whole in ["system", "/ca.pem", "%2Fca.pem", "'/ca.pem'", ""] {
            let url = format!("postgres://h/d?sslrootcert={whole}");
            assert!(of(&url).is_empty(), "{whole}");
        }
    }
}
