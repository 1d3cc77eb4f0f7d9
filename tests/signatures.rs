//! Signatures with SSH keys, against the real `ssh-keygen` and a real engine: what counts, what does not, and that OpenSSH alone can
//! check what the journal keeps.

mod cockpit;
mod forged;
mod refused;

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output, Stdio};

use chrono::Utc;
use cutover::engine::protocol::{Answer, Ask, Request};
use cutover::engine::socket;
use cutover::journal::Folder;
use cutover::runbook::{RehearsalPart, Role, Runbook, Signatures, SignedGates};
use cutover::session::decide::statement;
use cutover::session::signing::{Flaw, Proof, Statement};
use cutover::session::{Actor, Command, Refusal, RehearsalEvidence, Session, SshSignature};
use cutover::ssh::{self, Passphrase};

use crate::support::{self, Engine};

/// A folder with a key for each of the people, and the lists that name them.
struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    fn new() -> Keys {
        let keys = Keys {
            dir: tempfile::tempdir().expect("a folder"),
        };
        let people = ["robin", "ada", "quinn"];
        for person in people {
            keys.make(person, "");
        }
        let lines: Vec<String> = people
            .map(|person| keys.listed(person, person, ""))
            .to_vec();
        keys.allow(&lines);
        keys.write("revoked", "");
        keys
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).expect("written");
    }

    /// Makes a key pair `name` and `name.pub`.
    fn make(&self, name: &str, passphrase: &str) -> PathBuf {
        let made = Process::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-C", name, "-N", passphrase, "-f"])
            .arg(self.at(name))
            .status();
        assert!(made.expect("ssh-keygen").success());
        self.at(name)
    }

    fn public(&self, key: &str) -> String {
        let line = std::fs::read_to_string(self.at(&format!("{key}.pub"))).expect("a public key");
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        words.join(" ")
    }

    /// A line of the list of allowed signers.
    fn listed(&self, principal: &str, key: &str, options: &str) -> String {
        format!("{principal} {options} {}", self.public(key)).replace("  ", " ")
    }

    fn allow(&self, lines: &[String]) {
        self.write("allowed_signers", &(lines.join("\n") + "\n"));
    }
}

/// A session with a real engine, whose gates all have to be signed with SSH keys.
struct Night {
    keys: Keys,
    dir: tempfile::TempDir,
    folder: Folder,
    runbook: Runbook,
    engine: Option<Engine>,
}

impl Night {
    /// In the sandbox, so that one user can play three people.
    async fn begin() -> Night {
        let keys = Keys::new();
        let mut runbook = super::session::reference();
        runbook.signatures = Some(Signatures {
            allowed_signers: keys.at("allowed_signers"),
            revoked: Some(keys.at("revoked")),
            required: SignedGates::All,
        });
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(dir.path(), "tonight").expect("a session's folder");
        let mut night = Night {
            keys,
            dir,
            folder,
            runbook,
            engine: None,
        };
        night.run(None).await;
        night
    }

    async fn run(&mut self, rehearsal: Option<RehearsalEvidence>) {
        let engine = Engine::start(&self.folder, &self.runbook, true, rehearsal).await;
        self.engine = Some(engine);
    }

    async fn end(&mut self) {
        self.engine.take().expect("an engine").end().await;
    }

    fn session(&self) -> Session {
        cutover::history::session(&self.folder).expect("a session")
    }

    fn actor(&self, who: &str) -> Actor {
        Actor::identify(&self.session().charter, "nobody", Some(who)).expect("on the bridge")
    }

    /// What somebody would sign now.
    fn says(&self, who: &str, gate: &str, role: Role) -> Statement {
        let (session, actor) = (self.session(), self.actor(who));
        statement(&session, &actor, gate, Some(role), None, Utc::now()).expect("may sign")
    }

    async fn proof(&self, says: &Statement, key: &str) -> Proof {
        let message = says.text();
        let signed = ssh::sign(Some(&self.keys.at(key)), &message, Passphrase::ByAskpass).await;
        Proof {
            signature: signed.expect("signed"),
            message,
            checked: None,
        }
    }

    /// Sends a proof over the socket, as somebody.
    async fn send(&self, who: &str, gate: &str, role: Role, proof: Proof) -> Result<(), Refusal> {
        self.send_noted(who, gate, role, None, proof).await
    }

    async fn send_noted(
        &self,
        who: &str,
        gate: &str,
        role: Role,
        note: Option<&str>,
        proof: Proof,
    ) -> Result<(), Refusal> {
        let command = Command::Sign {
            gate: gate.to_owned(),
            role: Some(role),
            note: note.map(str::to_owned),
            proof: Some(Box::new(proof)),
        };
        let request = Request {
            claim: Some(who.to_owned()),
            ask: Ask::Command { command },
        };
        match socket::send::<Request, Answer>(&self.folder, &request).await {
            Ok(Answer::Done { .. }) => Ok(()),
            Ok(Answer::Refused { refusal }) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Somebody signs K8 with a key, and it is sent at once.
    async fn sign_k8(&self, who: &str, role: Role, key: &str) -> Result<(), Refusal> {
        let proof = self.proof(&self.says(who, "K8", role), key).await;
        self.send(who, "K8", role, proof).await
    }

    /// Why an attempt was refused; nothing came of it.
    fn flaw(&self, refused: Result<(), Refusal>) -> Flaw {
        assert!(self.session().signatures.values().all(Vec::is_empty));
        match refused {
            Err(Refusal::SshFlawed { flaw, .. }) => flaw,
            other => panic!("{other:?}"),
        }
    }

    /// `cutover sign`, as a process of the signer's own.
    fn cutover_sign(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
        let mut cutover = Process::new(support::cutover());
        cutover
            .arg("sign")
            .args(arguments)
            .arg("--dir")
            .arg(self.folder.dir())
            .env_remove("SSH_AUTH_SOCK")
            .env_remove(ssh::KEY_VARIABLE)
            .envs(environment.iter().copied())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        tokio::task::block_in_place(|| cutover.output()).expect("cutover")
    }
}

/// What a journal keeps of each signature, read as anybody would: from the file, past all of ours.
fn kept(folder: &Folder) -> Vec<SshSignature> {
    let journal = rusqlite::Connection::open(folder.journal_path()).expect("the journal");
    let mut rows = journal
        .prepare("SELECT json_extract(body, '$.signature.ssh') FROM entries WHERE kind = 'gate_signed' ORDER BY seq")
        .expect("a query");
    let each = rows.query_map([], |row| row.get::<_, String>(0));
    let each = each.expect("rows").map(|json| json.expect("a row"));
    each.map(|json| serde_json::from_str(&json).expect("as documented"))
        .collect()
}

/// OpenSSH's own check of what the journal keeps, with nothing of ours.
fn openssh_says(dir: &Path, kept: &SshSignature, lists: &Path, revoked: &Path) -> Output {
    let signature = dir.join("extracted.sig");
    std::fs::write(&signature, &kept.signature).expect("written");
    std::fs::write(dir.join("extracted.txt"), &kept.message).expect("written");
    let message = std::fs::File::open(dir.join("extracted.txt")).expect("read");
    Process::new("ssh-keygen")
        .args(["-Y", "verify", "-n", &kept.namespace, "-I", &kept.principal])
        .arg(format!("-Overify-time={}", kept.at.format("%Y%m%d%H%M%S")))
        .arg("-f")
        .arg(lists)
        .arg("-r")
        .arg(revoked)
        .arg("-s")
        .arg(&signature)
        .env("TZ", "UTC")
        .stdin(message)
        .output()
        .expect("ssh-keygen")
}

fn rehearsal(night: &Night, head: &str, later_s: i64) -> RehearsalEvidence {
    RehearsalEvidence {
        session: "rehearsal-1".to_owned(),
        runbook_hash: night.runbook.hash.clone(),
        sandbox: true,
        head: head.to_owned(),
        ended_unix_s: Utc::now().timestamp() + later_s,
        source: None,
        parts: vec![(RehearsalPart::Import, true, "fine".to_owned())],
        rollback_ms: 1_000,
        took_ms: vec![],
        not_run: Vec::new(),
        against: Vec::new(),
        not_rehearsed: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_signed_with_keys_and_openssh_alone_can_check_it() {
    let mut night = Night::begin().await;
    for (who, key) in [("robin", "robin"), ("ada", "ada.pub"), ("quinn", "quinn")] {
        let key = night.keys.at(key);
        let key = key.to_str().expect("a path");
        let signed = night.cutover_sign(
            &["k8", "--as", who, "--key", key, "--note", "a \"b\"\nc"],
            &[],
        );
        assert!(signed.status.success(), "{who}: {signed:?}");
    }
    let k8 = night.session().gates().into_iter().find(|g| g.id == "K8");
    assert!(k8.as_ref().is_some_and(|g| g.green), "{k8:?}");
    let kept = kept(&night.folder);
    assert_eq!(kept.len(), 3);
    for ssh in &kept {
        let artefacts = night.folder.artefacts_dir();
        let lists = artefacts.join(&ssh.allowed_signers_sha256);
        let revoked = artefacts.join(ssh.revoked_sha256.as_ref().expect("a list"));
        let says = openssh_says(night.dir.path(), ssh, &lists, &revoked);
        assert!(says.status.success(), "{says:?}");
        let note = "note: \"a \\\"b\\\"\\nc\"\n";
        assert!(ssh.message.ends_with(note), "{}", ssh.message);
        for changed in [
            ssh.message.replace("gate: K8", "gate: K5"),
            ssh.message.replace("tonight", "tomorrow"),
            ssh.message.trim_end().to_owned(),
        ] {
            let other = SshSignature {
                message: changed,
                ..ssh.clone()
            };
            let says = openssh_says(night.dir.path(), &other, &lists, &revoked);
            assert!(!says.status.success(), "{other:?}");
        }
    }
    night.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_signs_with_a_key_that_lies_nowhere_else() {
    let mut night = Night::begin().await;
    let socket = night.dir.path().join("agent");
    let mut agent = Process::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("an agent");
    // Its socket is there a moment before it listens.
    let listens = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    support::until("the agent listens", async || listens()).await;
    let added = Process::new("ssh-add")
        .arg("-q")
        .arg(night.keys.at("quinn"))
        .env("SSH_AUTH_SOCK", &socket)
        .status();
    assert!(added.expect("ssh-add").success());
    std::fs::remove_file(night.keys.at("quinn")).expect("removed");
    let public = night.keys.at("quinn.pub");
    let signed = night.cutover_sign(
        &["K8", "--as", "quinn"],
        &[(ssh::KEY_VARIABLE, &public), ("SSH_AUTH_SOCK", &socket)],
    );
    agent.kill().expect("ended");
    agent.wait().expect("ended");
    assert!(signed.status.success(), "{signed:?}");
    night.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_its_signers_alone_and_one_key_is_one_person() {
    let mut night = Night::begin().await;
    let quinns = night
        .proof(&night.says("quinn", "K8", Role::Qa), "quinn")
        .await;
    // Somebody else sends it: the engine asks whose key it is, and it is not theirs.
    let taken = night
        .send("ada", "K8", Role::Engineer, quinns.clone())
        .await;
    let flaw = night.flaw(taken);
    assert!(
        matches!(&flaw, Flaw::AnothersKey { owner, .. } if owner == "quinn"),
        "{flaw}"
    );
    // For another gate it says the wrong thing.
    let replayed = night.send("quinn", "K5", Role::Qa, quinns.clone()).await;
    assert!(
        matches!(replayed, Err(Refusal::EvidenceNotGreen { .. })),
        "{replayed:?}"
    );
    night
        .send("quinn", "K8", Role::Qa, quinns.clone())
        .await
        .expect("signed");
    let again = night.send("quinn", "K8", Role::Qa, quinns).await;
    assert!(
        matches!(again, Err(Refusal::AlreadySigned { .. })),
        "{again:?}"
    );

    // One key in two people's names.
    let keys = &night.keys;
    keys.allow(&[keys.listed("quinn,ada", "quinn", "")]);
    let shared = night.sign_k8("ada", Role::Engineer, "quinn").await;
    assert!(
        matches!(&shared, Err(Refusal::SshSameKey { who, .. }) if who == "quinn"),
        "{shared:?}"
    );
    // One person in two roles: Ada stands in for Robin, and says so in what she signs.
    keys.allow(&[keys.listed("ada", "ada", "")]);
    let says = night.says("ada", "K8", Role::ReleaseManager);
    says!(says.text(), "person: ada\nfor: robin\n");
    night
        .sign_k8("ada", Role::ReleaseManager, "ada")
        .await
        .expect("signed");
    let proof = night
        .proof(
            &Statement {
                role: Role::Engineer,
                stands_in_for: None,
                ..says
            },
            "ada",
        )
        .await;
    let twice = night.send("ada", "K8", Role::Engineer, proof).await;
    assert!(matches!(twice, Err(Refusal::TwoRoles { .. })), "{twice:?}");
    let session = night.session();
    let by_ada = session.signatures["K8"].iter().find(|s| s.by == "ada");
    assert_eq!(
        by_ada.and_then(|s| s.stands_in_for.as_deref()),
        Some("robin")
    );
    night.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_void_once_the_evidence_changes_and_cannot_be_sent_again() {
    let mut night = Night::begin().await;
    night.end().await;
    night.run(Some(rehearsal(&night, "abc", 1))).await;
    let proof = night
        .proof(&night.says("ada", "K4", Role::Engineer), "ada")
        .await;
    night
        .send("ada", "K4", Role::Engineer, proof.clone())
        .await
        .expect("signed");
    let green = |night: &Night| {
        let gates = night.session().gates();
        gates.iter().any(|g| g.id == "K4" && g.green)
    };
    assert!(green(&night));
    night.end().await;
    night.run(Some(rehearsal(&night, "def", 2))).await;
    assert!(!green(&night), "the evidence is another");
    let refused = night.send("ada", "K4", Role::Engineer, proof).await;
    assert!(
        matches!(&refused, Err(Refusal::SshOther { what, .. }) if what == "evidence"),
        "{refused:?}"
    );
    let proof = night
        .proof(&night.says("ada", "K4", Role::Engineer), "ada")
        .await;
    night
        .send("ada", "K4", Role::Engineer, proof)
        .await
        .expect("signed");
    assert!(green(&night));
    night.end().await;
}
