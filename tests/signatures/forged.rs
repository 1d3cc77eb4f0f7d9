//! Signatures in a journal that somebody wrote anew, with a chain that is right: whom they give away, and before whom.

use std::collections::BTreeMap;

use cutover::journal::{Entry, Folder, Follower, Hash};
use cutover::report::bundle;
use cutover::report::bundle::check::{Expected, Finding, Verdict, check};
use cutover::report::bundle::manifest::{self, Manifest};
use cutover::runbook::Role;
use cutover::session::signing::Statement;
use cutover::session::{Event, Recorded, Signature, SshSignature};

use super::Night;
use crate::support::Engine;

const PEOPLE: [(&str, Role); 3] = [
    ("robin", Role::ReleaseManager),
    ("ada", Role::Engineer),
    ("quinn", Role::Qa),
];

/// What a bundle of these events comes to, whoever made them: the lists of keys are those of the night.
async fn bundle_of(night: &Night, events: &[Recorded]) -> Verdict {
    let root = tempfile::tempdir().expect("a folder");
    let folder = crate::report::journal_below(root.path(), events);
    let dir = root.path().join("bundle");
    let written = bundle::write(&folder, &dir).expect("a bundle");
    let list = dir.join(manifest::NAME);
    let listed = manifest::read(&std::fs::read(&list).expect("a list"));
    let mut files: BTreeMap<String, Hash> = listed
        .files
        .into_iter()
        .map(|(name, (hash, _))| (name, hash))
        .collect();
    for artefact in std::fs::read_dir(night.folder.artefacts_dir()).expect("a folder") {
        let from = artefact.expect("a file").path();
        let name = from
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        std::fs::copy(&from, dir.join("artefacts").join(&name)).expect("copied");
        files.insert(format!("artefacts/{name}"), name.parse().expect("a hash"));
    }
    let manifest = Manifest {
        session: written.report.session,
        head: written.head,
        files,
    };
    std::fs::write(list, manifest.text().0).expect("written");
    check(&dir, Expected::default()).await
}

fn recorded(folder: &Folder) -> Vec<Recorded> {
    let entries = Follower::open(folder).and_then(|mut f| f.poll());
    let entries = entries.expect("a journal").into_iter();
    let read = |e: Entry| Recorded::read(e.seq, e.at_ms, e.wall, &e.kind, e.body);
    entries.map(|e| read(e).expect("an event")).collect()
}

/// Somebody who makes chain and list anew can write any name into the events; a signature by key is what they cannot make.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_whose_chain_was_made_anew_is_given_away_by_its_signatures() {
    let mut night = Night::begin().await;
    for (who, role) in PEOPLE {
        night.sign_k8(who, role, who).await.expect("signed");
    }
    let honest = recorded(&night.folder);
    let verdict = bundle_of(&night, &honest).await;
    assert_eq!(verdict.findings, []);
    let told = |line: &String| line.starts_with("3 signatures were made with keys");
    assert!(verdict.holds.iter().any(told), "{:?}", verdict.holds);

    let last = honest.len() - 1;
    let Event::GateSigned { signature, .. } = &honest[last - 1].event else {
        panic!("{:?}", honest[last - 1])
    };
    let anothers = signature.ssh.clone().expect("a key").signature;
    type Forgery<'f> = (&'f str, Box<dyn Fn(&mut Signature) + 'f>);
    let ssh = |s: &mut Signature, with: &dyn Fn(&mut SshSignature)| {
        s.ssh.iter_mut().for_each(|ssh| with(ssh));
    };
    let forgeries: [Forgery<'_>; 6] = [
        ("without a key", Box::new(|s| s.ssh = None)),
        ("by another", Box::new(|s| s.by = "ada".into())),
        (
            "another evidence",
            Box::new(|s| s.evidence_hash = "0".repeat(64)),
        ),
        (
            "another's signature",
            Box::new(|s| ssh(s, &|k| k.signature = anothers.clone())),
        ),
        (
            "another list",
            Box::new(|s| ssh(s, &|k| k.allowed_signers_sha256 = "0".repeat(64))),
        ),
        (
            "another note, in both",
            Box::new(|s| {
                s.note = Some("fine".into());
                ssh(s, &|k| k.message.push_str("note: \"fine\"\n"));
            }),
        ),
    ];
    for (what, forge) in forgeries {
        let mut forged = honest.clone();
        let Event::GateSigned { signature, .. } = &mut forged[last].event else {
            panic!("{:?}", honest[last])
        };
        forge(signature);
        let found = bundle_of(&night, &forged).await.findings;
        let here = |f: &Finding| f.file == "events.jsonl" && f.line == Some(honest[last].seq);
        assert!(found.iter().any(here), "{what}: {found:?}");
    }
    night.end().await;
}

/// Everybody signs K8; what then lies there without an engine is changed, and the next engine takes it up. What it voids.
async fn taken_up(night: &Night, events: &[Recorded]) -> Vec<(String, String)> {
    let root = tempfile::tempdir().expect("a folder");
    let folder = crate::report::journal_below(root.path(), events);
    let engine = Engine::start(&folder, &night.runbook, true, None).await;
    let session = cutover::history::session(&folder).expect("a session");
    engine.end().await;
    let voided: Vec<(String, String)> = recorded(&folder)
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::SignatureVoided { by, why, .. } => Some((by, why)),
            _ => None,
        })
        .collect();
    let signed = session.signatures.values().flatten();
    for signature in signed {
        assert!(
            !voided.iter().any(|(by, _)| *by == signature.by),
            "{signature:?}"
        );
    }
    voided
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_takes_up_again_believes_no_name_that_was_written_into_the_journal() {
    let mut night = Night::begin().await;
    for (who, role) in PEOPLE {
        night.sign_k8(who, role, who).await.expect("signed");
    }
    night.end().await;
    let honest = recorded(&night.folder);
    assert_eq!(taken_up(&night, &honest).await, []);

    let quinns = honest
        .iter()
        .rposition(
            |e| matches!(&e.event, Event::GateSigned { signature, .. } if signature.by == "quinn"),
        )
        .expect("Quinn signed");
    let forged = |forge: &dyn Fn(&mut Signature)| {
        let mut events = honest.clone();
        let Event::GateSigned { signature, .. } = &mut events[quinns].event else {
            panic!("{:?}", events[quinns])
        };
        forge(signature);
        events
    };
    let evidence = forged(&|s| s.evidence_hash = "0".repeat(64));
    let found = taken_up(&night, &evidence).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("not what the event says"), "{found:?}");
    let invented = forged(&|s| {
        if let Some(ssh) = &mut s.ssh {
            ssh.signature = ssh.signature.replacen('A', "B", 3);
        }
    });
    let found = taken_up(&night, &invented).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].1.contains("no signature over what was sent"),
        "{found:?}"
    );

    let relabelled = forged(&|s| {
        if let Some(ssh) = &mut s.ssh {
            ssh.key = "SHA256:another".to_owned();
        }
    });
    let found = taken_up(&night, &relabelled).await;
    assert!(
        matches!(&found[..], [(_, why)] if why.contains("another key")),
        "{found:?}"
    );
    // Robin's own key, and a text of Robin's: for a role that is not Robin's.
    let says = honest_statement(&honest[quinns], "robin");
    let proof = night.proof(&says, "robin").await;
    let usurped = forged(&|s| {
        s.by = "robin".to_owned();
        s.note = None;
        if let Some(ssh) = &mut s.ssh {
            ssh.message.clone_from(&proof.message);
            ssh.signature.clone_from(&proof.signature);
            ssh.principal = "robin".to_owned();
        }
    });
    let found = taken_up(&night, &usurped).await;
    assert!(
        matches!(&found[..], [(_, why)] if why.contains("not that role")),
        "{found:?}"
    );
    // The rules go by the charter: one that asks for no keys is not the runbook's.
    let mut lax = honest.clone();
    let Event::SessionOpened { charter } = &mut lax[0].event else {
        panic!("{:?}", lax[0])
    };
    charter.signing = None;
    let root = tempfile::tempdir().expect("a folder");
    let folder = crate::report::journal_below(root.path(), &lax);
    let refused = Engine::refuses(&folder, &night.runbook).await.to_string();
    assert!(refused.contains("not what the runbook says"), "{refused}");

    // What somebody took away from the lists meanwhile does not count either.
    let keys = ["robin", "ada"].map(|who| night.keys.listed(who, who, ""));
    night.keys.allow(&keys);
    let found = taken_up(&night, &honest).await;
    assert!(
        matches!(&found[..], [(by, why)] if by == "quinn" && why.contains("not one of quinn's")),
        "{found:?}"
    );
    std::fs::remove_file(night.keys.at("allowed_signers")).expect("removed");
    let found = taken_up(&night, &honest).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found
            .iter()
            .all(|(_, why)| why.contains("could not be checked")),
        "{found:?}"
    );
}

/// What the signature of this event says, with another person in it.
fn honest_statement(recorded: &Recorded, person: &str) -> Statement {
    let Event::GateSigned { gate, signature } = &recorded.event else {
        panic!("{recorded:?}")
    };
    let message = &signature.ssh.as_ref().expect("a key").message;
    let line = |name: &str| {
        let found = message
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{name}: ")));
        found.expect("a line").to_owned()
    };
    Statement {
        session: line("session"),
        opened: line("opened").parse().expect("a time"),
        runbook: line("runbook"),
        gate: gate.clone(),
        role: signature.role,
        person: person.to_owned(),
        stands_in_for: None,
        evidence: line("evidence"),
        time: line("time").parse().expect("a time"),
        note: None,
    }
}
