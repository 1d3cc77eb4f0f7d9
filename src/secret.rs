//! What must not be shown, and the one place that hides it. Every process keeps one [`Mask`]: it learns each secret where the secret
//! comes in (a runbook with its environment, the command line, a password that a connection uses), and text passes through it where it
//! goes out: journal, artefacts, logs, errors, notifications, panics. No call site in between has to remember.
//!
//! Not in here: which values are secret (`runbook` says it), and making text harmless for a terminal (`text`).

mod forms;
mod mask;
mod passwords;
mod views;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

pub use mask::Mask;
pub use passwords::{Password, has_password, passwords_in, without_passwords};

/// A shorter value is not hidden where it stands alone: that would eat the text around it.
pub const MIN_BYTES: usize = 6;

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// Listed under `secrets`; `${NAME}` stands in its place.
    Listed {
        /// Its name in the environment.
        name: String,
        value: String,
    },
    /// A password in a URL, or one that a connection uses; `***` stands in its place.
    Password(Password),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::Listed { name, .. } => write!(f, "Listed({name})"),
            Secret::Password(password) => password.fmt(f),
        }
    }
}

/// What a process knows.
#[derive(Default)]
struct Known {
    secrets: BTreeSet<Secret>,
    /// See [`learn`].
    plain: BTreeSet<String>,
    mask: Arc<Mask>,
}

static KNOWN: RwLock<Option<Known>> = RwLock::new(None);

/// From now on, this process shows none of these. `plain` are texts that a runbook shows as they are, such as the names of its steps and
/// instances: where one of them is the whole of a field in the journal, it stays, for the session is found by it.
pub fn learn(secrets: impl IntoIterator<Item = Secret>, plain: impl IntoIterator<Item = String>) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    let before = (known.secrets.len(), known.plain.len());
    known.secrets.extend(secrets);
    known.plain.extend(plain);
    if (known.secrets.len(), known.plain.len()) != before {
        known.mask = Arc::new(Mask::new(&known.secrets, &known.plain));
    }
}

/// Learns the passwords that the command line and `PGPASSWORD` hold.
pub fn learn_process() {
    let arguments = std::env::args_os().skip(1);
    let texts: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let stated = texts.iter().flat_map(|text| passwords_in(text));
    let variable = std::env::var("PGPASSWORD").ok().map(Password::alone);
    learn(stated.chain(variable).map(Secret::Password), []);
}

/// The mask as of now. Whoever keeps it does not see what is learnt later.
pub fn mask() -> Arc<Mask> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known
        .as_ref()
        .map_or_else(Arc::default, |known| Arc::clone(&known.mask))
}

/// The text without any secret that this process knows, and without any password that stands in a URL.
pub fn masked(text: &str) -> Cow<'_, str> {
    mask().text(text)
}

/// As [`masked`], for bytes that need not be text.
pub fn masked_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    mask().bytes(bytes)
}

/// As [`masked`], for a name that something is found by: one that the runbook shows stays as it is.
pub fn masked_name(text: &str) -> Cow<'_, str> {
    mask().field(text)
}

/// Hides secrets in every text of a value. Where the value then `reads` no longer as what it is (a secret that equals a word of the
/// format), the texts that are to blame stay.
pub fn mask_json(value: &mut Value, reads: impl Fn(&Value) -> bool) {
    mask().json(value, reads);
}

/// A path of ours that the journal names, as it was: `${NAME}` by the secret that it stands for.
pub fn revealed(path: &Path) -> PathBuf {
    path.to_str()
        .map_or_else(|| path.to_owned(), |text| reveal(text).into())
}

/// A fact of ours that the journal holds, as it was. What is made of it is masked again where it goes out.
pub fn revealed_json(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(reveal(text)),
        Value::Array(items) => items.iter().map(revealed_json).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, item)| (name.clone(), revealed_json(item)))
                .collect(),
        ),
        plain => plain.clone(),
    }
}

fn reveal(text: &str) -> String {
    if !text.contains("${") {
        return text.to_owned();
    }
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let secrets = known.iter().flat_map(|known| &known.secrets);
    secrets.fold(text.to_owned(), |text, secret| match secret {
        Secret::Listed { name, value } => text.replace(&format!("${{{name}}}"), value),
        Secret::Password(_) => text,
    })
}

/// A panic tells its message and its place without any secret.
pub fn mask_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let trace = std::backtrace::Backtrace::capture();
        errln!("thread '{name}' {panic}");
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            errln!("{trace}");
        }
    }));
}

/// Writes to standard error without any secret: what the log of an engine goes through. One call is one message.
#[derive(Debug, Clone, Copy, Default)]
pub struct MaskedError;

impl std::io::Write for MaskedError {
    fn write(&mut self, message: &[u8]) -> std::io::Result<usize> {
        std::io::stderr()
            .lock()
            .write_all(&masked_bytes(message))
            .map(|()| message.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
