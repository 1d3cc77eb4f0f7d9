//! A rehearsal that does not come to its end: Ctrl-C, `kill -9` of who drives it, `kill -9` of everything; a second one beside it, and a
//! night beside one. In each case what every command says of a session that is over.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use cutover::demo::sandbox::{Options, Sandbox};
use cutover::journal::holder::read_holder;
use cutover::journal::{Folder, is_engine_alive};
use rustix::process::Signal;

use crate::support;

/// A sandbox whose runbook is rehearsed as any runbook is: by the person of this account.
struct Stage {
    sandbox: Sandbox,
    own_config: String,
}

/// A rehearsal in a process of its own, and what it has said so far.
struct Rehearsal {
    process: Child,
    said: Arc<Mutex<String>>,
}

impl Stage {
    fn set() -> Stage {
        let options = Options {
            instances: 6,
            ..Options::small(support::cutover())
        };
        let sandbox = Sandbox::start(options).expect("a sandbox");
        let user = cutover::engine::socket::user_of_this_process();
        let runbook = include_str!("../../runbook.yaml")
            .replace("user: robin", &format!("user: {user}"))
            .replace("window: 5m, start: auto", "window: 1s, start: auto")
            .replace("quiet: 5s ", "quiet: 1s ")
            .replace(
                "unpoint: { command: [\"${APPCTL}\",",
                "unpoint: { command: [sh, -c, 'test ! -e stuck && exec \"$0\" \"$@\"', \"${APPCTL}\",",
            );
        assert!(runbook.contains("test ! -e stuck"));
        std::fs::write(sandbox.dir().join("runbook.yaml"), runbook).unwrap();
        let own_config = std::fs::read_to_string(sandbox.layout().instance_config("staging"));
        Stage {
            own_config: own_config.unwrap(),
            sandbox,
        }
    }

    /// From now on P3 watches for a minute, the longest in a rehearsal: who interrupts one that has come to P3 meets it before its freeze.
    fn watch_for_longer(&self) {
        let path = self.sandbox.dir().join("runbook.yaml");
        let runbook = std::fs::read_to_string(&path).unwrap();
        let longer = runbook.replace("window: 1s, start: auto", "window: 5m, start: auto");
        assert_ne!(longer, runbook);
        std::fs::write(path, longer).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(support::cutover());
        command
            .args(arguments)
            .current_dir(self.sandbox.dir())
            .envs(self.sandbox.environment().unwrap())
            .stdin(Stdio::null());
        command
    }

    fn begin(&self) -> Rehearsal {
        let mut process = self
            .command(&["rehearse"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (BufReader::new(process.stderr.take().unwrap()), said.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                heard.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Rehearsal { process, said }
    }

    /// What a command answers and says.
    fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    }

    /// That every command which comes too late for a session says so in one sentence.
    fn is_told_to_be_over(&self, name: &str, how: &str) {
        for late in [
            &["status", name][..],
            &["start", name],
            &["rollback", name, "--confirm", name],
            &["run", "--log", "--session", name],
        ] {
            let (code, said) = self.says(late);
            assert!(said.contains(how), "{late:?}: {said}");
            assert!(
                !said.contains("orders.json") && !said.contains("next: "),
                "{late:?}: {said}"
            );
            let is_only_looking = late[0] == "status";
            assert_eq!(code, Some(i32::from(!is_only_looking)), "{late:?}: {said}");
        }
    }

    /// A night that nobody looks at: its name.
    async fn begin_a_night(&self) -> String {
        let mut night = self.command(&["run", "--log"]);
        let night = night.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut night = night.unwrap();
        let root = self.sandbox.dir().join(".cutover");
        let opened = || {
            let found = Folder::list(&root).unwrap_or_default().into_iter();
            found
                .map(|f| f.session)
                .find(|name| !name.contains("-rehearsal-"))
        };
        support::until("a night is open", async || {
            opened().is_some_and(|name| {
                Folder::open_at(&root.join(name))
                    .is_ok_and(|f| f.socket_path().exists() && is_engine_alive(&f).unwrap_or(false))
            })
        })
        .await;
        night.kill().unwrap();
        let said = night.wait_with_output().unwrap().stderr;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!said.contains("resuming"), "{said}");
        opened().unwrap()
    }

    fn session(&self, n: u32) -> PathBuf {
        let root = self.sandbox.dir().join(".cutover");
        let names = std::fs::read_dir(&root).unwrap().flatten();
        let mut dirs = names.map(|entry| entry.path());
        let ending = format!("-rehearsal-{n}");
        let is_it = |dir: &PathBuf| dir.to_string_lossy().ends_with(&ending);
        dirs.find(is_it).unwrap_or_else(|| root.join("none"))
    }

    fn staging_is_its_own(&self) -> bool {
        let config = self.sandbox.layout().instance_config("staging");
        std::fs::read_to_string(config).is_ok_and(|text| text == self.own_config)
    }

    /// Nothing of the rehearsal is left: no engine, no file with the environment's values, no lent slot.
    async fn is_undone(&self, dir: &Path) {
        let engine = || Folder::open_at(dir).is_ok_and(|f| is_engine_alive(&f).unwrap_or(true));
        support::until("the rehearsal is undone", async || {
            !engine() && !dir.join("orders.json").exists() && self.staging_is_its_own()
        })
        .await;
    }
}

impl Rehearsal {
    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Its words are read in a thread of their own: also those of one that has ended may be yet to come.
    async fn until_it_says(&self, what: &str) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(180);
        while !self.said().contains(what) {
            assert!(
                std::time::Instant::now() < deadline,
                "no {what:?} in:\n{}",
                self.said()
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        support::until("the rehearsal ends", async || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.and_then(|s| s.code())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_rehearsal_is_undone_by_whoever_is_left() {
    let stage = Stage::set();
    let mut first = stage.begin();
    first.until_it_says("A2   started").await;
    assert!(!stage.staging_is_its_own());

    // A second one is refused, and told where the first is.
    let second = stage.command(&["rehearse"]).output().unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{words}");
    says!(words, &format!("process {}", first.process.id()));
    assert!(!stage.session(2).exists());
    let (code, said) = stage.says(&["run", "--log"]);
    assert!(said.contains("a rehearsal is under way"), "{said}");
    assert_eq!(code, Some(3), "{said}");

    // Ctrl-C: rolled back, engine ended, the slot given back, exit code 1.
    support::signal(first.process.id(), Signal::INT);
    assert_eq!(first.ended().await, Some(1), "{}", first.said());
    for said in ["rolled back", "the staging slot is back", "interrupted"] {
        first.until_it_says(said).await;
    }
    stage.is_undone(&stage.session(1)).await;
    stage.watch_for_longer();

    // `kill -9` of who drives it: its engine undoes it.
    let mut third = stage.begin();
    third.until_it_says("P3   started").await;
    let dir = stage.session(2);
    support::signal(third.process.id(), Signal::KILL);
    third.process.wait().unwrap();
    stage.is_undone(&dir).await;

    // `kill -9` of both: the next one undoes it.
    let mut fourth = stage.begin();
    fourth.until_it_says("P3   started").await;
    let dir = stage.session(3);
    let engine = read_holder(&Folder::open_at(&dir).unwrap()).unwrap().pid;
    support::signal(engine, Signal::STOP);
    support::signal(fourth.process.id(), Signal::KILL);
    fourth.process.wait().unwrap();
    support::signal(engine, Signal::KILL);
    assert!(dir.join("orders.json").exists() && !stage.staging_is_its_own());
    let status = stage.command(&["status"]).output().unwrap();
    let words = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(words.contains("-rehearsal-3 was interrupted"), "{words}");
    let mut fifth = stage.begin();
    fifth.until_it_says("-rehearsal-3 was interrupted").await;
    fifth.until_it_says("the staging slot is back").await;
    assert!(!dir.join("orders.json").exists());
    fifth.until_it_says("P1   started").await;
    support::signal(fifth.process.id(), Signal::HUP);
    assert_eq!(fifth.ended().await, Some(1), "{}", fifth.said());
    stage.is_undone(&stage.session(4)).await;

    over_is_over(&stage).await;
    a_slot_that_came_back_another_way(&stage).await;
    no_rehearsal_beside_a_night(&stage).await;
}

fn name_of(dir: &Path) -> String {
    dir.file_name().unwrap().to_string_lossy().into_owned()
}

/// One that was interrupted before its freeze is over, with nothing to roll back.
async fn over_is_over(stage: &Stage) {
    let dir = stage.session(2);
    let name = name_of(&dir);
    stage.is_told_to_be_over(&name, "is a rehearsal that was interrupted: it is over");
    let (code, said) = stage.says(&["report", &name, "--sheet"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("it is over") && !said.contains("orders.json"),
        "{said}"
    );
    let (code, said) = stage.says(&["close", &name]);
    assert_eq!(code, Some(0), "{said}");
    stage.is_told_to_be_over(&name, "was interrupted, and is closed: it is over");
    stage.is_told_to_be_over(&name_of(&stage.session(1)), "that has ended: it is over");
}

/// `unpoint` fails, and goes on failing: a later one that goes well counts for the earlier, and so does a person's word.
async fn a_slot_that_came_back_another_way(stage: &Stage) {
    let stuck = stage.sandbox.dir().join("stuck");
    let lent = |n| format!("still lent to the rehearsal {}", name_of(&stage.session(n)));
    let mut sixth = stage.begin();
    sixth.until_it_says("P1   started").await;
    std::fs::write(&stuck, "").unwrap();
    support::signal(sixth.process.id(), Signal::INT);
    sixth.ended().await;
    sixth.until_it_says(&lent(5)).await;

    let mut seventh = stage.begin();
    seventh.until_it_says(&lent(5)).await;
    seventh.until_it_says("P1   started").await;
    std::fs::remove_file(&stuck).unwrap();
    support::signal(seventh.process.id(), Signal::INT);
    seventh.ended().await;
    let too = format!("is back, from {} too", name_of(&stage.session(5)));
    seventh.until_it_says(&too).await;
    for n in [5, 6] {
        stage.is_undone(&stage.session(n)).await;
    }

    // What the slot was lent by is gone, so that nobody can run `unpoint`: a person says that it is back.
    let dir = stage.session(6);
    std::fs::write(dir.join("rehearsal.json"), "\"begun\"").unwrap();
    let name = name_of(&dir);
    let not_undone = format!("{name} was interrupted, and what it did is not undone yet");
    assert!(stage.says(&["status", &name]).1.contains(&not_undone));
    let (code, said) = stage.says(&["close", &name]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("OPEN the staging slot"), "{said}");
    assert!(!stage.says(&["status", &name]).1.contains(&not_undone));
}

async fn no_rehearsal_beside_a_night(stage: &Stage) {
    let name = stage.begin_a_night().await;
    let dir = stage.sandbox.dir().join(".cutover").join(&name);
    let (code, said) = stage.says(&["rehearse"]);
    assert_eq!(code, Some(1), "{said}");
    let whose = format!("belongs to session {name}, whose folder is");
    for part in [&*whose, &*dir.to_string_lossy(), "Nothing was touched"] {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
    assert!(!stage.session(7).exists() && stage.staging_is_its_own());
    stage.says(&["rollback", &name, "--confirm", &name]);
    let folder = Folder::open_at(&dir).unwrap();
    support::until("its engine ends", async || {
        !is_engine_alive(&folder).unwrap_or(true)
    })
    .await;
    let (code, said) = stage.says(&["start", &name]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is over, it was rolled back"), "{said}");
}
