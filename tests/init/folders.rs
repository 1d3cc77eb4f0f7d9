//! What `init --app` reads in an application's folder.

use super::{Files, Place, SHOP, said};

/// What is in a SQLite file beside its items, the files of an application's folder, and what its draft has by them.
#[rustfmt::skip]
const FOLDERS: &[(&str, Files, &[&str])] = &[
    ("CREATE TABLE SequelizeMeta(name TEXT PRIMARY KEY); INSERT INTO SequelizeMeta VALUES ('1-items.js')",
        &[("compose.yaml", "services:\n  app-1:\n    build: .\n    env_file: env/app-1.env\n    ports: ['5001:3000']\n    healthcheck: { test: 'curl -f http://localhost:3000/healthz' }\n  app-2:\n    build: .\n    env_file: env/app-2.env\n    ports: ['5002:3000']\n  staging:\n    build: .\n    env_file: env/staging.env\n    ports: ['5009:3000']\n  db:\n    image: postgres:17\n    ports: ['5432:5432']\n"),
          ("env/app-1.env", "DATABASE_URL=sqlite:///FILE\nSESSION_SECRET=hunter2hunter2\n"),
          ("env/app-2.env", "DATABASE_URL=sqlite:///FILE\n"),
          ("package.json", "{ \"dependencies\": { \"express\": \"5\", \"sequelize\": \"6\", \"prom-client\": \"15\" } }"),
          ("server.js", "app.get('/items', list)\n")],
        &["kind: compose", "file: compose.yaml   # compose.yaml:5", "id: \"app-1\", url: \"http://127.0.0.1:5001\", canary: true }   # compose.yaml:5",
          "id: staging, url: \"http://127.0.0.1:5009\"", "config: \"env/{instance}.env\"   # compose.yaml:4",
          "ready: \"{url}/healthz\"", "metrics: \"{url}/metrics\"   # prom-client, package.json:1", "get: \"{url}/items\"",
          "key: DATABASE_URL, from: \"{source_url}\", to: \"{runtime_url:postgresql}\" }   # env/app-1.env:1",
          "env: { DATABASE_URL: \"{target_url:postgresql}\", PGPASSWORD: \"{target_password}\" }"]),
    ("CREATE TABLE migrations(id INTEGER PRIMARY KEY, migration TEXT, batch INTEGER); INSERT INTO migrations VALUES (1, '2024_begin', 1)",
        &[("artisan", "#!/usr/bin/env php"), ("composer.json", "{ \"require\": { \"laravel/framework\": \"^12\" } }"),
          (".env", "DB_CONNECTION=sqlite\nDB_PASSWORD=hunter2hunter2\n"), ("routes/web.php", "Route::get('/items', Items::class);"),
          ("deploy/shop@.service", "[Service]\nEnvironmentFile=/etc/shop/%i.env\nExecStart=/usr/bin/php artisan serve --port %i\n"),
          ("deploy/shop.target", "[Unit]\nWants=shop@5001.service shop@5002.service\n")],
        &["kind: systemd", "unit: \"shop@{instance}.service\"", "id: \"5001\", url: \"http://127.0.0.1:5001\", canary: true }",
          "config: \"/etc/shop/{instance}.env\"   # deploy/shop@.service:2", "# no metrics: ", "rules: laravel",
          "ready: <a page that answers 2xx once the instance can serve>   # \"{url}/ready\"",
          "key: DB_CONNECTION, from: sqlite, to: pgsql }   # .env:1", "get: \"{url}/items\"", "command: [php, artisan, migrate, --force]"]),
    ("CREATE TABLE alembic_version(version_num TEXT PRIMARY KEY); INSERT INTO alembic_version VALUES ('8c2d51e0aa47')",
        &[("alembic.ini", "[alembic]\nscript_location = migrations\n"), ("venv/bin/alembic", "#!/bin/sh\n"),
          ("requirements.txt", "Flask==3.1.3\nprometheus_flask_exporter==0.23.2\npsycopg==3.3.9\nSQLAlchemy==2.1.9\n"),
          ("Procfile", "web: gunicorn --bind 127.0.0.1:8101 shop.web:create()\n"),
          (".env", "DATABASE_URL=sqlite:///FILE\nSECRET=hunter2hunter2\n"), (".env.staging", "DATABASE_URL=sqlite:////srv/staging.db\n"),
          ("shop/web.py", "def create():\n    app = make()\n    app.get('/items')(items)\n"),
          ("shop/site.py", "app = Flask(__name__)\n@app.get(\"/healthz\")\ndef healthz(): ...\n"),
          ("shop/other.py", "route('/ready')\n")],
        &["id: \"app-1\", url: \"http://127.0.0.1:8101\", canary: true }", "ready: \"{url}/healthz\"   # shop/site.py:2",
          "get: \"{url}/items\", status: 200, compare_body: true }   # shop/web.py:3",
          "metrics: \"{url}/metrics\"   # prometheus-flask-exporter, requirements.txt:2", "config: \"env/{instance}.env\"   # .env:1",
          "command: [\"venv/bin/alembic\", upgrade, head], env: { DATABASE_URL: \"{target_url:postgresql+psycopg}\" }",
          "key: DATABASE_URL, from: \"{source_url}\", to: \"{runtime_url:postgresql+psycopg}\" }   # .env:1"]),
];

#[test]
fn an_applications_folder_is_read_and_nothing_secret_is_taken_from_it() {
    for (sql, files, told) in FOLDERS {
        let place = Place::with(&format!(
            "CREATE TABLE Items(Id INTEGER PRIMARY KEY); {sql}"
        ));
        let folder = place.path().canonicalize().expect("a folder");
        let database = folder.join("shop.db");
        for (path, text) in *files {
            let path = place.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            let text = text.replace("FILE", &database.display().to_string());
            std::fs::write(path, text).expect("a file");
        }
        let output = place.run(&["init", "--app", "."]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let draft = std::fs::read_to_string(place.path().join("runbook.yaml")).expect("a draft");
        for part in *told {
            assert!(draft.contains(part), "no {part} in\n{draft}");
        }
        let shown = said(&output);
        assert!(shown.contains("found: key: "), "{shown}");
        assert!(!draft.contains("hunter2") && !shown.contains("hunter2"));
        let check = place.run(&["check", "--offline"]);
        let problems = said(&check);
        let errors: Vec<&str> = problems
            .lines()
            .filter(|line| line.starts_with("error"))
            .collect();
        let other: Vec<_> = errors
            .iter()
            .filter(|line| !line.contains("still to be filled in"))
            .collect();
        assert!(other.is_empty(), "{other:?} in\n{problems}");
        assert!(errors.len() < 20, "{}:\n{problems}", errors.len());
    }
}

#[test]
fn what_of_a_folder_cannot_be_read_is_said() {
    let shop = Place::with(SHOP);
    std::fs::write(shop.path().join("large.env"), "X=1\n".repeat(100_000)).expect("a file");
    std::fs::write(shop.path().join("odd.env"), [0xff, 0xfe, 0x00]).expect("a file");
    let output = shop.run(&["init", "--app", ".", "--out", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for part in [
        "note: large.env was not read: it is too large",
        "note: odd.env was not read: it is not UTF-8",
    ] {
        assert!(said(&output).contains(part), "{}", said(&output));
    }
    let output = shop.run(&["init", "--app", "nowhere", "--source", "shop.db"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("nowhere"), "{}", said(&output));
    assert!(!shop.path().join("runbook.yaml").exists());
}
