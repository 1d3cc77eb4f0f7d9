//! Who may look: each viewer's own secret, made at the start and told once, in a link. What is kept of it is its hash.
//!
//! Not in here: where a browser says it (`answers`).

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

/// Viewers at most.
pub const MOST: usize = 32;
/// Pages that one viewer has open at the same time: screens of one person.
const SCREENS: usize = 4;
/// What cannot be guessed.
const TOKEN_BYTES: usize = 32;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than there is room for.
    #[error("{0} viewers; {MOST} may look at the same page")]
    TooMany(usize),
    /// One link for two people could not be told apart.
    #[error("two viewers are called {0:?}; each has a link of their own")]
    Twice(String),
}

/// What a viewer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub name: String,
    /// The path of the link; whoever has it may look.
    pub token: String,
}

/// All who may look.
pub struct Viewers {
    /// The name of the cookie: one of its own, for a browser does not tell the pages of two ports of a host apart.
    cookie: String,
    all: Vec<Viewer>,
}

/// Somebody who may look.
pub struct Viewer {
    token: [u8; 32],
    /// Places for the pages that they have open.
    pub screens: Arc<Semaphore>,
}

impl Viewers {
    /// One of each name, with their links.
    ///
    /// # Errors
    /// There are too many, or two of one name.
    pub fn of(names: &[String]) -> Result<(Viewers, Vec<Link>), Error> {
        if names.len() > MOST {
            return Err(Error::TooMany(names.len()));
        }
        let mut known = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !known.insert(name.as_str())) {
            return Err(Error::Twice(twice.clone()));
        }
        let links = names.iter().map(|name| Link {
            name: name.clone(),
            token: URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()),
        });
        let links: Vec<Link> = links.collect();
        let all = links.iter().map(|link| Viewer {
            token: hash(&link.token),
            screens: Arc::new(Semaphore::new(SCREENS)),
        });
        let viewers = Viewers {
            cookie: format!("cutover_watch_{:08x}", rand::random::<u32>()),
            all: all.collect(),
        };
        Ok((viewers, links))
    }

    /// The name of the cookie in which a browser says the token again.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Whose token this is. Every one is compared to its end, and what is compared are hashes: how long it takes tells nothing.
    pub fn known(&self, token: &str) -> Option<&Viewer> {
        let given = hash(token);
        let mut found = None;
        for viewer in &self.all {
            if is_same(&viewer.token, &given) {
                found = Some(viewer);
            }
        }
        found
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let pairs = one.iter().zip(other);
    black_box(pairs.fold(0_u8, |differ, (a, b)| black_box(differ | (a ^ b)))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_by_their_own_token_alone() {
        let names = ["ada".to_owned(), "wall".to_owned()];
        let (viewers, links) = Viewers::of(&names).expect("two viewers");
        assert_ne!(links[0].token, links[1].token);
        for (n, link) in links.iter().enumerate() {
            assert_eq!(link.token.len(), 43);
            let known = viewers.known(&link.token).expect("known");
            assert!(std::ptr::eq(known, &viewers.all[n]));
        }
        let (_, others) = Viewers::of(&names).expect("two others");
        for stranger in ["", "ada", &links[0].token[1..], others[0].token.as_str()] {
            assert!(viewers.known(stranger).is_none(), "{stranger}");
        }
        let twice = ["ada".to_owned(), "ada".to_owned()];
        assert!(matches!(Viewers::of(&twice), Err(Error::Twice(_))));
        let many: Vec<String> = (0..=MOST).map(|n| n.to_string()).collect();
        assert!(matches!(Viewers::of(&many), Err(Error::TooMany(33))));
    }
}
