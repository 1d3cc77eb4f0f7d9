//! Which files of code make an application, whatever they are called: by what stands in them, or because a start command names them. Pure.
//! Not in here: the routes in them (`pages`).

use std::sync::LazyLock;

use regex::Regex;

use super::File;

/// The calls with which the usual frameworks make an application.
static MAKES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\b(?:Flask|FastAPI|Starlette|Quart|Sanic|Bottle|Litestar)\(|\bexpress\(\)|\b[Ff]astify\(|\bnew (?:Hono|Koa|Elysia)\b",
    )
    .expect("BUG: a constant pattern")
});
/// Servers that are told `module:name`.
static SERVER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:gunicorn|uvicorn|hypercorn|daphne|granian|waitress-serve|uwsgi)\b")
        .expect("BUG: a constant pattern")
});
/// A module with the name in it.
static MODULE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:^|[\s"'=])([A-Za-z_][\w.]*):[A-Za-z_]\w*"#).expect("BUG: a constant pattern")
});
/// A module by itself.
static ALONE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\bflask\s+--app[ =]|\bpython3?\s+-m\s+)([A-Za-z_][\w.]*)")
        .expect("BUG: a constant pattern")
});
static FILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\b(?:node|tsx|ts-node|bun|python3?|fastapi run)\s+(?:\./)?([\w./-]+\.(?:py|js|ts))\b",
    )
    .expect("BUG: a constant pattern")
});

/// Whether a file may make one, by its path within the folder.
pub fn may_make_one(path: &str) -> bool {
    [".py", ".js", ".ts"].iter().any(|end| path.ends_with(end))
}

/// Whether a file's text makes one.
pub fn makes_one(text: &str) -> bool {
    MAKES.is_match(text)
}

/// Ends of the paths of files that the start commands in these name.
pub fn started(files: &[File]) -> Vec<String> {
    let mut paths = Vec::new();
    for line in files.iter().flat_map(|file| file.text.lines()) {
        let modules = MODULE.captures_iter(line);
        let served = modules.filter(|_| SERVER.is_match(line));
        for hit in served.chain(ALONE.captures_iter(line)) {
            let path = hit[1].replace('.', "/");
            paths.push(format!("{path}.py"));
            paths.push(format!("{path}/__init__.py"));
        }
        paths.extend(FILE.captures_iter(line).map(|hit| hit[1].to_owned()));
    }
    paths.sort();
    paths.dedup();
    paths
}

/// Whether a path within the folder is one of these.
pub fn is_started(path: &str, started: &[String]) -> bool {
    started.iter().any(|end| {
        let above = path.strip_suffix(end.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_made_by_a_call() {
        for text in [
            "app = Flask(__name__)",
            "api = fastapi.FastAPI(title='x')",
            "const app = express();",
            "const app = require('fastify')({ logger: true })\nfastify({})",
            "const app = new Hono()",
        ] {
            assert!(makes_one(text), "{text}");
        }
        for text in [
            "import flask",
            "class MyFlask(Base): pass",
            "new Honolulu()",
        ] {
            assert!(!makes_one(text), "{text}");
        }
    }

    #[test]
    fn a_start_command_names_a_file() {
        let named = |line: &str, path: &str| {
            let file = File {
                path: "Procfile".to_owned(),
                text: line.to_owned(),
            };
            is_started(path, &started(&[file]))
        };
        let served = "web: gunicorn --bind 127.0.0.1:8000 apiary.web:app";
        assert!(named(served, "apiary/web.py"));
        assert!(named(served, "src/apiary/web/__init__.py"));
        assert!(!named(served, "myapiary/web.py"));
        assert!(named(
            "ExecStart=/srv/venv/bin/uvicorn 'shop:create'",
            "shop.py"
        ));
        assert!(named("flask --app shop.site run", "shop/site.py"));
        assert!(named("\"start\": \"node ./lib/serve.js\"", "lib/serve.js"));
        assert!(!named("postgres:app", "postgres.py"));
    }
}
