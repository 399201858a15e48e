//! Names and passwords.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, rand};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Comparisons that may wait for their turn: one takes a twentieth of a second or more, whoever asks for it.
const WAITING: usize = 8;

/// Who may ask, each with a bcrypt hash. Passwords that were right are remembered as keyed hashes, one a user, until the
/// configuration changes.
pub(crate) struct Users {
    hashes: HashMap<String, Arc<str>>,
    /// The hash that takes longest. An unknown user's password is compared with it, so that time does not tell who exists.
    costliest: Option<Arc<str>>,
    key: hmac::Key,
    verified: Mutex<HashMap<String, hmac::Tag>>,
    turns: Arc<Semaphore>,
}

/// Whether somebody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Yes.
    Granted,
    /// No: a name or password is missing or wrong.
    Refused,
    /// Not now: too many comparisons wait.
    Busy,
}

/// What a client sent.
struct Credentials {
    name: String,
    password: String,
}

impl Users {
    /// Takes names with their hashes, of which each must be one ([`cost`]).
    pub(crate) fn new(hashes: HashMap<String, String>) -> Result<Self, ring::error::Unspecified> {
        let hashes: HashMap<String, Arc<str>> =
            hashes.into_iter().map(|(name, hash)| (name, Arc::from(hash))).collect();
        let costliest = hashes.values().max_by_key(|hash| cost(hash)).cloned();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())?;
        let turns = Arc::new(Semaphore::new(WAITING));
        Ok(Self { hashes, costliest, key, verified: Mutex::default(), turns })
    }

    /// Whether nobody is asked for a password.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Judges an `Authorization` header. The comparison does not hold up other requests.
    pub(crate) async fn judge(&self, authorization: Option<&[u8]>) -> Entry {
        let Some(costliest) = &self.costliest else { return Entry::Granted };
        let Some(credentials) = authorization.and_then(Credentials::parse) else { return Entry::Refused };
        if self.is_remembered(&credentials) {
            return Entry::Granted;
        }
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else { return Entry::Busy };
        let known = self.hashes.get(&credentials.name);
        let hash = Arc::clone(known.unwrap_or(costliest));
        let password = credentials.password.clone();
        let matches = spawn_blocking(move || {
            let matches = bcrypt::verify(&password, &hash).unwrap_or(false);
            drop(turn);
            matches
        })
        .await;
        if known.is_none() || !matches.unwrap_or(false) {
            return Entry::Refused;
        }
        self.remember(credentials);
        Entry::Granted
    }

    fn is_remembered(&self, credentials: &Credentials) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified
            .get(&credentials.name)
            .is_some_and(|tag| hmac::verify(&self.key, credentials.password.as_bytes(), tag.as_ref()).is_ok())
    }

    fn remember(&self, credentials: Credentials) {
        let tag = hmac::sign(&self.key, credentials.password.as_bytes());
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(credentials.name, tag);
    }
}

/// Neither hashes nor what was remembered are shown.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("number", &self.hashes.len()).finish_non_exhaustive()
    }
}

/// The cost of a bcrypt hash; `None` if it is none that a password can be compared with.
pub(crate) fn cost(hash: &str) -> Option<u32> {
    hash.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost()).filter(|cost| (4..=31).contains(cost))
}

impl Credentials {
    /// Those of a header `Basic …` (RFC 7617).
    fn parse(authorization: &[u8]) -> Option<Self> {
        let (scheme, token) = authorization.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(token.trim_ascii()).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        Some(Self { name: name.to_owned(), password: password.to_owned() })
    }
}
