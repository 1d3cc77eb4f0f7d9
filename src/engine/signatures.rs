//! SSH signatures that come over the socket are looked at before the loop sees them: the loop waits for no program. What was found
//! is laid beside the request; whether it is enough is the rules' business.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::SubsecRound;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::protocol::{Ask, Request};
use crate::clock;
use crate::journal::Notes;
use crate::secret::masked;
use crate::session::signing::{self, Checked, Flaw, Proof};
use crate::session::{Actor, Charter, Command, Event, Session, Signature, SshSignature};
use crate::ssh::{self, Lists};
use crate::step::context::SessionClock;

/// Checks that run at once; more wait.
const AT_ONCE: usize = 2;
/// How long the lists may take to be read.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How often a signature is looked at that could not be checked, when an engine takes up.
const TRIES: u32 = 3;
/// Time between two of them.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// How the lists are called among the artefacts.
const KIND: &str = "signatures";

/// Looks at signatures.
pub struct Verifier {
    charter: Charter,
    allowed_signers: Option<PathBuf>,
    revoked: Option<PathBuf>,
    notes: Notes,
    clock: SessionClock,
    turns: Semaphore,
    /// Those who read the lists; one whose file system does not answer stays one.
    readers: Arc<Semaphore>,
}

impl Verifier {
    /// A verifier for a session. Relative paths of the runbook begin at `base`.
    pub fn new(
        charter: &Charter,
        lists: Option<&crate::runbook::Signatures>,
        base: &std::path::Path,
        notes: Notes,
        clock: SessionClock,
    ) -> Verifier {
        Verifier {
            charter: charter.clone(),
            allowed_signers: lists.map(|l| base.join(&l.allowed_signers)),
            revoked: lists.and_then(|l| Some(base.join(l.revoked.as_ref()?))),
            notes,
            clock,
            turns: Semaphore::new(AT_ONCE),
            readers: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether a request has something to look at.
    pub fn concerns(request: &Request) -> bool {
        matches!(
            &request.ask,
            Ask::Command {
                command: Command::Sign { proof: Some(_), .. }
            }
        )
    }

    /// The request, with what was found about its signature. `user` is the operating system's word for who asks.
    pub async fn look(&self, mut request: Request, user: &str) -> Request {
        let actor = Actor::identify(&self.charter, user, request.claim.as_deref());
        if let (
            Some(actor),
            Ask::Command {
                command:
                    Command::Sign {
                        proof: Some(proof), ..
                    },
            },
        ) = (actor, &mut request.ask)
        {
            proof.checked = self.check(&actor, proof).await;
        }
        request
    }

    /// What of a session's SSH signatures does not hold when an engine takes up: nobody watched the journal since the last one, and
    /// whoever writes chain and head anew can write any name into it. Each is judged as of the time of its signing, against the lists
    /// that the runbook names now; what cannot be checked does not hold.
    pub async fn void(&self, session: &Session) -> Vec<Event> {
        let mut voided = Vec::new();
        let signed = session.signatures.iter();
        let signed: Vec<(&String, &Signature)> = signed
            .flat_map(|(gate, all)| all.iter().map(move |s| (gate, s)))
            .collect();
        for (gate, signature) in signed {
            let Some(kept) = &signature.ssh else { continue };
            let why = match signing::covers(session, gate, signature, kept) {
                Ok(()) => self.no_longer(kept).await,
                Err(unlike) => Some(unlike.to_string()),
            };
            voided.extend(why.map(|why| Event::SignatureVoided {
                gate: gate.clone(),
                role: signature.role,
                by: signature.by.clone(),
                why,
            }));
        }
        voided
    }

    /// Why a signature does not hold now. What could not be checked is tried again: a machine on which an engine has just died is busy.
    async fn no_longer(&self, kept: &SshSignature) -> Option<String> {
        let mut found = self.still(kept).await;
        for _ in 1..TRIES {
            if !matches!(found, Err(Flaw::Unchecked { .. })) {
                break;
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
            found = self.still(kept).await;
        }
        match found {
            Ok(checked) if checked.key == kept.key => None,
            Ok(_) => Some("it was made with another key than the journal names".to_owned()),
            Err(flaw) => Some(flaw.to_string()),
        }
    }

    async fn still(&self, kept: &SshSignature) -> Result<Checked, Flaw> {
        let unchecked = |why: String| Flaw::Unchecked { why };
        let allowed = self.allowed_signers.clone();
        let allowed = allowed
            .ok_or_else(|| unchecked("the runbook names no list of allowed signers".to_owned()))?;
        let revoked = self.revoked.clone();
        let lists = self.read(allowed, revoked).await.map_err(unchecked)?;
        ssh::verify(
            &lists,
            &kept.principal,
            &kept.message,
            &kept.signature,
            kept.at,
        )
        .await
    }

    /// Reads the lists. A file system that does not answer keeps its reader, but nobody who waits, and never more readers than may read at once.
    async fn read(&self, allowed: PathBuf, revoked: Option<PathBuf>) -> Result<Lists, String> {
        let shown = allowed.display().to_string();
        let readers = Arc::clone(&self.readers);
        let read = async move {
            let Ok(reader) = readers.acquire_owned().await else {
                return Err("the engine is ending".to_owned());
            };
            let read = spawn_blocking(move || {
                let lists = Lists::read(&allowed, revoked.as_deref());
                drop(reader);
                lists
            });
            read.await.expect("BUG: reading files does not panic")
        };
        let read = tokio::time::timeout(READ_LIMIT, read).await;
        read.unwrap_or_else(|_| {
            Err(format!(
                "{shown} could not be read within {} s: does its file system answer?",
                READ_LIMIT.as_secs()
            ))
        })
    }

    async fn check(&self, actor: &Actor, proof: &Proof) -> Option<Result<Checked, Flaw>> {
        let allowed = self.allowed_signers.clone()?;
        let revoked = self.revoked.clone();
        let principal = self.charter.person(&actor.id)?.principal().to_owned();
        let unchecked = |why: String| Some(Err(Flaw::Unchecked { why }));
        // The journal keeps what was signed to the letter, and no secret.
        if masked(&proof.message) != proof.message {
            return unchecked(
                "what was signed holds a value that is listed under `secrets`; say it in other words".to_owned(),
            );
        }
        let Ok(_turn) = self.turns.acquire().await else {
            return unchecked("the engine is ending".to_owned());
        };
        let lists = match self.read(allowed, revoked).await {
            Ok(lists) => lists,
            Err(why) => return unchecked(why),
        };
        let at = clock::wall().trunc_subsecs(0);
        let checked = ssh::verify(&lists, &principal, &proof.message, &proof.signature, at).await;
        if checked.is_ok()
            && let Err(why) = self.keep(lists).await
        {
            return unchecked(why);
        }
        Some(checked)
    }

    /// Whoever checks the signature later needs the lists that it was checked against.
    async fn keep(&self, lists: Lists) -> Result<(), String> {
        let (notes, at_ms) = (self.notes.clone(), self.clock.now_ms());
        let kept = spawn_blocking(move || {
            notes.publish("allowed_signers", KIND, at_ms, &lists.allowed_signers)?;
            match &lists.revoked {
                Some(revoked) => notes
                    .publish("revoked_keys", KIND, at_ms, revoked)
                    .map(drop),
                None => Ok(()),
            }
        });
        let kept = kept.await.expect("BUG: publishing does not panic");
        kept.map_err(|error| {
            format!("the lists of keys could not be kept with the session: {error}")
        })
    }
}
