//! OpenSSH's own `ssh-keygen`: makes a signature with a person's key, and checks one against lists of allowed and revoked keys.
//!
//! The tool rather than a library: it alone reads everything that such lists may hold (KRLs, certificates, patterns, times), reaches
//! agents and hardware keys, and is what everybody else checks our signatures with. What a signature means is not in here: see
//! `session::signing`.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::format::hex;
use crate::session::signing::{Checked, Flaw, MAX_MESSAGE_BYTES, MAX_SIGNATURE_BYTES, NAMESPACE};
use crate::text::printable;

/// The program, looked up in `PATH`.
pub const PROGRAM: &str = "ssh-keygen";
/// Names the key to sign with, for cockpits and shells: a key file, or a public key whose private one an agent holds.
pub const KEY_VARIABLE: &str = "CUTOVER_SSH_KEY";
/// How long one check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// How long a person may take for a passphrase or to touch a hardware key.
const SIGN_LIMIT: Duration = Duration::from_secs(120);
/// What a list of keys may have at most.
const MAX_LIST_BYTES: u64 = 16 << 20;
/// What is shown of what the program says.
const MAX_SAID_CHARS: usize = 300;
/// Keys that `ssh` itself would try, in its order.
const USUAL_KEYS: [&str; 5] = [
    "id_ed25519.pub",
    "id_ecdsa.pub",
    "id_ed25519_sk.pub",
    "id_ecdsa_sk.pub",
    "id_rsa.pub",
];

/// How a passphrase may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passphrase {
    /// On the terminal of this process.
    OnTerminal,
    /// By `SSH_ASKPASS` alone: the terminal is somebody else's.
    ByAskpass,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Nobody said which key.
    #[error(
        "no SSH key to sign with: name one in {KEY_VARIABLE}, or sign from a shell with `cutover sign GATE --key FILE`"
    )]
    NoKey,
    /// The program is not there.
    #[error("cannot start {PROGRAM}: {0}. OpenSSH's client programs have to be installed")]
    NoProgram(std::io::Error),
    /// It did not sign.
    #[error(
        "{PROGRAM} did not sign with {}: {said}. Load the key into your agent (`ssh-add FILE`), or sign from a shell: `cutover sign GATE --key FILE`",
        key.display()
    )]
    NotSigned {
        key: PathBuf,
        /// In its words.
        said: String,
    },
}

/// Signs a text. `key` is a key file, or a public key whose private one an agent holds; where absent, the first of the usual ones.
///
/// # Errors
/// [`SignError`], with what to do.
pub async fn sign(
    key: Option<&Path>,
    message: &str,
    passphrase: Passphrase,
) -> Result<String, SignError> {
    let key = key
        .map(Path::to_owned)
        .or_else(usual_key)
        .ok_or(SignError::NoKey)?;
    let mut program = program(["-Y", "sign", "-n", NAMESPACE, "-f"]);
    program.arg(&key);
    if passphrase == Passphrase::ByAskpass {
        // In a group of its own, so that nothing it does reaches the screen that is drawn.
        program.env("SSH_ASKPASS_REQUIRE", "force").process_group(0);
    }
    let ran = run(program, message.as_bytes(), SIGN_LIMIT).await;
    let not_signed = |said: String| SignError::NotSigned {
        key: key.clone(),
        said,
    };
    match ran {
        Ok(ran) if ran.ok => Ok(ran.printed),
        Ok(ran) => Err(not_signed(ran.said)),
        Err(RunError::Start(error)) => Err(SignError::NoProgram(error)),
        Err(error) => Err(not_signed(error.to_string())),
    }
}

fn usual_key() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(KEY_VARIABLE).filter(|v| !v.is_empty()) {
        return Some(named.into());
    }
    let folder = PathBuf::from(std::env::var_os("HOME")?).join(".ssh");
    let keys = USUAL_KEYS.iter().map(|name| folder.join(name));
    keys.into_iter().find(|key| key.is_file())
}

/// The lists that a signature is checked against, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// `allowed_signers`.
    pub allowed_signers: Vec<u8>,
    /// A KRL, or public keys line by line.
    pub revoked: Option<Vec<u8>>,
}

impl Lists {
    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be read; a list of revoked keys that is named and not there is an error too.
    pub fn read(allowed_signers: &Path, revoked: Option<&Path>) -> Result<Lists, String> {
        let read = |path: &Path| {
            let shown = |e| printable(&format!("{}: {e}", path.display()), MAX_SAID_CHARS);
            read_list(path).map_err(shown)
        };
        Ok(Lists {
            allowed_signers: read(allowed_signers)?,
            revoked: revoked.map(read).transpose()?,
        })
    }
}

/// A list of keys. What is no regular file is never waited for, and a list of some megabytes is none of people's keys.
fn read_list(path: &Path) -> std::io::Result<Vec<u8>> {
    let wrong = |why: &str| std::io::Error::new(ErrorKind::InvalidInput, why);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(wrong("is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_LIST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_LIST_BYTES {
        true => Err(wrong("is longer than 16 MiB")),
        false => Ok(bytes),
    }
}

/// Checks a signature as of a moment: the key is listed as the principal's, valid then, for our namespace, and not revoked.
pub async fn verify(
    lists: &Lists,
    principal: &str,
    message: &str,
    signature: &str,
    at: DateTime<Utc>,
) -> Result<Checked, Flaw> {
    if message.len() > MAX_MESSAGE_BYTES || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(Flaw::TooLong);
    }
    // Copies, so that what is asked is what is hashed, whatever happens to the files meanwhile.
    let desk = Desk::lay(lists, signature).map_err(|error| unchecked(&error))?;
    let verified = desk.verify(principal, message, at, true).await?;
    if !verified.ok {
        return Err(desk.flaw(principal, message, at, verified.said).await?);
    }
    let mut words = verified.printed.split_whitespace();
    let key = words.rfind(|word| word.starts_with("SHA256:"));
    let hash = |bytes: &Vec<u8>| hex(&Sha256::digest(bytes));
    Ok(Checked {
        principal: principal.to_owned(),
        key: key
            .ok_or_else(|| unchecked(&format!("{PROGRAM} names no key: {}", verified.printed)))?
            .to_owned(),
        at,
        allowed_signers_sha256: hash(&lists.allowed_signers),
        revoked_sha256: lists.revoked.as_ref().map(hash),
    })
}

/// Whether a list of allowed signers has a line for somebody.
///
/// # Errors
/// The list is not there, or `ssh-keygen` cannot be started.
pub async fn lists_principal(allowed_signers: &Path, principal: &str) -> Result<bool, String> {
    let mut program = program(["-Y", "match-principals", "-I", principal, "-f"]);
    program.arg(allowed_signers);
    let ran = run(program, b"", CHECK_LIMIT).await;
    ran.map(|ran| ran.ok).map_err(|e| e.to_string())
}

/// Whether a file is a list of revoked keys: a KRL, or public keys line by line. One that lists nobody yet may be empty.
///
/// # Errors
/// It cannot be read, or `ssh-keygen` cannot be started.
pub async fn is_revocation_list(file: &Path) -> Result<bool, String> {
    let bytes = read_list(file).map_err(|e| e.to_string())?;
    let has_lines = |text: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with('#'))
    };
    if std::str::from_utf8(&bytes).is_ok_and(|text| !has_lines(text)) {
        return Ok(true);
    }
    for arguments in [["-Q", "-l", "-f"].as_slice(), ["-l", "-f"].as_slice()] {
        let mut program = program(arguments);
        program.arg(file);
        if run(program, b"", CHECK_LIMIT)
            .await
            .map_err(|e| e.to_string())?
            .ok
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unchecked(why: &impl ToString) -> Flaw {
    Flaw::Unchecked {
        why: printable(&why.to_string(), MAX_SAID_CHARS),
    }
}

/// The files of one check, in a folder of their own that goes with it.
struct Desk {
    folder: tempfile::TempDir,
    has_revoked: bool,
}

impl Desk {
    #[expect(
        clippy::disallowed_methods,
        reason = "into a temporary folder that was just made"
    )]
    fn lay(lists: &Lists, signature: &str) -> std::io::Result<Desk> {
        let folder = tempfile::tempdir()?;
        let write = |name, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
        write("allowed_signers", &lists.allowed_signers)?;
        write("signature", signature.as_bytes())?;
        if let Some(revoked) = &lists.revoked {
            write("revoked", revoked)?;
        }
        Ok(Desk {
            has_revoked: lists.revoked.is_some(),
            folder,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, program: Command, message: &str) -> Result<Ran, Flaw> {
        let ran = run(program, message.as_bytes(), CHECK_LIMIT).await;
        ran.map_err(|error| unchecked(&error))
    }

    async fn verify(
        &self,
        principal: &str,
        message: &str,
        at: DateTime<Utc>,
        revocations: bool,
    ) -> Result<Ran, Flaw> {
        let mut program = program(["-Y", "verify", "-n", NAMESPACE, "-I", principal]);
        program
            .arg("-f")
            .arg(self.path("allowed_signers"))
            .arg("-s")
            .arg(self.path("signature"))
            .arg(verify_time(at));
        if self.has_revoked && revocations {
            program.arg("-r").arg(self.path("revoked"));
        }
        self.run(program, message).await
    }

    /// Why a signature is not good: the same program is asked less and less.
    async fn flaw(
        &self,
        principal: &str,
        message: &str,
        at: DateTime<Utc>,
        said: String,
    ) -> Result<Flaw, Flaw> {
        let mut alone = program(["-Y", "check-novalidate", "-n", NAMESPACE, "-s"]);
        alone.arg(self.path("signature"));
        let alone = self.run(alone, message).await?;
        if !alone.ok {
            return Ok(Flaw::NotASignature { said: alone.said });
        }
        if self.has_revoked && self.verify(principal, message, at, false).await?.ok {
            let legible = is_revocation_list(&self.path("revoked")).await;
            return match legible {
                Ok(true) => Ok(Flaw::Revoked),
                Ok(false) => Err(unchecked(&"the list of revoked keys is not one")),
                Err(why) => Err(unchecked(&why)),
            };
        }
        let mut owner = program(["-Y", "find-principals", "-f"]);
        owner
            .arg(self.path("allowed_signers"))
            .arg("-s")
            .arg(self.path("signature"))
            .arg(verify_time(at));
        let owner = self.run(owner, message).await?;
        let names = owner.printed.trim();
        let principal = principal.to_owned();
        Ok(match names {
            "" if said.is_empty() => Flaw::UnknownKey { principal },
            "" => Flaw::NotValidNow { principal, said },
            names if names.split([',', '\n']).any(|name| name == principal) => {
                Flaw::NotValidNow { principal, said }
            }
            names => Flaw::AnothersKey {
                owner: printable(names, MAX_SAID_CHARS),
                principal,
            },
        })
    }
}

/// To the second, in the zone that [`program`] sets: older versions know no other way to say UTC.
fn verify_time(at: DateTime<Utc>) -> String {
    format!("-Overify-time={}", at.format("%Y%m%d%H%M%S"))
}

fn program(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut program = Command::new(PROGRAM);
    program
        .args(arguments)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .kill_on_drop(true);
    program
}

/// How the program ended.
struct Ran {
    ok: bool,
    printed: String,
    /// What it said on standard error, in one harmless line.
    said: String,
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot start {PROGRAM}: {0}")]
    Start(std::io::Error),
    #[error("{PROGRAM} broke off: {0}")]
    Broken(std::io::Error),
    #[error("{PROGRAM} took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
}

async fn run(mut program: Command, input: &[u8], limit: Duration) -> Result<Ran, RunError> {
    program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = program.spawn().map_err(RunError::Start)?;
    let stdin = child.stdin.take();
    let talk = async {
        if let Some(mut stdin) = stdin {
            // Whoever does not read to the end says why.
            let _ = stdin.write_all(input).await;
        }
        child.wait_with_output().await
    };
    let output = match timeout(limit, talk).await {
        Ok(output) => output.map_err(RunError::Broken)?,
        Err(_) => return Err(RunError::TooSlow(limit)),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).filter(|l| !l.is_empty());
    let said: Vec<_> = said.filter(|l| !l.starts_with("Signing data")).collect();
    Ok(Ran {
        ok: output.status.success(),
        printed: String::from_utf8_lossy(&output.stdout).into_owned(),
        said: printable(&said.join("; "), MAX_SAID_CHARS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.expect("mkfifo").success());
        for (path, why) in [
            (fifo.as_path(), "no regular file"),
            (folder.path(), "no regular file"),
            (Path::new("/dev/zero"), "no regular file"),
        ] {
            let refused = Lists::read(path, None).expect_err("refused");
            assert!(refused.contains(why), "{refused}");
        }
        let long = folder.path().join("long");
        let file = std::fs::File::create(&long).expect("a file");
        file.set_len(MAX_LIST_BYTES + 1).expect("its length");
        let refused = Lists::read(&long, None).expect_err("refused");
        assert!(refused.contains("longer than 16 MiB"), "{refused}");
        file.set_len(MAX_LIST_BYTES).expect("its length");
        assert!(Lists::read(&long, None).is_ok());
    }
}
