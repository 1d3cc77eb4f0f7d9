//! What a whole folder tells, one for each kind of application.

use super::*;
use crate::runbook::draft::known::{Figures, RunBy};
use crate::runbook::frameworks;

pub(super) fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

fn folder(files: &[(&str, &str)], framework: &str) -> Known {
    let files: Vec<File> = files.iter().map(|(path, text)| file(path, text)).collect();
    for file in &files {
        assert!(is_wanted(&file.path), "{}", file.path);
    }
    let tables = ["shop_product".to_owned()];
    let around = Around {
        source: "/srv/shop/app.db",
        tables: &tables,
        framework: frameworks::ALL.iter().find(|f| f.name == framework),
        ..Around::default()
    };
    read(&files, around)
}

fn yaml(found: &Option<Found>) -> &str {
    found.as_ref().map_or("", |found| found.yaml.as_str())
}

fn at(found: &Option<Found>) -> &str {
    found.as_ref().map_or("", |found| found.at.as_str())
}

#[test]
fn a_django_application_with_a_file_for_each_instance() {
    let known = folder(
        &[
            ("manage.py", ""),
            (
                "shop/settings.py",
                "DATABASES = postgres() if C.get(\"DB\") == \"postgres\" else sqlite()\n",
            ),
            (
                "shop/urls.py",
                "path(\"health\", views.health),\npath(\"products/\", views.products),\n",
            ),
            (
                "run/a.env",
                "PORT=5001\nDB=sqlite\nDATABASE_URL=postgres://u:hunter2@h/d\n",
            ),
            (
                "run/b.env",
                "PORT=5002\nDB=sqlite\nDATABASE_URL=postgres://u:hunter2@h/d\n",
            ),
            (
                "run/staging.env",
                "PORT=5009\nDB=sqlite\nDATABASE_URL=postgres://u:hunter2@h/d\n",
            ),
        ],
        "Django",
    );
    let ids: Vec<&str> = known.instances.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let staging = known.staging.as_ref().expect("a staging slot");
    assert_eq!(staging.url.yaml, "\"http://127.0.0.1:5009\"");
    assert_eq!(staging.url.at, "run/staging.env:1");
    assert_eq!(yaml(&known.config), "\"run/{instance}.env\"");
    assert_eq!(yaml(&known.switch.key), "DB");
    assert_eq!(at(&known.switch.key), "run/a.env:2");
    assert_eq!(yaml(&known.switch.from), "sqlite");
    assert_eq!(yaml(&known.switch.to), "postgres");
    let env = known.migrate_env.as_deref();
    assert_eq!(env, Some("DB: postgres, DATABASE_URL: \"{target_url}\""));
    let connect = "[pg_isready, \"-h\", \"{runtime_host}\", \"-p\", \"{runtime_port}\"]";
    assert_eq!(yaml(&known.connect), connect);
    assert_eq!(yaml(&known.ready), "\"/health\"");
    assert_eq!(yaml(&known.page), "\"/products/\"");
    assert_eq!(at(&known.page), "shop/urls.py:2");
    let migrate = "[python, manage.py, migrate, \"--noinput\"]";
    assert_eq!(yaml(&known.migrate), migrate);
    assert!(!format!("{known:?}").contains("hunter2"));
}

#[test]
fn a_fleet_of_compose() {
    let compose = "services:\n  web-1:\n    build: .\n    env_file: env/web-1.env\n    ports: [\"5001:3000\"]\n    healthcheck: { test: curl http://localhost:3000/up }\n  web-2:\n    build: .\n    env_file: env/web-2.env\n    ports: [\"5002:3000\"]\n  staging:\n    build: .\n    env_file: env/staging.env\n    ports: [\"5009:3000\"]\n";
    let url = "DATABASE_URL=sqlite:////srv/shop/app.db\n";
    let known = folder(
        &[
            ("compose.yaml", compose),
            ("env/web-1.env", url),
            ("env/web-2.env", url),
            (
                "package.json",
                "{ \"dependencies\": { \"express\": \"5\" } }",
            ),
        ],
        "Sequelize",
    );
    assert_eq!(
        known.run_by,
        RunBy::Compose(Found::text("compose.yaml", "compose.yaml:5"))
    );
    assert_eq!(known.instances.len(), 2);
    assert!(known.staging.is_some());
    assert_eq!(yaml(&known.config), "\"env/{instance}.env\"");
    assert_eq!(yaml(&known.switch.from), "\"{source_url}\"");
    assert_eq!(yaml(&known.switch.to), "\"{runtime_url:postgresql}\"");
    assert_eq!(yaml(&known.ready), "\"/up\"");
    assert_eq!(known.log_rules, Some("node"));
    let looked_at = "package.json".to_owned();
    assert_eq!(known.figures, Figures::None { looked_at });
    let env = known.migrate_env.as_deref();
    assert_eq!(env, Some("DATABASE_URL: \"{target_url:postgresql}\""));
}

#[test]
fn a_fleet_of_systemd() {
    let unit = "[Service]\nEnvironmentFile=/etc/shop/%i.env\nExecStart=/srv/shop/venv/bin/gunicorn --bind 127.0.0.1:%i shop:app\n";
    let known = folder(
        &[
            ("deploy/shop@.service", unit),
            (
                "deploy/shop.target",
                "[Unit]\nWants=shop@5001.service shop@5002.service\n",
            ),
            (
                "requirements.txt",
                "Flask\nSQLAlchemy\npsycopg2-binary\nprometheus-flask-exporter\n",
            ),
            (".env", "DATABASE_URL=sqlite:///app.db\n"),
            ("app.py", "@app.route(\"/healthz\")\n"),
        ],
        "Alembic",
    );
    assert_eq!(
        known.run_by,
        RunBy::Systemd(Found::text(
            "shop@{instance}.service",
            "deploy/shop@.service:3"
        ))
    );
    let urls: Vec<&str> = known
        .instances
        .iter()
        .map(|s| s.url.yaml.as_str())
        .collect();
    assert_eq!(
        urls,
        ["\"http://127.0.0.1:5001\"", "\"http://127.0.0.1:5002\""]
    );
    assert_eq!(yaml(&known.config), "\"/etc/shop/{instance}.env\"");
    assert_eq!(yaml(&known.switch.from), "\"sqlite:///app.db\"");
    assert_eq!(known.notes.len(), 1, "{:?}", known.notes);
    assert_eq!(yaml(&known.ready), "\"/healthz\"");
    assert_eq!(known.log_rules, Some("python"));
}

#[test]
fn units_without_a_template_are_an_instance_each_and_have_one_path_or_none() {
    let unit = |n: u8, file: &str| {
        format!(
            "[Service]\nEnvironmentFile=/etc/{file}.env\nExecStart=gunicorn -b 127.0.0.1:500{n} a\n"
        )
    };
    let units = |first: &str, second: &str| {
        folder(
            &[
                ("deploy/shop-1.service", unit(1, first).as_str()),
                ("deploy/shop-2.service", unit(2, second).as_str()),
            ],
            "Django",
        )
    };
    let known = units("shop-1", "shop-2");
    let ids: Vec<&str> = known.instances.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["shop-1", "shop-2"]);
    assert_eq!(yaml(&known.config), "\"/etc/{instance}.env\"");
    assert_eq!(known.notes.len(), 1, "{:?}", known.notes);
    // One path would change the configuration of one of them alone.
    assert_eq!(units("a", "b").config, None);
}

#[test]
fn the_only_unit_is_restarted_by_its_own_name() {
    let unit = "[Service]\nExecStart=gunicorn -c gunicorn.conf.py shop.wsgi\n";
    let known = folder(
        &[
            ("deploy/shop.service", unit),
            ("gunicorn.conf.py", "bind = \"127.0.0.1:5001\"\n"),
        ],
        "Django",
    );
    let only = &known.instances[0];
    assert_eq!(only.id, "shop");
    assert_eq!(only.url.at, "gunicorn.conf.py:1");
}

#[test]
fn the_env_files_of_services_are_one_path_or_none() {
    let config = |first: &str, second: &str| {
        let compose = format!(
            "services:\n  app:\n    build: .\n    env_file: {first}\n    ports: [\"5001:3000\"]\n  app-2:\n    build: .\n    env_file: {second}\n    ports: [\"5002:3000\"]\n"
        );
        let known = folder(&[("compose.yaml", compose.as_str())], "Django");
        (yaml(&known.config).to_owned(), known.notes.len())
    };
    let pattern = "\"apps/{instance}.env\"".to_owned();
    assert_eq!(config("apps/app.env", "apps/app-2.env"), (pattern, 0));
    assert_eq!(
        config("common.env", "common.env"),
        ("common.env".to_owned(), 0)
    );
    assert_eq!(config("one.env", "two.env"), (String::new(), 1));
}

#[test]
fn a_second_staging_slot_is_no_instance_and_a_user_is_no_address() {
    let own = |port: &str| format!("PORT={port}\nDB_CONNECTION=sqlite\nDB_USERNAME=postgres\n");
    let known = folder(
        &[
            ("run/app.env", own("5001").as_str()),
            ("run/staging-1.env", own("5008").as_str()),
            ("run/staging-2.env", own("5009").as_str()),
        ],
        "Laravel",
    );
    assert_eq!(known.instances.len(), 1);
    assert_eq!(
        known.staging.map(|slot| slot.id).as_deref(),
        Some("staging-1")
    );
    assert!(known.notes[0].contains("staging-2"), "{:?}", known.notes);
    assert_eq!(known.migrate_env.as_deref(), Some("DB_CONNECTION: pgsql"));
}

#[test]
fn one_process_of_dotnet() {
    let known = folder(
        &[
            (
                "appsettings.json",
                "{\n  \"ConnectionStrings\": {\n    \"Shop\": \"Data Source=/srv/shop/app.db\"\n  }\n}\n",
            ),
            ("Program.cs", "app.MapHealthChecks(\"/ready\");\n"),
            (
                "Procfile",
                "web: dotnet Shop.dll --urls http://localhost:5000\n",
            ),
        ],
        "Entity Framework Core",
    );
    assert_eq!(yaml(&known.switch.key), "ConnectionStrings.Shop");
    assert_eq!(at(&known.switch.key), "appsettings.json:3");
    assert_eq!(yaml(&known.config), "appsettings.json");
    assert_eq!(yaml(&known.switch.from), "\"Data Source={source_file}\"");
    assert!(yaml(&known.switch.to).contains("Password={runtime_password}"));
    assert_eq!(known.instances[0].url.yaml, "\"http://127.0.0.1:5000\"");
    assert_eq!(known.migrate_env, None);
    assert_eq!(known.log_rules, Some("dotnet"));
}

#[test]
fn what_tells_little_is_little() {
    for path in [
        ".env.example",
        "web.env.sample",
        "notes.txt",
        "bin/app.dll",
        "src/deep.rs",
    ] {
        assert!(!is_wanted(path), "{path}");
    }
    for path in [
        "bin/app",
        "shop/settings/production.py",
        ".env.production",
        "api/Shop.csproj",
    ] {
        assert!(is_wanted(path), "{path}");
    }
    let nothing = Known {
        folder_was_read: true,
        ..Known::default()
    };
    assert_eq!(folder(&[], "Django"), nothing);
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = env(\"DATABASE_URL\")\n}\n";
    let known = folder(&[("prisma/schema.prisma", schema)], "Prisma");
    assert_eq!(yaml(&known.switch.key), "DATABASE_URL");
    assert_eq!(at(&known.switch.key), "prisma/schema.prisma:3");
    assert_eq!(known.switch.from, None);
    assert_eq!(yaml(&known.switch.to), "\"{runtime_url:postgresql}\"");
    assert_eq!(at(&known.migrate), "prisma/schema.prisma:1");
    let hard = "[alembic]\nsqlalchemy.url = sqlite:///app.db\n";
    let known = folder(&[("alembic.ini", hard)], "Alembic");
    assert_eq!(known.switch.key, None);
    assert!(
        known.notes[0].starts_with("alembic.ini:2: "),
        "{:?}",
        known.notes
    );
}

#[test]
fn a_file_that_instances_share_beside_one_of_staging() {
    let url = "DATABASE_URL=sqlite:////srv/shop/app.db\n";
    let files = [("web/.env", url), ("web/.env.staging", url)];
    let known = folder(&files, "Django");
    assert_eq!(yaml(&known.config), "\"web/env/{instance}.env\"");
    assert_eq!(known.notes.len(), 1, "{:?}", known.notes);
    for part in [
        "ID.env to ../.env for each",
        "staging.env to ../.env.staging",
    ] {
        assert!(known.notes[0].contains(part), "{}", known.notes[0]);
    }
    let known = folder(&files[..1], "Django");
    assert_eq!(yaml(&known.config), "\"web/.env\"");
}

#[test]
fn a_file_that_the_switch_would_pass_over_is_told() {
    let url = "DATABASE_URL=sqlite:////srv/shop/app.db\n";
    let known = folder(&[(".env", url), ("env/web-1.env", url)], "Django");
    assert_eq!(yaml(&known.config), "\".env\"");
    let told = known
        .notes
        .iter()
        .find(|note| note.starts_with("env/web-1.env:1: "));
    assert!(
        told.is_some_and(|note| note.contains("switches .env alone")),
        "{:?}",
        known.notes
    );
}
