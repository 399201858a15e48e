//! Whose flows are: the programs of this machine that have, or had, a socket at one of their ends.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{Interval, Owner, Side, Untrusted};

/// What kind of address a socket was made for. One for IPv6 takes IPv4 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketFamily {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl SocketFamily {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];
}

/// The state of a socket, as its own machine's kernel has it (`include/net/tcp_states.h`). It is not that of the flow's entry: of
/// these two only the socket's says which side has not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketState {
    /// Of TCP: open both ways. Of UDP: connected to one peer.
    Established,
    /// Has asked for a connection.
    SynSent,
    /// Was asked for one.
    SynRecv,
    /// Has closed; the peer has not acknowledged that.
    FinWait1,
    /// Has closed; the peer has not.
    FinWait2,
    /// Both have closed; the kernel keeps it, no program does.
    TimeWait,
    /// Of UDP: bound to a port, to no peer.
    Close,
    /// The peer has closed; the program has not.
    CloseWait,
    /// Has closed after its peer.
    LastAck,
    /// Waits for connections.
    Listen,
    /// Both have closed at once.
    Closing,
    /// One that Plimsoll does not know, by its number.
    Other(u8),
}

impl SocketState {
    /// By the kernel's number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // `TCP_NEW_SYN_RECV` is the same before there is a socket.
            3 | 12 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::Other(number) => return f.pad(&format!("state {number}")),
        })
    }
}

impl Serialize for SocketState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A program of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Program {
    /// The process that holds the sockets; of a parent and its children of one name the parent.
    #[serde(flatten)]
    pub owner: Owner,
    /// The network namespace of its sockets.
    pub namespace: Untrusted,
}

/// Which of a census's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramId(pub u16);

/// Both ends of a flow, as this machine's sockets tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Where it was opened.
    pub client: End,
    /// Where it is answered, after translation.
    pub server: End,
}

impl Ends {
    /// The end of a side.
    pub const fn of(&self, side: Side) -> End {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Neither a socket nor an address tells that it was on this machine.
    NotHere,
    /// There is a socket.
    Open {
        /// Its state.
        state: SocketState,
        /// Who holds it or, where nobody does any more, whose it was, as of one that is closed; `None` where that could not be told.
        by: Option<ProgramId>,
    },
    /// The flow's socket is gone. Known is who listens there, or whose connections from there to the same service come and go.
    Closed {
        /// Who that is.
        by: ProgramId,
    },
    /// It is of this machine, and nothing tells whose: the flow is over, or it is the kernel's own, which needs no socket (VXLAN).
    Unknown {
        /// The state of its socket, where the kernel still keeps that.
        state: Option<SocketState>,
        /// A program that keeps connections from there to the same service, if there is one. That is no sign that it opened this one.
        keeper: Option<ProgramId>,
    },
}

impl End {
    /// Whose it is.
    pub const fn by(self) -> Option<ProgramId> {
        match self {
            Self::NotHere | Self::Unknown { .. } => None,
            Self::Open { by, .. } => by,
            Self::Closed { by } => Some(by),
        }
    }

    /// The state of its socket, where there is one.
    pub const fn state(self) -> Option<SocketState> {
        match self {
            Self::Open { state, .. } => Some(state),
            Self::Unknown { state, .. } => state,
            Self::NotHere | Self::Closed { .. } => None,
        }
    }

    /// Who keeps connections like it, where it is not known whose it was.
    pub const fn keeper(self) -> Option<ProgramId> {
        match self {
            Self::Unknown { keeper, .. } => keeper,
            Self::NotHere | Self::Open { .. } | Self::Closed { .. } => None,
        }
    }
}

/// A program, and how much of a finding's entries are its.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Whose {
    /// At which of their ends it is.
    pub side: Side,
    /// Who.
    #[serde(flatten)]
    pub program: Program,
    /// Share of the finding's entries, from 0 to 1.
    pub share: Interval,
}

impl fmt::Display for Program {
    /// `nginx (process 812, nginx.service)`; with the namespace where that is not the host's and no container tells.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHORT: usize = 12;
        let Owner { pid, command, unit, container, pod, called } = &self.owner;
        write!(f, "{command} (process {pid}")?;
        match (called, container, pod, unit) {
            (Some(called), ..) => write!(f, ", container {called}")?,
            (None, Some(id), ..) => write!(f, ", container {}", id.as_str().get(..SHORT).unwrap_or(id.as_str()))?,
            (None, None, Some(pod), _) => write!(f, ", pod {pod}")?,
            (None, None, None, Some(unit)) => write!(f, ", {unit}")?,
            (None, None, None, None) => {}
        }
        if container.is_none() && self.namespace.as_str() != "host" {
            write!(f, ", in {}", self.namespace)?;
        }
        f.write_str(")")
    }
}
