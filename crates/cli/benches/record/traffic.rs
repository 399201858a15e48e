//! The flows that are listened to: real packets through a router, the same for whoever listens.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use plimsoll_lab::{LabNamespace, Played, Router};
use plimsoll_scenario::{Scenario, Size};

use crate::socket::{self, Socket};

/// What the flows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Connections of a request each: seven events.
    Tcp,
    /// One packet that is not answered: two events.
    Udp,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    const fn packets(self) -> &'static str {
        match self {
            Self::Tcp => "> syn\n< syn-ack\n> ack\n> data 200\n< data 800\n> fin\n< fin\n> ack",
            Self::Udp => "> udp 40",
        }
    }

    /// `NEW`, an `UPDATE` for each state that follows, `DESTROY`.
    const fn events_a_flow(self) -> u64 {
        match self {
            Self::Tcp => 7,
            Self::Udp => 2,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "short TCP connections",
            Self::Udp => "UDP packets, a flow each",
        })
    }
}

/// How long flows stay in the table after their last packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// A second: all are gone soon after the last packet.
    Short,
    /// Longer than the run: all are there at once.
    Long,
}

/// Flows, and the router that they pass.
pub(crate) struct Traffic {
    router: Router,
    scenario: Scenario,
    kind: Kind,
    flows: u64,
}

/// How long the table may take to become empty, and the listener to be done.
const PATIENCE: Duration = Duration::from_mins(1);

impl Traffic {
    /// So many flows a second, for so many seconds.
    pub(crate) fn new(kind: Kind, stay: Stay, per_sec: u64, secs: u64) -> anyhow::Result<Self> {
        let flows = per_sec * secs;
        let text = format!(
            "name = \"flows\"\ntitle = \"\"\nabout = \"\"\n\
             [play]\nsecs = {}\ncheck_at_secs = 1\n\
             [[traffic]]\nname = \"flows\"\ncount = {flows}\nuntil_secs = {secs}\n\
             clients = {{ in = \"10.0.0.0/8\", hosts = 20000 }}\n\
             servers = {{ in = \"192.0.2.0/24\", hosts = 50, ports = 443 }}\nscript = \"flow\"\n\
             [scripts.flow]\nrtt_ms = 10\npackets = \"\"\"\n{}\n\"\"\"\n[expect]\nmust = []\n",
            secs + 1,
            kind.packets()
        );
        let scenario = Scenario::parse("flows.toml", &text)?;
        let router = Router::build(&scenario).context("the bench needs root")?;
        let secs = if stay == Stay::Short { 1 } else { 600 };
        for timeout in ["tcp_timeout_time_wait", "udp_timeout"] {
            router.namespace().set(&format!("net/netfilter/nf_conntrack_{timeout}"), secs)?;
        }
        Ok(Self { router, scenario, kind, flows })
    }

    pub(crate) const fn flows(&self) -> u64 {
        self.flows
    }

    /// Events that all flows make from begin to end.
    pub(crate) const fn events(&self) -> u64 {
        self.flows * self.kind.events_a_flow()
    }

    pub(crate) fn namespace(&self) -> &LabNamespace {
        self.router.namespace()
    }

    /// Plays all flows in the calling thread.
    pub(crate) fn play(&self) -> anyhow::Result<Played> {
        let played = self.router.play(&self.scenario, 1, Size::default(), &AtomicBool::new(false))?;
        ensure!(played.refused == 0 && played.flows == self.flows, "not every flow was played: {played:?}");
        Ok(played)
    }

    /// Waits until somebody listens.
    pub(crate) fn until_heard(&self) -> anyhow::Result<()> {
        self.until("nobody listens", || Ok(socket::listening()?.is_some()))
    }

    /// Waits until every flow is gone and every event was taken; tells of the socket, if there is one.
    pub(crate) fn until_quiet(&self) -> anyhow::Result<Option<Socket>> {
        // Expired entries that nobody passes stay in the table; a dump frees those it passes.
        self.until("flows do not end", || {
            let mut dump = plimsoll_ctnetlink::RawDump::start()?;
            while dump.next_datagram()?.is_some() {}
            Ok(plimsoll_host::HostFs::new().occupancy()?.0 == 0)
        })?;
        self.until_taken()?;
        self.namespace().enter(socket::listening)?
    }

    /// Waits until every event was taken.
    pub(crate) fn until_taken(&self) -> anyhow::Result<()> {
        self.until("events are not taken", || Ok(socket::listening()?.is_none_or(|socket| socket.waiting_bytes == 0)))
    }

    fn until(&self, otherwise: &str, is_so: impl Fn() -> anyhow::Result<bool> + Send + Sync) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.namespace().enter(&is_so)?? {
            ensure!(began.elapsed() < PATIENCE, "{otherwise}");
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
