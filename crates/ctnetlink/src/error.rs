//! What can go wrong, told so that one knows what was tried and what the kernel answered.

use std::fmt;
use std::io;

/// What was asked of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// All entries.
    Dump,
    /// Entries and limit of the namespace.
    TableStatistics,
    /// Counters of each CPU.
    CpuStatistics,
    /// Timeout policies.
    TimeoutPolicies,
    /// Netfilter hooks.
    Hooks,
    /// New entries.
    Create,
    /// That entries be changed or deleted.
    Change,
    /// Single entries.
    Look,
    /// Limits of Open vSwitch's zones.
    ZoneLimits,
    /// Events of entries.
    Events,
    /// Network interfaces and their XDP programs.
    Links,
    /// Addresses of network interfaces.
    Addresses,
    /// That an XDP program be attached to an interface.
    AttachXdp,
    /// That an XDP program be detached from an interface.
    DetachXdp,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dump => "dump the conntrack entries",
            Self::TableStatistics => "read the conntrack table's statistics",
            Self::CpuStatistics => "read conntrack's per-CPU counters",
            Self::TimeoutPolicies => "list conntrack timeout policies",
            Self::Hooks => "list netfilter hooks",
            Self::Create => "create conntrack entries",
            Self::Change => "change or delete conntrack entries",
            Self::Look => "look at a conntrack entry",
            Self::ZoneLimits => "talk to Open vSwitch about its conntrack zones' limits",
            Self::Events => "listen to conntrack events",
            Self::Links => "list network interfaces",
            Self::Addresses => "list addresses of network interfaces",
            Self::AttachXdp => "attach an XDP program to a network interface",
            Self::DetachXdp => "detach an XDP program from a network interface",
        })
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket could not be had.
    #[error("cannot {request}: opening a netlink socket: {answer}")]
    Socket {
        /// What it was for.
        request: Request,
        /// The system's answer.
        answer: io::Error,
    },
    /// The groups that messages are sent to could not be joined.
    #[error("cannot {request}: joining their groups, which takes CAP_NET_ADMIN: {answer}")]
    Subscribe {
        /// What was asked.
        request: Request,
        /// The system's answer.
        answer: io::Error,
    },
    /// An option of the socket could not be set or read.
    #[error("cannot {request}: the socket's option {option}: {answer}")]
    Option {
        /// What was asked.
        request: Request,
        /// The option's name.
        option: &'static str,
        /// The system's answer.
        answer: io::Error,
    },
    /// A file could not be read.
    #[error("cannot {request}: reading {path}: {answer}")]
    File {
        /// What was asked.
        request: Request,
        /// Which.
        path: &'static str,
        /// The system's answer, or what is wrong with the file.
        answer: io::Error,
    },
    /// The request could not be sent.
    #[error("cannot {request}: sending the request: {answer}")]
    Send {
        /// What was asked.
        request: Request,
        /// The system's answer.
        answer: io::Error,
    },
    /// The answer could not be received.
    #[error("cannot {request}: receiving the answer: {answer}")]
    Receive {
        /// What was asked.
        request: Request,
        /// The system's answer.
        answer: io::Error,
    },
    /// The kernel refused the request.
    #[error("cannot {request}: the kernel answered: {answer}")]
    Refused {
        /// What was asked.
        request: Request,
        /// The kernel's answer.
        answer: io::Error,
    },
    /// A datagram was larger than the receive buffer.
    #[error("cannot {request}: an answer of {datagram_bytes} bytes does not fit the buffer of {buffer_bytes}")]
    DatagramTooLarge {
        /// What was asked.
        request: Request,
        /// Its size.
        datagram_bytes: usize,
        /// The buffer's.
        buffer_bytes: usize,
    },
    /// The answer did not hold what it should.
    #[error("cannot {request}: {problem}")]
    Answer {
        /// What was asked.
        request: Request,
        /// What is wrong with it.
        problem: ParseError,
    },
}

impl Error {
    /// Whether a right is missing (`EPERM`, `EACCES`).
    pub fn is_permission(&self) -> bool {
        self.answer().is_some_and(|answer| answer.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether the kernel lacks what was asked for (it has no such protocol, subsystem or message).
    pub fn is_unsupported(&self) -> bool {
        use rustix::io::Errno;
        let unsupported = [Errno::OPNOTSUPP, Errno::INVAL, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT, Errno::NOENT];
        self.answer()
            .and_then(io::Error::raw_os_error)
            .is_some_and(|errno| unsupported.iter().any(|candidate| candidate.raw_os_error() == errno))
    }

    /// What the system answered; `None` where its answer could not be understood.
    pub fn answer(&self) -> Option<&io::Error> {
        match self {
            Self::Socket { answer, .. }
            | Self::Subscribe { answer, .. }
            | Self::Option { answer, .. }
            | Self::File { answer, .. }
            | Self::Send { answer, .. }
            | Self::Receive { answer, .. }
            | Self::Refused { answer, .. } => Some(answer),
            Self::DatagramTooLarge { .. } | Self::Answer { .. } => None,
        }
    }
}

/// What a dump's entries may be found to be wrong in.
impl From<ParseError> for Error {
    fn from(problem: ParseError) -> Self {
        Self::Answer { request: Request::Dump, problem }
    }
}

/// Bytes that are not what the kernel's format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message of type {message_type:#06x}, attribute {attribute}, at byte {offset}: {problem}")]
pub struct ParseError {
    /// `nlmsg_type`: the subsystem in its upper byte.
    pub message_type: u16,
    /// Which attribute.
    pub attribute: AttributePath,
    /// Offset in the datagram: of the header where a length is wrong, else of the value. Never beyond its end.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with the bytes at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something ends before it should.
    #[error("needs {needs} bytes, {has} are left")]
    Truncated {
        /// Bytes needed.
        needs: usize,
        /// Bytes there.
        has: usize,
    },
    /// A length field is smaller than the header that holds it.
    #[error("its length field says {says}, less than its own header")]
    ImpossibleLength {
        /// What the field says.
        says: usize,
    },
    /// A value has a size that its type does not have.
    #[error("has {has} bytes where {expected} are due")]
    WrongSize {
        /// Bytes due.
        expected: usize,
        /// Bytes there.
        has: usize,
    },
    /// An attribute without which the message means nothing is missing.
    #[error("attribute {kind} is missing in it")]
    Missing {
        /// Its type.
        kind: u16,
    },
    /// A number that its type does not allow.
    #[error("its value {value} is out of range")]
    OutOfRange {
        /// The number.
        value: i64,
    },
    /// A message of a type that was not asked for.
    #[error("the message was not asked for")]
    Unexpected,
}

/// Where an attribute is: the types from the outermost inwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributePath {
    kinds: [u16; 4],
    depth: u8,
}

impl AttributePath {
    /// This path as seen from outside the attribute that holds it. Deeper than four levels the innermost are cut.
    pub(crate) fn inside(mut self, kind: u16) -> Self {
        self.kinds.rotate_right(1);
        self.kinds[0] = kind;
        self.depth = (self.depth + 1).min(4);
        self
    }

    /// The types from the outermost inwards; empty for the message itself.
    pub fn kinds(&self) -> &[u16] {
        &self.kinds[..usize::from(self.depth)]
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.depth == 0 {
            return f.write_str("(none)");
        }
        for (level, kind) in self.kinds().iter().enumerate() {
            write!(f, "{}{kind}", if level == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}
