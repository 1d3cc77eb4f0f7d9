//! The lending library: a Django project with instances of their own, each configured by one file and served by gunicorn.

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, OnceLock};

use rand::Rng as _;
use serde_json::{Value, json};

use crate::support;

/// Serving slots: three instances and the staging slot.
pub(super) const INSTANCES: [&str; 3] = ["app-1", "app-2", "app-3"];
/// The staging slot.
pub(super) const STAGING: &str = "staging";
/// Ports of the slots: below those that a system gives to whoever asks for any, and above the sandbox's. A slot gets its port when its place is
/// made, listens on it much later, and is stopped and started again; nobody else may be given it in between.
const PORTS: Range<u16> = 30_000..32_768;
/// Who knows it may write during maintenance.
pub(super) const PROBE_TOKEN: &str = "knows-the-maintenance-door";

/// The interpreter that has the packages. Installs what is missing.
pub(super) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = Command::new(here.join("scripts/foreign-programs.sh")).output();
        let made = made.expect("scripts/foreign-programs.sh");
        assert!(made.status.success(), "{}", said(&made));
        here.join("target/foreign/venv/bin/python")
    })
}

/// Both streams of a program that has ended.
pub(super) fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// The library in a folder of its own.
pub(super) struct Application {
    dir: PathBuf,
    ports: Vec<(&'static str, u16)>,
}

impl Application {
    /// Unpacks it, makes its SQLite file by its own migrations, fills it with so many books, and configures every slot for it.
    pub(super) fn unpack(dir: &Path, books: u32, runtime_url: &str) -> Application {
        copy_tree(&django(), dir);
        for folder in ["instances", "data", "state"] {
            std::fs::create_dir(dir.join(folder)).expect("a folder");
        }
        let python = python().display().to_string();
        std::fs::write(dir.join("python"), python).expect("a file");
        std::fs::write(dir.join("lives-with"), std::process::id().to_string()).expect("a file");
        let slots = INSTANCES.into_iter().chain([STAGING]);
        let application = Application {
            dir: dir.to_owned(),
            ports: slots.map(|name| (name, free_port())).collect(),
        };
        for (name, port) in &application.ports {
            let database = if *name == STAGING {
                "postgres"
            } else {
                "sqlite"
            };
            let text = format!(
                "INSTANCE={name}\nPORT={port}\nDB={database}\nSQLITE_FILE={file}\nDATABASE_URL={runtime_url}\n\
                 MAINTENANCE_FILE={maintenance}\nPROBE_TOKEN={PROBE_TOKEN}\nSECRET_KEY=of-the-library\n",
                file = application.file().display(),
                maintenance = dir.join("state/maintenance").display(),
            );
            std::fs::write(application.config(name), text).expect("a configuration");
        }
        let file = application.file().display().to_string();
        application.manage(&["migrate", "-v0"], &[("SQLITE_FILE", &file)]);
        application.manage(&["fill", &books.to_string()], &[("SQLITE_FILE", &file)]);
        application
    }

    /// The live SQLite file.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join("data/library.sqlite3")
    }

    /// The configuration of a slot.
    pub(super) fn config(&self, slot: &str) -> PathBuf {
        self.dir.join(format!("instances/{slot}.env"))
    }

    /// The base URL of a slot.
    pub(super) fn url(&self, slot: &str) -> String {
        let (_, port) = self
            .ports
            .iter()
            .find(|(name, _)| *name == slot)
            .expect("a slot");
        format!("http://127.0.0.1:{port}")
    }

    /// Runs a command of Django's with this environment; it has to succeed.
    pub(super) fn manage(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let mut command = Command::new(python());
        command
            .arg("manage.py")
            .args(arguments)
            .current_dir(&self.dir);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let output = command.envs(environment.iter().copied()).output();
        let output = output.expect("Python");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn app(&self, what: &str, slot: &str) {
        let ran = Command::new(self.dir.join("bin/app"))
            .args([what, slot])
            .output();
        let ran = ran.expect("bin/app");
        assert!(ran.status.success(), "{what} {slot}: {}", said(&ran));
    }

    /// Starts every slot and waits until each answers, healthy or not: the staging slot has no tables yet.
    pub(super) async fn start(&self) {
        for (slot, _) in &self.ports {
            self.app("start", slot);
        }
        for (slot, _) in &self.ports {
            self.answers(slot).await;
        }
    }

    /// Starts one slot alone.
    pub(super) async fn start_slot(&self, slot: &str) {
        self.app("start", slot);
        self.answers(slot).await;
    }

    /// What somebody does by hand: writes the other database into a slot's configuration, restarts it, and looks until it serves from there.
    pub(super) async fn serve_from_postgres(&self, slot: &str) {
        self.configure(slot, "DB=sqlite", "DB=postgres");
        self.app("restart", slot);
        let url = format!("{}/health", self.url(slot));
        support::until(&format!("{slot} serves from PostgreSQL"), async || {
            let Ok(answer) = support::http().get(&url).send().await else {
                return false;
            };
            let health: Value = answer.json().await.unwrap_or_default();
            health["database"] == "postgresql"
        })
        .await;
    }

    /// Replaces a line in a slot's configuration; the slot itself goes on as it is.
    pub(super) fn configure(&self, slot: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config(slot)).expect("a configuration");
        assert!(text.contains(from), "{slot}: {text}");
        let text = text.replace(from, to);
        std::fs::write(self.config(slot), text).expect("a configuration");
    }

    async fn answers(&self, slot: &str) {
        let url = format!("{}/health", self.url(slot));
        support::until(&format!("{slot} answers"), async || {
            support::http().get(&url).send().await.is_ok()
        })
        .await;
    }

    /// Which database serves a slot's requests, by its own word.
    pub(super) async fn database_of(&self, slot: &str) -> String {
        let answer = get(&format!("{}/health", self.url(slot))).await;
        answer["database"].as_str().expect("a name").to_owned()
    }

    /// Which databases serve the instances, each named once.
    pub(super) async fn served_by(&self) -> Vec<String> {
        let mut served_by = Vec::new();
        for instance in INSTANCES {
            served_by.push(self.database_of(instance).await);
        }
        served_by.dedup();
        served_by
    }

    /// Everything that its pages show, but who serves it.
    pub(super) async fn pages(&self, slot: &str) -> Vec<Value> {
        let mut pages = Vec::new();
        for page in [
            "books/",
            "books/book-1/",
            "books/book-2/",
            "books/book-3/",
            "members/",
        ] {
            pages.push(get(&format!("{}/{page}", self.url(slot))).await);
        }
        pages
    }

    /// Everything that its page of a book shows.
    pub(super) async fn book(&self, slot: &str, slug: &str) -> Value {
        get(&format!("{}/books/{slug}/", self.url(slot))).await
    }

    /// A user adds a book. What the application answers.
    pub(super) async fn add_book(&self, slot: &str, slug: &str) -> Value {
        let url = format!("{}/books/", self.url(slot));
        let book = json!({"title": format!("Added as {slug}"), "slug": slug});
        let answer = support::http().post(url).json(&book).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{slug}");
        answer.json().await.expect("JSON")
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        for (slot, _) in &self.ports {
            // A test that failed may not have started it.
            let _ = Command::new(self.dir.join("bin/app"))
                .args(["kill", slot])
                .output();
        }
    }
}

async fn get(url: &str) -> Value {
    let answer = support::http().get(url).send().await;
    let answer = answer.unwrap_or_else(|e| panic!("{url}: {e}"));
    assert_eq!(answer.status(), 200, "{url}");
    answer.json().await.expect("JSON")
}

/// The project as it is in this repository.
fn django() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/django")
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_name() == "__pycache__" {
            continue;
        }
        match entry.file_type().expect("a type").is_dir() {
            true => copy_tree(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("a copy")),
        }
    }
}

/// A port that nobody listens on now, and that this process gives to no other slot.
fn free_port() -> u16 {
    // Another process of these tests begins elsewhere.
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(rand::rng().random_range(0..PORTS.end - PORTS.start)));
    let mut ports = PORTS.map(|_| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        PORTS.start + next % (PORTS.end - PORTS.start)
    });
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
