//! Signatures that do not count: no key, another's, revoked, over something else, at another time. Not in here: those of a journal that was
//! rewritten (`forged`).

use std::path::Path;
use std::process::{Command as Process, Output};

use chrono::Duration;
use cutover::engine::protocol::{Answer, Ask, Request};
use cutover::engine::socket;
use cutover::runbook::Role;
use cutover::session::signing::{Flaw, NAMESPACE, Proof, Statement};
use cutover::session::{Command, Refusal};
use cutover::ssh::{self, Passphrase};

use super::Night;
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nobody_signs_and_the_message_says_what_to_do() {
    let mut night = Night::begin().await;
    let refused = |output: &Output, part: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(part), "{said}");
    };
    refused(
        &night.cutover_sign(&["K8", "--as", "quinn"], &[]),
        "--key FILE",
    );
    // The agent that held the key is gone.
    let quinn = night.keys.at("quinn");
    std::fs::rename(&quinn, night.keys.at("kept-elsewhere")).expect("moved");
    let public = night.keys.at("quinn.pub");
    let gone = night.cutover_sign(
        &["K8", "--as", "quinn"],
        &[
            (ssh::KEY_VARIABLE, &public),
            ("SSH_AUTH_SOCK", Path::new("/nowhere/agent")),
        ],
    );
    refused(&gone, "ssh-add");
    // A passphrase that nobody is there to type.
    let locked = night.keys.make("locked", "a passphrase");
    let unasked = ssh::sign(Some(&locked), "text\n", Passphrase::ByAskpass).await;
    let why = unasked.expect_err("locked").to_string();
    assert!(why.contains("ssh-add FILE"), "{why}");
    let bare = Command::Sign {
        gate: "K8".to_owned(),
        role: None,
        note: None,
        proof: None,
    };
    let request = Request {
        claim: Some("quinn".to_owned()),
        ask: Ask::Command { command: bare },
    };
    let answer = socket::send::<Request, Answer>(&night.folder, &request).await;
    let Ok(Answer::Refused { refusal }) = answer else {
        panic!("{answer:?}");
    };
    assert!(matches!(refusal, Refusal::SshNeeded { .. }), "{refusal}");
    assert!(night.session().signatures.is_empty());
    night.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_the_signers_do_not_count() {
    let mut night = Night::begin().await;
    let keys = &night.keys;
    keys.make("stranger", "");
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "stranger").await);
    assert!(matches!(flaw, Flaw::UnknownKey { .. }), "{flaw}");
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "ada").await);
    assert!(
        matches!(&flaw, Flaw::AnothersKey { owner, .. } if owner == "ada"),
        "{flaw}"
    );

    let listed = |options: &str| keys.allow(&[keys.listed("quinn", "quinn", options)]);
    listed("valid-before=\"20200101\"");
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "quinn").await);
    assert!(matches!(flaw, Flaw::NotValidNow { .. }), "{flaw}");
    listed("valid-after=\"20990101\"");
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "quinn").await);
    assert!(matches!(flaw, Flaw::NotValidNow { .. }), "{flaw}");
    listed("namespaces=\"git\"");
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "quinn").await);
    assert!(matches!(flaw, Flaw::NotValidNow { .. }), "{flaw}");

    // Revoked, as a list of keys and as a KRL; a list that is none, or gone, lets nobody through.
    listed("");
    keys.write("revoked", &(keys.public("quinn") + "\n"));
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "quinn").await);
    assert_eq!(flaw, Flaw::Revoked);
    let made = Process::new("ssh-keygen")
        .args(["-q", "-k", "-f"])
        .arg(keys.at("revoked"))
        .arg(keys.at("quinn.pub"))
        .status();
    assert!(made.expect("ssh-keygen").success());
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "quinn").await);
    assert_eq!(flaw, Flaw::Revoked);
    keys.write("revoked", "no list\n");
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "quinn").await);
    assert!(matches!(flaw, Flaw::Unchecked { .. }), "{flaw}");
    std::fs::remove_file(keys.at("revoked")).expect("removed");
    let flaw = night.flaw(night.sign_k8("quinn", Role::Qa, "quinn").await);
    assert!(matches!(flaw, Flaw::Unchecked { .. }), "{flaw}");
    keys.write("revoked", &(keys.public("stranger") + "\n"));
    night
        .sign_k8("quinn", Role::Qa, "quinn")
        .await
        .expect("signed");
    night.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_found_cannot_be_sent_along() {
    let mut night = Night::begin().await;
    let proof = night
        .proof(&night.says("quinn", "K8", Role::Qa), "ada")
        .await;
    let found = serde_json::json!({"Ok": {
        "principal": "quinn", "key": "SHA256:x", "at": "2026-03-01T02:00:00Z", "allowed_signers_sha256": "", "revoked_sha256": null,
    }});
    let request = serde_json::json!({"request": {"claim": "quinn", "ask": {"ask": "command", "command": {
        "command": "sign", "gate": "K8", "role": "qa", "note": null,
        "proof": {"message": proof.message, "signature": proof.signature, "checked": found},
    }}}});
    let answer = support::say(&night.folder, &request.to_string()).await;
    assert!(answer.contains("\"flaw\":\"anothers_key\""), "{answer}");
    assert!(night.session().signatures.is_empty());
    night.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_signature_over_this_does_not_count() {
    let mut night = Night::begin().await;
    let good = night
        .proof(&night.says("quinn", "K8", Role::Qa), "quinn")
        .await;
    let with = |message: String, signature: String| Proof {
        message,
        signature,
        checked: None,
    };
    let flawed = async |proof| night.flaw(night.send("quinn", "K8", Role::Qa, proof).await);
    let is_none = |flaw: &Flaw| matches!(flaw, Flaw::NotASignature { .. });

    for garbage in [
        "",
        "garbage",
        "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        "\0\u{1b}[31m",
    ] {
        let flaw = flawed(with(good.message.clone(), garbage.to_owned())).await;
        assert!(is_none(&flaw), "{garbage:?}: {flaw}");
        assert!(!flaw.to_string().contains('\u{1b}'));
    }
    let cut = good.signature.replacen("AAAA", "AAAB", 1);
    let flaw = flawed(with(good.message.clone(), cut)).await;
    assert!(is_none(&flaw), "{flaw}");
    let flaw = flawed(with(good.message.clone() + "x\n", good.signature.clone())).await;
    assert!(is_none(&flaw), "{flaw}");
    let flaw = flawed(with("x".repeat(5_000), good.signature.clone())).await;
    assert_eq!(flaw, Flaw::TooLong);

    // The same text, signed for something else.
    night.keys.write("text", &good.message);
    let signed = Process::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", "file", "-f"])
        .arg(night.keys.at("quinn"))
        .arg(night.keys.at("text"))
        .status();
    assert!(signed.expect("ssh-keygen").success());
    let elsewhere = std::fs::read_to_string(night.keys.at("text.sig")).expect("a signature");
    assert!(NAMESPACE != "file");
    let flaw = flawed(with(good.message.clone(), elsewhere)).await;
    assert!(is_none(&flaw), "{flaw}");
    night
        .send("quinn", "K8", Role::Qa, good)
        .await
        .expect("signed");
    night.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_signature_over_something_else_does_not_count() {
    let mut night = Night::begin().await;
    let says = night.says("quinn", "K8", Role::Qa);
    let changed = |change: fn(&mut Statement)| {
        let mut other = says.clone();
        change(&mut other);
        other
    };
    let cases = [
        ("session", changed(|s| s.session = "another".to_owned())),
        ("opened", changed(|s| s.opened -= Duration::days(1))),
        ("runbook", changed(|s| s.runbook = "0".repeat(64))),
        ("gate", changed(|s| s.gate = "K5".to_owned())),
        ("role", changed(|s| s.role = Role::Engineer)),
        ("person", changed(|s| s.person = "ada".to_owned())),
        ("evidence", changed(|s| s.evidence = "0".repeat(64))),
        (
            "text",
            changed(|s| s.stands_in_for = Some("robin".to_owned())),
        ),
        (
            "text",
            changed(|s| s.note = Some("and one more thing".to_owned())),
        ),
    ];
    for (part, other) in cases {
        let proof = night.proof(&other, "quinn").await;
        let refused = night.send("quinn", "K8", Role::Qa, proof).await;
        match refused {
            Err(Refusal::SshOther { what, .. }) => assert_eq!(what, part),
            other => panic!("{part}: {other:?}"),
        }
    }
    let proof = night.proof(&says, "quinn").await;
    let noted = night
        .send_noted("quinn", "K8", Role::Qa, Some("put in later"), proof)
        .await;
    assert!(
        matches!(&noted, Err(Refusal::SshOther { what, .. }) if what == "note"),
        "{noted:?}"
    );
    for off in [Duration::days(1), Duration::days(-1), Duration::minutes(6)] {
        let mut other = says.clone();
        other.time += off;
        let proof = night.proof(&other, "quinn").await;
        let refused = night.send("quinn", "K8", Role::Qa, proof).await;
        assert!(
            matches!(refused, Err(Refusal::SshClock { .. })),
            "{off}: {refused:?}"
        );
    }
    let message = says.text().replace("time: ", "date: ");
    let quinn = night.keys.at("quinn");
    let signed = ssh::sign(Some(&quinn), &message, Passphrase::ByAskpass).await;
    let no_time = Proof {
        signature: signed.expect("signed"),
        message,
        checked: None,
    };
    let refused = night.send("quinn", "K8", Role::Qa, no_time).await;
    assert!(
        matches!(&refused, Err(Refusal::SshOther { what, .. }) if what == "time"),
        "{refused:?}"
    );
    assert!(night.session().signatures.is_empty());
    night.end().await;
}
