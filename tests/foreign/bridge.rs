//! The people of a foreign night, each under an account of the operating system: who they are, and what they type.
//!
//! One account is one person. Run as root, the test lends them accounts that every machine has and that nobody logs in to, so that each
//! command is sent by another user. Run as anybody else, there is one account only: one person then has every role, and the gates ask for one
//! signature each, which is what a team of one would write.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cutover::engine::socket;
use cutover::journal::{EngineState, Folder, Follower};
use cutover::runbook::Role;
use cutover::session::decide::may_start;
use cutover::session::{EvidenceState, LineKind, Phase, Refusal, Session, StepStatus, live};
use rustix::process::Signal;

use super::application::said;
use crate::support;

/// A night that takes longer than this has got stuck.
const LIMIT: Duration = Duration::from_secs(900);

/// An account that a person speaks under.
#[derive(Debug, Clone)]
struct Account {
    name: String,
    /// User and group to become; `None` for the user who runs the test.
    become_ids: Option<(u32, u32)>,
}

/// Who is on the bridge, and the program in their hands.
pub(super) struct Bridge {
    dir: PathBuf,
    program: PathBuf,
    environment: BTreeMap<String, String>,
    accounts: BTreeMap<Role, Account>,
    /// The group that is let into the session's folder; `None` where there is one person only.
    group: Option<String>,
}

impl Bridge {
    /// People who work in this folder with this environment.
    pub(super) fn in_folder(dir: &Path, environment: BTreeMap<String, String>) -> Bridge {
        let me = Account {
            name: socket::user_of_this_process(),
            become_ids: None,
        };
        let mut accounts: BTreeMap<Role, Account> = Role::ALL.map(|role| (role, me.clone())).into();
        let lent = lent_accounts();
        if let Some((_, others)) = &lent {
            let roles = [Role::Engineer, Role::Dba, Role::Qa];
            accounts.extend(roles.into_iter().zip(others.iter().cloned()));
        }
        Bridge {
            program: program_for_all(dir),
            dir: dir.to_owned(),
            environment,
            accounts,
            group: lent.map(|(group, _)| group),
        }
    }

    /// The sections `people` and `bridge` of their runbook.
    pub(super) fn people(&self) -> String {
        let Some(group) = &self.group else {
            let me = &self.accounts[&Role::Engineer].name;
            return format!(
                "people:\n  - {{ id: sam, roles: [release_manager, engineer, dba, qa], user: {me} }}\n"
            );
        };
        let ids = [
            ("manager", Role::ReleaseManager),
            ("engineer", Role::Engineer),
            ("dba", Role::Dba),
            ("qa", Role::Qa),
        ];
        let line = |(id, role): &(&str, Role)| {
            let user = &self.accounts[role].name;
            format!(
                "  - {{ id: {id}, roles: [{}], user: {user} }}\n",
                role.key()
            )
        };
        let people: String = ids.iter().map(line).collect();
        format!("people:\n{people}\nbridge: {{ group: {group} }}\n")
    }

    /// Whether each role is another person.
    pub(super) fn is_a_team(&self) -> bool {
        self.group.is_some()
    }

    /// From now on their environment says something else.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    fn command(&self, role: Role) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.dir)
            .envs(&self.environment)
            .stdin(Stdio::null());
        if let Some((user, group)) = self.accounts[&role].become_ids {
            command.uid(user).gid(group).env("HOME", "/nonexistent");
        }
        command
    }

    /// Types a command as the release manager, in whose environment the runbook's values are. Its exit code, and what it said.
    pub(super) async fn types(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.types_as(Role::ReleaseManager, arguments).await
    }

    async fn types_as(&self, role: Role, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = tokio::process::Command::from(self.command(role));
        command.args(arguments).kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end"));
        let output = output.expect("cutover");
        (output.status.code(), said(&output))
    }

    /// Opens a session with `cutover run --log` and waits until it is there.
    pub(super) async fn opens(&self, runbook: &str) -> Night<'_> {
        let log = std::fs::File::create(self.dir.join("state/run.log")).expect("a log");
        let before = sessions(&self.dir).len();
        let mut command = self.command(Role::ReleaseManager);
        command
            .args(["run", "--log", runbook])
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let mut terminal = command.spawn().expect("cutover");
        let said = || std::fs::read_to_string(self.dir.join("state/run.log")).unwrap_or_default();
        support::until("a session is opened", async || {
            let ended = terminal.try_wait().expect("a process");
            assert!(ended.is_none(), "cutover run ended: {}", said());
            sessions(&self.dir).len() > before
                && cutover::history::session(&newest(&self.dir)).is_ok()
        })
        .await;
        Night {
            bridge: self,
            folder: newest(&self.dir),
            terminal,
        }
    }
}

/// Sessions in a working folder, without its rehearsals.
pub(super) fn sessions(dir: &Path) -> Vec<Folder> {
    let root = dir.join(".cutover");
    let found = Folder::list(&root).unwrap_or_default().into_iter();
    let found = found.filter(|f| !f.session.contains("rehearsal"));
    found.map(|f| f.folder).collect()
}

/// The session that was opened last.
fn newest(dir: &Path) -> Folder {
    let sessions = sessions(dir);
    let begun = |folder: &Folder| {
        let about = std::fs::metadata(folder.dir()).expect("a folder");
        about.created().or(about.modified()).expect("a time")
    };
    let newest = sessions.into_iter().max_by_key(begun);
    newest.expect("a session")
}

/// A session under way, and the terminal that runs its log.
pub(super) struct Night<'b> {
    bridge: &'b Bridge,
    folder: Folder,
    terminal: Child,
}

impl Night<'_> {
    /// Where it stands.
    pub(super) fn session(&self) -> Session {
        cutover::history::session(&self.folder).expect("a session")
    }

    /// Everybody does what is theirs, until this step is under way or the session has ended. `None`: until it has ended.
    pub(super) async fn until(&self, step: Option<&str>) -> Session {
        let begun = Instant::now();
        loop {
            let session = self.session();
            let reached = |id: &str| session.step(id).is_some_and(|s| s.attempt > 0);
            if session.phase != Phase::Open || step.is_some_and(reached) {
                return session;
            }
            if let Some(failed) = session
                .steps
                .iter()
                .find(|s| s.status == StepStatus::Failed)
            {
                return self.why(&format!("{} has failed", failed.id), &session, step);
            }
            assert!(
                begun.elapsed() < LIMIT,
                "the night got stuck: {}",
                self.told(&session)
            );
            self.act(&session).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A failed step that nobody asked for; where somebody did, they look at it themselves.
    fn why(&self, what: &str, session: &Session, step: Option<&str>) -> Session {
        assert!(step.is_some(), "{what}: {}", self.told(session));
        session.clone()
    }

    /// The one thing that somebody would do now.
    async fn act(&self, session: &Session) {
        if let Some(running) = session.current_step() {
            let line = session.charter.steps.iter().find(|l| l.id == running.id);
            if let Some(LineKind::Confirm(roles)) = line.map(|l| &l.kind) {
                for role in roles.iter().filter(|r| !running.confirmed.contains_key(r)) {
                    self.types(*role, &["confirm"]).await;
                }
            }
            return;
        }
        if session.next_step().is_none() {
            let name = &session.charter.session;
            self.types(Role::ReleaseManager, &["complete", "--confirm", name])
                .await;
            return;
        }
        match may_start(session) {
            Ok(step) => {
                self.types(Role::ReleaseManager, &["start", "--step", &step])
                    .await;
            }
            Err(Refusal::NoGo { .. }) => self.sign(session).await,
            Err(_) => {}
        }
    }

    async fn sign(&self, session: &Session) {
        for gate in session.gates().into_iter().filter(|g| !g.green) {
            let red = gate.evidence.iter().any(|e| e.state == EvidenceState::Red);
            assert!(!red, "{} is red: {}", gate.id, self.told(session));
            if gate.evidence_is_green() {
                for role in gate.missing_roles() {
                    self.types(role, &["sign", &gate.id, "--role", role.key()])
                        .await;
                }
            }
        }
    }

    /// Somebody types a command about this session.
    pub(super) async fn types(&self, role: Role, arguments: &[&str]) -> (Option<i32>, String) {
        let session = self.folder.session();
        let arguments: Vec<&str> = match arguments {
            [command, argument, rest @ ..] if !argument.starts_with('-') => {
                let with = [*command, *argument, session.as_str()];
                with.into_iter().chain(rest.iter().copied()).collect()
            }
            [command, rest @ ..] => {
                let with = [*command, session.as_str()];
                with.into_iter().chain(rest.iter().copied()).collect()
            }
            [] => Vec::new(),
        };
        self.bridge.types_as(role, &arguments).await
    }

    /// Somebody rolls it back, and it has ended.
    pub(super) async fn roll_back(&self) -> Session {
        let name = self.folder.session();
        let arguments = [
            "rollback",
            "--confirm",
            &name,
            "--reason",
            "pages look wrong",
        ];
        let (code, said) = self.types(Role::ReleaseManager, &arguments).await;
        assert_eq!(code, Some(4), "{said}");
        self.session()
    }

    /// Somebody asks for a rollback. The exit code, and what was said.
    pub(super) async fn rolls_back_as(&self, role: Role) -> (Option<i32>, String) {
        let name = self.folder.session();
        self.types(role, &["rollback", "--confirm", &name]).await
    }

    /// The process that runs it, or ran it last.
    pub(super) fn last_engine(&self) -> Option<u32> {
        let engine = Follower::open(&self.folder).and_then(|f| f.engine());
        match engine.expect("a journal") {
            EngineState::Alive { holder, .. } => holder.map(|holder| holder.pid),
            EngineState::Died { holder } | EngineState::Ended { holder } => Some(holder.pid),
            EngineState::Never => None,
        }
    }

    /// Kills its engine, and gives its process.
    pub(super) async fn kill_engine(&self) -> u32 {
        let pid = self.last_engine().expect("an engine");
        killed(pid).await;
        pid
    }

    /// Kills its guard. A team has one.
    pub(super) async fn kill_guard(&self) {
        if !self.bridge.is_a_team() {
            return;
        }
        let mut guards = Vec::new();
        support::until("a guard stands beside the engine", async || {
            guards = self.guards();
            !guards.is_empty()
        })
        .await;
        for guard in guards {
            killed(guard).await;
        }
    }

    fn guards(&self) -> Vec<u32> {
        let dir = self.folder.dir().display().to_string();
        let mut guards = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let arguments: Vec<&str> = line.split('\0').collect();
            if arguments.contains(&"guard")
                && arguments
                    .iter()
                    .any(|a| dir.ends_with(a.trim_start_matches("./")) && a.len() > 1)
            {
                guards.push(pid);
            }
        }
        guards
    }

    /// How the terminal of `cutover run` has ended.
    pub(super) async fn terminal_ended(&mut self) -> ExitStatus {
        let mut ended = None;
        support::until("the terminal of cutover run ends", async || {
            ended = self.terminal.try_wait().expect("a process");
            ended.is_some()
        })
        .await;
        ended.expect("a status")
    }

    /// What there is to read about it, for whoever reads why a test failed.
    pub(super) fn told(&self, session: &Session) -> String {
        let outcomes = session
            .steps
            .iter()
            .filter_map(|s| Some(format!("{}: {}", s.id, s.outcome.as_ref()?.summary)));
        let log = std::fs::read_to_string(self.bridge.dir.join("state/run.log"));
        let outcomes: Vec<String> = outcomes.collect();
        let checklist: Option<serde_json::Value> = Follower::open(&self.folder)
            .ok()
            .and_then(|f| f.board(live::key::CHECKLIST).ok()?);
        format!(
            "{}\n{checklist:?}\n{}",
            outcomes.join("\n"),
            log.unwrap_or_default()
        )
    }
}

impl Drop for Night<'_> {
    fn drop(&mut self) {
        let _ = self.terminal.kill();
        let _ = self.terminal.wait();
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // A test that fails leaves engines that would go on.
        for found in Folder::list(&self.dir.join(".cutover")).unwrap_or_default() {
            let engine = Follower::open(&found.folder).and_then(|f| f.engine());
            if let Ok(EngineState::Alive {
                holder: Some(holder),
                ..
            }) = engine
            {
                support::signal(holder.pid, Signal::KILL);
            }
        }
    }
}

/// Kills a process, and returns once it is dead: until then its socket takes connections that nobody answers.
async fn killed(pid: u32) {
    support::signal(pid, Signal::KILL);
    support::until("what was killed is dead", async || !support::is_alive(pid)).await;
}

/// Three accounts with one group in common, and that group: what system accounts have, where there are such and this user may become them.
fn lent_accounts() -> Option<(String, Vec<Account>)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let mut by_group: BTreeMap<u32, Vec<Account>> = BTreeMap::new();
    for line in users.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, user, group, ..] = fields.as_slice() else {
            continue;
        };
        let (Ok(user), Ok(group)) = (user.parse(), group.parse()) else {
            continue;
        };
        if user != 0 && group != 0 {
            by_group.entry(group).or_default().push(Account {
                name: (*name).to_owned(),
                become_ids: Some((user, group)),
            });
        }
    }
    let (number, accounts) = by_group.into_iter().find(|(_, found)| found.len() >= 3)?;
    let name = groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_it = fields.get(2)?.parse() == Ok(number);
        is_it.then(|| fields[0].to_owned())
    })?;
    Some((name, accounts))
}

/// The program where every account can run it: the folder that it is built in may be one that only its owner enters.
fn program_for_all(dir: &Path) -> PathBuf {
    let program = dir.join("bin/cutover");
    support::copy_program(support::cutover(), &program);
    program
}
