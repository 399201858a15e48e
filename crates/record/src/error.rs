//! Why there is no recording.

use std::fmt;

/// What went wrong. `S` is what the place where rows go may answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<S: std::error::Error + 'static> {
    /// The kernel cannot be asked for its entries.
    #[error(
        "cannot ask the kernel for its conntrack entries: it takes {needs}. `modprobe nf_conntrack_netlink` brings what there is"
    )]
    NotAsked {
        /// What it takes.
        needs: String,
    },
    /// The namespace's events are switched off.
    #[error(
        "net.netfilter.nf_conntrack_events is 0: the kernel sends no events. Set it to 2, or record with --no-events, by looks alone"
    )]
    EventsOff,
    /// Netlink failed.
    #[error("{source}{}", Rights(source))]
    Netlink {
        /// What was asked and answered.
        #[from]
        source: plimsoll_ctnetlink::Error,
    },
    /// Reading /proc failed.
    #[error(transparent)]
    Host(#[from] plimsoll_host::Error),
    /// A row could not be kept.
    #[error(transparent)]
    Kept(S),
}

struct Rights<'a>(&'a plimsoll_ctnetlink::Error);

impl fmt::Display for Rights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_permission() {
            f.write_str("; it takes root, or CAP_NET_ADMIN in the namespace's user namespace")?;
        }
        Ok(())
    }
}
