//! The sandbox in which nights are played one after the other, and what each of them must leave behind.

use cutover::cli::demo::Night;
use cutover::cli::operators;
use cutover::cli::operators::Script;
use cutover::demo::faults::{self, Fault};
use cutover::demo::sandbox::{Options, Sandbox};
use cutover::feed::capture;
use cutover::journal::Folder;
use cutover::session::facts::{Counts, Salvage};
use cutover::session::{RehearsalEvidence, Session};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::SPEED;
use crate::support;

/// A sandbox in which nights are played.
pub(super) struct Stage {
    pub(super) sandbox: Sandbox,
    pub(super) night: Night,
    pub(super) evidence: RehearsalEvidence,
    nights: u32,
    /// Slugs of writes that went with a dead PostgreSQL, and that the product said it may lack.
    lost: BTreeSet<String>,
    /// Whether somebody ends maintenance in this night.
    pub(super) ends_maintenance: bool,
}

impl Stage {
    /// A sandbox and a rehearsal in it. The runbook is the reference one, with shorter waits. Limits that only a slow machine meets are longer, for
    /// at this speed its minutes are seconds: the rules' own tests have them.
    pub(super) async fn set(window: &str) -> Stage {
        Stage::set_with(&[("window: 60m", window)], &[], &[]).await
    }

    /// With further changes to the runbook, programs of its own in the sandbox's folder, and variables beside the sandbox's.
    pub(super) async fn set_with(
        changes: &[(&str, &str)],
        programs: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Stage {
        let options = Options {
            instances: 6,
            rate: 60,
            speed: SPEED as u32,
            ..Options::small(support::cutover())
        };
        let sandbox = tokio::task::spawn_blocking(|| Sandbox::start(options))
            .await
            .unwrap()
            .expect("a sandbox");
        let mut runbook = include_str!("../../runbook.yaml").to_owned();
        for (long, short) in [
            ("quiet: 5s ", "quiet: 1s "),
            ("verify_within: 15m ", "verify_within: 2h "),
            ("rto: 10m ", "rto: 60m "),
            // An instance that takes 5 seconds to start. No night here is about it, and it would fire before what a night is about.
            ("below: 1, for: 5m", "below: 1, for: 60m"),
            ("window: 5m, start: auto", "window: 2m, start: auto"),
            ("stays_green: 10m", "stays_green: 2m"),
        ]
        .iter()
        .chain(changes)
        {
            assert!(
                runbook.contains(long),
                "the reference runbook has no {long:?}"
            );
            runbook = runbook.replace(long, short);
        }
        for (name, text) in programs {
            let path = sandbox.dir().join(name);
            std::fs::write(&path, text).expect("a program");
            std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("its mode");
        }
        let file = sandbox.layout().environment_file();
        let mut environment = std::fs::read_to_string(&file).expect("the variables");
        for (name, value) in variables {
            environment.push_str(&format!("{name}='{value}'\n"));
        }
        std::fs::write(&file, environment).expect("the variables");
        let night = Night::new(sandbox.dir(), &runbook, SPEED).with_program(support::cutover());
        let evidence = night.rehearse().await.expect("a rehearsal");
        Stage {
            sandbox,
            night,
            evidence,
            nights: 0,
            lost: BTreeSet::new(),
            ends_maintenance: false,
        }
    }

    /// Plays a night to its end.
    pub(super) async fn play(&mut self, fault: Option<(Fault, String)>) -> (Folder, Session) {
        self.play_with(fault, |_| ()).await
    }

    /// The same; `meanwhile` has the session's folder, in a thread of its own.
    pub(super) async fn play_with(
        &mut self,
        fault: Option<(Fault, String)>,
        meanwhile: impl FnOnce(&Folder) + Send + 'static,
    ) -> (Folder, Session) {
        self.nights += 1;
        let wait_before = fault.as_ref().map(|(_, step)| step.as_str());
        let folder = self
            .night
            .open(self.nights, self.evidence.clone(), wait_before)
            .await
            .expect("a session");
        let beside = folder.clone();
        let aside = tokio::task::spawn_blocking(move || meanwhile(&beside));
        let script = Script {
            restarts: 20,
            ..self.night.script(fault)
        };
        let session = operators::play(&folder, script)
            .await
            .expect("the night ends");
        aside.await.expect("what was to be done meanwhile");
        support::assert_known_files(&folder);
        // Restarts, a target that hangs, a rollback: none of it changes whether the application is in maintenance.
        let mut alarms = session.notes.iter().map(|(_, _, text)| text);
        let false_alarm = alarms.find(|text| text.contains("in maintenance"));
        assert!(
            false_alarm.is_none() || self.ends_maintenance,
            "{false_alarm:?}"
        );
        (folder, session)
    }

    /// What a night left in PostgreSQL and in the processes goes, so that the next one begins on clean ground.
    pub(super) async fn clear(&self) {
        let dir = self.sandbox.dir().to_owned();
        tokio::task::spawn_blocking(move || faults::heal(&dir))
            .await
            .unwrap()
            .expect("faults are taken back");
        let url = self.sandbox.environment().unwrap()["TARGET_URL"].clone();
        support::empty(&url).await;
    }

    /// The writes that users were told had been stored, the oldest first.
    pub(super) fn acknowledged(&self) -> Vec<Value> {
        acknowledged_in(&self.sandbox.layout().acknowledged())
    }

    /// So many of the writes from this one on were stored in PostgreSQL.
    pub(super) fn on_postgres_since(&self, before: usize) -> usize {
        let writes = self.acknowledged();
        let night = writes[before..].iter();
        night.filter(|w| w["provider"] == "Postgres").count()
    }

    /// Nothing in the target notes any more what is written there: the engine that ended the session takes that away.
    pub(super) async fn assert_nothing_notes_writes(&self) {
        let client = support::client(&self.sandbox.environment().unwrap()["TARGET_URL"]).await;
        support::until("what noted writes to PostgreSQL is gone", async || {
            capture::left(&client).await.expect("an answer").is_empty()
        })
        .await;
    }

    /// Every instance answers from SQLite, which holds every row of the backup and, once, every write that was ever acknowledged, by whichever
    /// database. What went with a dead PostgreSQL was acknowledged after the moment that the product names.
    pub(super) async fn assert_on_sqlite(&mut self, session: &Session) {
        for n in 1..=6 {
            let url = &self.sandbox.environment().unwrap()[&format!("APP_{n}")];
            let ready: Value = support::http()
                .get(format!("{url}/ready"))
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            assert_eq!(ready["provider"], "Sqlite", "app-{n}: {ready}");
        }
        let live = rusqlite::Connection::open(self.sandbox.layout().live()).unwrap();
        let count = |table: &str| -> i64 {
            live.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |r| {
                r.get(0)
            })
            .unwrap()
        };
        let counts = session.fact().unwrap();
        for counted in counts.map_or_else(Vec::new, |Counts(tables)| tables) {
            let (name, before) = (&counted.table, counted.rows.cast_signed());
            assert!(
                count(name) >= before,
                "{name} has {} rows, had {before}",
                count(name)
            );
        }
        let named = lacks_after(session);
        let acknowledged = self.acknowledged();
        let mut wrong = Vec::new();
        for write in &acknowledged {
            let slug = write["slug"].as_str().unwrap();
            let sql = r#"SELECT count(*) FROM "ToolContents" WHERE "Slug" = ?1"#;
            let found: i64 = live.query_row(sql, [slug], |r| r.get(0)).unwrap();
            let is_named = || {
                let at = write["time"].as_str().unwrap();
                let after = |moment: &String| at >= moment.as_str();
                write["provider"] == "Postgres" && named.as_ref().is_some_and(after)
            };
            match found {
                1 => {}
                0 if self.lost.contains(slug) => {}
                0 if is_named() => {
                    self.lost.insert(slug.to_owned());
                }
                _ => wrong.push((write, found)),
            }
        }
        for (write, found) in &wrong {
            let id = write["toolId"].as_i64().unwrap();
            let sql =
                r#"SELECT "Slug" || ' of ' || "CreatedAt" FROM "ToolContents" WHERE "Id" = ?1"#;
            let row: Result<String, _> = live.query_row(sql, [id], |r| r.get(0));
            let others = acknowledged.iter().filter(|w| w["toolId"] == id).count();
            eprintln!(
                "{write} is there {found} times\nits id {id} was acknowledged {others} times and now is {row:?}"
            );
        }
        assert!(
            wrong.is_empty(),
            "{} acknowledged writes are not there once; what is named is after {named:?}",
            wrong.len()
        );
    }
}

/// The writes in such a list, which somebody may be adding to.
pub(super) fn acknowledged_in(list: &Path) -> Vec<Value> {
    let list = std::fs::read_to_string(list).unwrap_or_default();
    let whole = list.rfind('\n').map_or("", |end| &list[..end]);
    let writes = whole.lines().map(serde_json::from_str);
    writes.collect::<Result<_, _>>().expect("JSON lines")
}

/// The moment after which rows may be lacking, by the session's own word; `None` where it says that it has all of them.
fn lacks_after(session: &Session) -> Option<String> {
    let record: Option<Salvage> = session.rollback_fact().expect("what was kept");
    let lacks = record.map_or_else(Vec::new, |record| record.lacks);
    lacks.iter().find_map(|lack| {
        let (_, rest) = lack.split_once("what was committed after ")?;
        let (moment, _) = rest.split_once(" is not in here")?;
        Some(moment.to_owned())
    })
}
