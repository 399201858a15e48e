//! Whether a shield is one.

use plimsoll_model::{Class, Shield};

/// Networks that are listed in one place; more make rules that take long to load, and a journal that is long to read.
const MOST_NETWORKS: usize = 4096;

/// Why a shield is not put up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It would do nothing.
    #[error(
        "a shield without a limit, a source to drop or SYNPROXY does nothing; give --per-source, --drop or --synproxy"
    )]
    Nothing,
    /// A list is too long.
    #[error("{what}: {count} are too many; at most {MOST_NETWORKS} are taken, so name larger networks")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// Its length.
        count: usize,
    },
}

/// Makes sure that a shield does something, and is not too large.
pub fn fit(shield: &Shield) -> Result<(), Unfit> {
    let known = match &shield.class {
        Class::Datagrams { known, .. } => known.len(),
        Class::Syns { .. } | Class::Handshakes { .. } => 0,
    };
    for (what, count) in [
        ("networks that are allowed", shield.allow.len()),
        ("networks that are dropped", shield.drop.len()),
        ("UDP peers that are known", known),
    ] {
        if count > MOST_NETWORKS {
            return Err(Unfit::TooMany { what, count });
        }
    }
    let does_something =
        shield.limits.is_some() || !shield.drop.is_empty() || matches!(shield.class, Class::Handshakes { .. });
    if does_something { Ok(()) } else { Err(Unfit::Nothing) }
}
