//! However a sandbox ends, nothing of it is left.

use std::path::PathBuf;

use cutover::demo::control::{self, Request};
use cutover::demo::faults::{self, Fault};
use cutover::demo::sandbox::{self, Lifetime, Options, Sandbox};
use rustix::process::Signal;

use crate::support;

/// Everything that a sandbox consists of, outside itself.
struct Remains {
    processes: Vec<u32>,
    folders: Vec<PathBuf>,
}

impl Remains {
    fn of(sandbox: &Sandbox) -> Self {
        let state = sandbox.state().unwrap();
        let postgres = state.postgres_log.parent().unwrap().to_path_buf();
        let postmaster = std::fs::read_to_string(postgres.join("data/postmaster.pid")).unwrap();
        let mut processes = vec![
            state.pid,
            postmaster.lines().next().unwrap().parse().unwrap(),
        ];
        let status = control::ask(sandbox.dir(), &Request::Status).unwrap();
        let instances = status["instances"].as_object().unwrap().values();
        processes.extend(instances.map(|pid| pid.as_u64().unwrap() as u32));
        let folders = vec![
            sandbox.dir().to_path_buf(),
            state.socket.parent().unwrap().to_path_buf(),
            postgres,
        ];
        assert!(
            folders.iter().all(|folder| folder.is_dir())
                && processes.iter().all(|pid| support::is_alive(*pid))
        );
        Self { processes, folders }
    }

    async fn are_gone(&self) {
        support::until(
            "every process has ended and every folder is gone",
            async || self.have_ended() && self.left().is_empty(),
        )
        .await;
    }

    fn have_ended(&self) -> bool {
        !self.processes.iter().any(|pid| support::is_alive(*pid))
    }

    /// Folders that are still there.
    fn left(&self) -> Vec<&PathBuf> {
        let folders = self.folders.iter();
        folders.filter(|folder| folder.exists()).collect()
    }
}

fn tiny() -> Options {
    Options {
        rows: 500,
        instances: 1,
        rate: 20,
        ..Options::small(support::cutover())
    }
}

#[tokio::test]
async fn stopped() {
    let sandbox = Sandbox::start(tiny()).unwrap();
    let remains = Remains::of(&sandbox);
    sandbox.stop().unwrap();
    assert_eq!(
        remains.left(),
        Vec::<&PathBuf>::new(),
        "it said that it is gone"
    );
    assert!(remains.have_ended());
}

#[tokio::test]
async fn supervisor_killed() {
    let sandbox = Sandbox::start(tiny()).unwrap();
    faults::inject(sandbox.dir(), Fault::SecondWriter).unwrap();
    let remains = Remains::of(&sandbox);
    support::signal(sandbox.supervisor_pid(), Signal::KILL);
    remains.are_gone().await;
}

#[tokio::test]
async fn interrupted() {
    let sandbox = Sandbox::start(tiny()).unwrap();
    let remains = Remains::of(&sandbox);
    support::signal(sandbox.supervisor_pid(), Signal::INT);
    remains.are_gone().await;
}

#[tokio::test]
async fn starter_gone() {
    let sandbox = Sandbox::start(tiny()).unwrap();
    let remains = Remains::of(&sandbox);
    drop(sandbox);
    remains.are_gone().await;
}

#[tokio::test]
async fn nobody_there() {
    let options = Options {
        lifetime: Lifetime::Session,
        // From its start until somebody is there, which takes a busy machine a while.
        idle_limit: std::time::Duration::from_secs(15),
        ..tiny()
    };
    let sandbox = Sandbox::start(options).unwrap();
    let attendance = control::attend(sandbox.dir()).unwrap();
    let remains = Remains::of(&sandbox);
    assert_eq!(
        sandbox::running()
            .iter()
            .filter(|dir| *dir == sandbox.dir())
            .count(),
        1
    );
    drop(sandbox);
    assert!(
        remains.folders[0].exists(),
        "a session's sandbox outlives its starter"
    );
    drop(attendance);
    remains.are_gone().await;
}

#[tokio::test]
async fn stopped_from_elsewhere_with_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let sandbox = Sandbox::start(Options {
        dir: Some(dir.clone()),
        lifetime: Lifetime::Session,
        ..tiny()
    })
    .unwrap();
    let mut remains = Remains::of(&sandbox);
    remains.folders.remove(0);
    sandbox::stop(&dir).unwrap();
    assert_eq!(
        remains.left(),
        Vec::<&PathBuf>::new(),
        "it said that it is gone"
    );
    drop(sandbox);
    remains.are_gone().await;
    assert!(
        dir.join("data/tools.db").exists(),
        "a folder that was asked for stays"
    );
    let again = Sandbox::start(Options {
        dir: Some(dir.clone()),
        ..tiny()
    })
    .unwrap_err();
    assert!(matches!(again, sandbox::Error::NotEmpty { .. }), "{again}");
    assert!(matches!(
        sandbox::stop(&dir).unwrap_err(),
        sandbox::Error::Control(control::Error::NotRunning { .. })
    ));
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = Some(folder.path().to_path_buf());
    let error = Sandbox::start(Options {
        rows: 3,
        dir,
        ..tiny()
    })
    .unwrap_err();
    let reason = "3 rows are too few for the sample application: at least 500";
    assert_eq!(
        error.to_string(),
        format!("the sandbox did not start: {reason}")
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["supervisor.log"]);
}
