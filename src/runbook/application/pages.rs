//! Pages of an application, by the routes that its code names: the one that says whether it is ready, one that reads a critical table. Pure.
//! Not in here: asking them (`cutover check` does).

use std::sync::LazyLock;

use regex::Regex;

use super::File;

/// A path in a call that makes a route, in the spellings of the usual frameworks: the call, then the path.
static ROUTE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)\b(path|re_path|route|get|map\w*|handle|handlefunc|health)\s*[(:]?\s*r?["'](?:GET )?\^?(/?[\w./-]*)\$?["']"#,
    )
    .expect("BUG: a constant pattern")
});
/// The last word of a page that says whether an instance can serve, the best first.
const READY: [&str; 9] = [
    "ready",
    "readyz",
    "readiness",
    "healthz",
    "health",
    "healthcheck",
    "up",
    "status",
    "ping",
];

/// A page, and where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its path, from the root.
    pub path: String,
    /// `FILE:LINE`.
    pub at: String,
}

fn routes(files: &[&File]) -> Vec<Page> {
    let mut pages = Vec::new();
    for file in files {
        for (n, line) in file.text.lines().enumerate() {
            for hit in ROUTE.captures_iter(line) {
                let (call, path) = (&hit[1], &hit[2]);
                // Elsewhere it is a key of a map: `order.get("status")`.
                let may_be_relative = matches!(call, "path" | "re_path");
                if path.starts_with('/') || may_be_relative || file.path.ends_with(".rb") {
                    pages.push(Page {
                        path: format!("/{}", path.trim_start_matches('/')),
                        at: file.at(n + 1),
                    });
                }
            }
        }
    }
    pages
}

fn last_word(path: &str) -> String {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or_default().to_lowercase()
}

/// The page that says whether an instance can serve.
pub fn ready(files: &[&File]) -> Option<Page> {
    let pages = routes(files);
    READY
        .iter()
        .find_map(|word| pages.iter().find(|page| last_word(&page.path) == *word))
        .cloned()
}

/// A page that shows rows of one of these tables: its last word is the table's, in the plural.
pub fn of_tables(files: &[&File], tables: &[String]) -> Option<Page> {
    let pages = routes(files);
    tables.iter().find_map(|table| {
        let table = table.to_lowercase();
        let name = table.rsplit('_').next().unwrap_or(&table);
        let is_it = |page: &&Page| {
            let word = last_word(&page.path);
            word.len() > 1 && (word == name || word == table || word == plural(name))
        };
        pages.iter().find(is_it).cloned()
    })
}

fn plural(name: &str) -> String {
    match name.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{name}s"),
    }
}

/// By what Django's own name of its database is shown: where, if it is.
pub fn django_vendor(files: &[&File]) -> Option<String> {
    files.iter().find_map(|file| {
        let mut lines = file.text.lines().enumerate();
        let hit = lines.find(|(_, line)| line.contains("connection.vendor"));
        hit.map(|(n, _)| file.at(n + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::application::tests::file;

    #[test]
    fn routes_are_known_in_the_usual_spellings() {
        let cases = [
            ("urls.py", "    path(\"health\", views.health),", "/health"),
            (
                "server.js",
                "app.get('/healthz', (q, a) => a.send())",
                "/healthz",
            ),
            ("routes.rb", "  get \"up\" => \"rails/health#show\"", "/up"),
            (
                "Program.cs",
                "app.MapHealthChecks(\"/health/ready\");",
                "/health/ready",
            ),
            (
                "main.go",
                "mux.HandleFunc(\"GET /readyz\", ready)",
                "/readyz",
            ),
            ("app.py", "@app.route('/status')", "/status"),
            ("app.php", "        health: '/up',", "/up"),
        ];
        for (path, text, wanted) in cases {
            let file = file(path, text);
            let page = ready(&[&file]).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((page.path.as_str(), page.at), (wanted, format!("{path}:1")));
        }
        let both = file("a.py", "path('health', h)\npath('ready', r)\n");
        assert_eq!(ready(&[&both]).expect("a page").at, "a.py:2");
        let map = file("a.py", "if order.get('status') == 'ready':");
        assert_eq!(ready(&[&map]), None);
    }

    #[test]
    fn a_page_of_a_table_is_its_plural() {
        let urls = file(
            "urls.py",
            "path(\"books/<slug:slug>/\", views.book)\npath(\"books/\", views.books)\npath('categories', c)\n",
        );
        let tables = ["lending_author", "lending_book"].map(str::to_owned);
        let page = of_tables(&[&urls], &tables).expect("a page");
        assert_eq!(
            (page.path.as_str(), page.at.as_str()),
            ("/books/", "urls.py:2")
        );
        let page = of_tables(&[&urls], &["category".to_owned()]).expect("a page");
        assert_eq!(page.path, "/categories");
        assert_eq!(of_tables(&[&urls], &["Orders".to_owned()]), None);
    }
}
