//! Production is known in every form that programs take. Not in here: what a rehearsal refuses for it (`rehearsal`).

use super::*;

fn production(target: &str) -> Production {
    Production {
        databases: Database::of(target).into_iter().collect(),
        source: "/srv/app/live.db".into(),
        instances: vec![("app-1".into(), "http://10.0.0.1:5001".into())],
        names: vec!["APP_1".into()],
    }
}

#[test]
fn production_is_known_in_every_form_that_programs_take() {
    let production = production("postgres://owner:s%2Fcret@db.internal:5433/app?sslmode=require");
    for text in [
        "postgres://owner:s%2Fcret@db.internal:5433/app",
        "DATABASE_URL=postgresql+psycopg://x@DB.internal:5433/app?a=b",
        "jdbc:postgresql://db.internal:5433/app",
        "host=db.internal port=5433 dbname=app user=owner",
        "Host=db.internal;Port=5433;Database=app;Username=owner",
        "sqlite:////srv/app/live.db",
        "cp /srv/app/live.db-wal x",
        "curl http://10.0.0.1:5001/admin/flush",
        "sqlite3 live.db \"delete from t\"",
        "sqlite3 ./app/live.db .tables",
        "DB=../app/live.db",
        "https://10.0.0.1:5001",
        "nc 10.0.0.1:5001",
    ] {
        let expected = !text.contains("-wal");
        assert_eq!(production.named_in(text).is_some(), expected, "{text}");
    }
    for text in [
        "postgres://owner@db.internal:5433/app_scratch",
        "postgres://owner@db.internal:5499/app",
        "postgres://owner@other.db.internal:5433/app",
        "postgres://owner@db.internal:5433/scratch",
        "host=db.internal dbname=scratch",
        "/srv/app/live.db.rehearsal",
        "http://10.0.0.1:50011/",
        "http://110.0.0.1:5001/",
        "10.0.0.1:50011",
        "sqlite3 rehearsal/live.db",
        "cp olive.db x",
        "sqlite3 /tmp/live.db",
    ] {
        assert_eq!(production.named_in(text), None, "{text}");
    }
}

#[test]
fn a_socket_and_this_host_have_several_names() {
    let here = production("postgres://o@localhost/app");
    assert!(here.named_in("postgres://o@127.0.0.1:5432/app").is_some());
    assert!(here.named_in("postgres://o@[::1]/app").is_some());
    let socket = production("postgres://o@%2Frun%2Fpg:6/app");
    assert!(
        socket
            .named_in("postgres://o@/app?host=/run/pg&port=6")
            .is_some()
    );
    assert!(socket.named_in("host=/run/pg port=6 dbname=app").is_some());
    assert!(
        socket
            .named_in("host=/run/pg port=6 dbname=scratch")
            .is_none()
    );
}

#[test]
fn a_configuration_that_leads_there_is_known_by_one_setting_or_by_two() {
    let production = production("postgres://owner:s3cret@db.internal:5433/app");
    for (text, told) in [
        (
            "# x\nA=1\nexport DATABASE_URL='postgres://x@db.internal:5433/app'\n",
            Some("DATABASE_URL names the target's database"),
        ),
        (
            "DB_HOST=db.internal\nDB_PORT=5433\nDB_NAME=app",
            Some("DB_HOST and DB_NAME name the target's database"),
        ),
        (
            "database:\n  host: db.internal\n  database: \"app\"",
            Some("host and database name the target's database"),
        ),
        (
            "sqlite = /srv/app/live.db",
            Some("sqlite names the live SQLite file"),
        ),
        (
            "{\"dsn\": \"host=db.internal port=5433 dbname=app\"}",
            Some("{\"dsn names the target's database"),
        ),
        ("DB_HOST=db.internal\nDB_PORT=5499\nDB_NAME=app", None),
        ("DB_HOST=db.internal\nDB_NAME=scratch\nAPP_NAME=app", None),
        ("DB_HOST=db.internal\nDB_USER=app\nDB_NAME=scratch", None),
        ("# DATABASE_URL=postgres://x@db.internal:5433/app", None),
    ] {
        assert_eq!(production.led_to_by_file(text).as_deref(), told, "{text}");
    }
}

#[test]
fn variables_that_lead_there_are_known_by_name_and_by_value() {
    let production = production("postgres://owner:s3cret@db.internal:5433/app");
    for (name, value) in [
        ("APP_1", "whatever"),
        ("PGHOST", "elsewhere"),
        ("PGSERVICE", "x"),
        ("DATABASE_URL", "postgres://owner@db.internal:5433/app"),
        ("SETTINGS", "{\"dsn\": \"host=db.internal dbname=app\"}"),
        ("DB_HOST", "db.internal"),
        ("ENDPOINT", "db.internal:5433"),
        ("DB_NAME", "app"),
        ("POSTGRES_USER", "owner"),
        ("SECRET", "s3cret"),
        ("SQLITE_PATH", "/srv/app/live.db"),
    ] {
        assert!(production.is_led_to_by(name, value), "{name}={value}");
    }
    for (name, value) in [
        ("PATH", "/srv/app"),
        ("HOME", "/home/app"),
        ("APP_NAME", "app"),
        ("PGSSLMODE", "require"),
        ("SCRATCH_URL", "postgres://owner@db.internal:5433/scratch"),
        ("DB_NAME", "scratch"),
    ] {
        assert!(!production.is_led_to_by(name, value), "{name}={value}");
    }
}
