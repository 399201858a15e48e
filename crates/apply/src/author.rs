//! Who asks for a change.

use std::env;
use std::fs;

use plimsoll_model::Untrusted;
use serde::{Deserialize, Serialize};

/// A person, as far as the system knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The user that the process runs as.
    pub uid: u32,
    /// The user that logged in (`/proc/self/loginuid`), whom sudo and su do not change.
    pub login_uid: Option<u32>,
    /// The user that sudo was asked by. It comes from the environment: it is shown escaped.
    pub sudo_user: Option<String>,
}

/// What the kernel shows where nobody logged in (`AUDIT_UID_UNSET`).
const NOBODY: u32 = u32::MAX;

/// Longer names are cut: the journal is bounded.
const LONGEST: usize = 64;

impl Author {
    /// Whoever runs this process.
    pub fn of_this_process() -> Self {
        let login = fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
        Self {
            uid: rustix::process::getuid().as_raw(),
            login_uid: login.filter(|uid| *uid != NOBODY),
            sudo_user: env::var("SUDO_USER").ok().map(|name| name.chars().take(LONGEST).collect()),
        }
    }

    /// For people: `alice (uid 0, logged in as 1000)`.
    pub fn shown(&self) -> String {
        let login = self.login_uid.map_or_else(String::new, |uid| format!(", logged in as {uid}"));
        match &self.sudo_user {
            Some(name) => format!("{} (uid {}{login})", Untrusted::from(name.as_str()), self.uid),
            None => format!("uid {}{login}", self.uid),
        }
    }
}
