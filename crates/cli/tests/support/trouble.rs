//! A trouble that a test begins and ends: connections that are over, and a timeout that forgets them too soon.

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::TcpState;

const TIMEOUT: &str = "net/netfilter/nf_conntrack_tcp_timeout_time_wait";

/// A namespace that may be troubled, removed when dropped with what daemons in it wrote.
pub(crate) struct Troubled(pub(crate) LabNamespace);

impl Troubled {
    /// One without a trouble.
    pub(crate) fn not_yet() -> Self {
        let lab = LabNamespace::tracking().unwrap();
        // So many that the table is read.
        lab.fill(entries(Kind::UdpStream, 0, 24_000)).unwrap();
        lab.fill(entries(Kind::AssuredTcp(TcpState::TimeWait), 0, 6000)).unwrap();
        Self(lab)
    }

    /// The trouble begins: a warning.
    pub(crate) fn begin(&self) {
        self.0.set(TIMEOUT, 5).unwrap();
    }

    /// It ends.
    pub(crate) fn end(&self) {
        self.0.set(TIMEOUT, 120).unwrap();
    }
}
