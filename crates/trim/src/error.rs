//! Why a table was not trimmed.

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel was not asked, because that would have loaded a module; or cannot be.
    #[error(
        "did not ask the kernel for its conntrack entries, which would load a module: it takes {needs}. \
         `modprobe nf_conntrack_netlink` brings what there is"
    )]
    NotAsked {
        /// What it takes.
        needs: String,
    },
    /// Netlink failed.
    #[error("{source}{}", rights(source))]
    Netlink {
        /// What was asked and answered.
        #[from]
        source: plimsoll_ctnetlink::Error,
    },
}

fn rights(error: &plimsoll_ctnetlink::Error) -> &'static str {
    if error.is_permission() { "; it takes root, or CAP_NET_ADMIN in the namespace's user namespace" } else { "" }
}
