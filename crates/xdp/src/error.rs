//! What was tried, on what, and what the system answered.

use std::error::Error as StdError;
use std::io;

use plimsoll_ctnetlink::XdpMode;
use plimsoll_model::Untrusted;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such interface.
    #[error("there is no network interface {interface} in this network namespace (`ip link` lists them)")]
    NoInterface {
        /// Which.
        interface: Untrusted,
    },
    /// Another interface has the name by now.
    #[error(
        "{interface} is not the network interface that it was (number {index}, and now {found}): it was made anew, or another one was \
         given its name"
    )]
    Another {
        /// The name.
        interface: Untrusted,
        /// The number of the interface that was meant.
        index: i32,
        /// The number of the one that is called so.
        found: i32,
    },
    /// A program is attached already, and is not replaced.
    #[error(
        "the XDP program {name} (id {id}) is attached to {interface} already, and Plimsoll replaces none: detach it with \
         what attached it, or `ip link set dev {interface} {} off`, if it is not needed",
        ip_word(*mode)
    )]
    Occupied {
        /// The interface.
        interface: Untrusted,
        /// The program's name.
        name: Untrusted,
        /// The program's id.
        id: u32,
        /// How it is attached.
        mode: XdpMode,
    },
    /// Plimsoll's program is attached already.
    #[error("Plimsoll's XDP program is attached to {interface} already: change it, or detach it first")]
    Attached {
        /// The interface.
        interface: Untrusted,
    },
    /// Neither the driver nor the kernel takes the program.
    #[error("no XDP program can be attached to {interface}: {}. Drop by rules (nft) instead", answered(answers))]
    Refused {
        /// The interface.
        interface: Untrusted,
        /// By which ways it was tried, and what was answered.
        answers: Vec<(XdpMode, plimsoll_ctnetlink::Error)>,
    },
    /// Interfaces could not be listed, or a program not be attached or detached.
    #[error("{interface}: {source}{}", rights(source.is_permission()))]
    Netlink {
        /// The interface.
        interface: Untrusted,
        /// What went wrong.
        source: Box<plimsoll_ctnetlink::Error>,
    },
    /// The kernel refused a program or a map.
    #[error("cannot {tried}: {}{}", chain(source.as_ref()), rights(is_permission(source.as_ref())))]
    Bpf {
        /// What was tried.
        tried: &'static str,
        /// What went wrong.
        source: Box<aya::EbpfError>,
    },
    /// The program that is attached is another version's.
    #[error("the XDP program on {interface} is of another version of Plimsoll ({differs}): detach it with that one")]
    OtherVersion {
        /// The interface.
        interface: Untrusted,
        /// In what it differs.
        differs: String,
    },
    /// More networks than there is room for.
    #[error(
        "{networks} networks of IPv{version} are listed, and there is room for {room}: attach with more room, or list fewer"
    )]
    TooMany {
        /// How many.
        networks: usize,
        /// Of which version of IP.
        version: u8,
        /// For how many there is room.
        room: u32,
    },
    /// The clock is not the kernel's own.
    #[error(
        "this process is in a time namespace with an offset, so it cannot tell the kernel when to stop: run Plimsoll outside \
         of it"
    )]
    TimeNamespace,
}

impl Error {
    /// Whether a right is missing.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Netlink { source, .. } => source.is_permission(),
            Self::Bpf { source, .. } => is_permission(source.as_ref()),
            _ => false,
        }
    }

    /// For an error of aya's.
    pub(crate) fn bpf<E: Into<aya::EbpfError>>(tried: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Bpf { tried, source: Box::new(source.into()) }
    }

    /// For an error of netlink's.
    pub(crate) fn netlink(interface: &Untrusted) -> impl Fn(plimsoll_ctnetlink::Error) -> Self {
        move |source| Self::Netlink { interface: interface.clone(), source: Box::new(source) }
    }
}

fn answered(answers: &[(XdpMode, plimsoll_ctnetlink::Error)]) -> String {
    let answered = |(mode, answer): &(XdpMode, _)| match mode {
        XdpMode::Native => format!("in the driver: {answer}"),
        XdpMode::Generic => format!("behind it: {answer}"),
        XdpMode::Offloaded => format!("in the card: {answer}"),
    };
    answers.iter().map(answered).collect::<Vec<_>>().join("; ")
}

/// The word of ip-link(8).
const fn ip_word(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Native => "xdpdrv",
        XdpMode::Generic => "xdpgeneric",
        XdpMode::Offloaded => "xdpoffload",
    }
}

const fn rights(is_missing: bool) -> &'static str {
    if is_missing { " (it takes root, or CAP_SYS_ADMIN and CAP_NET_ADMIN on the host)" } else { "" }
}

/// aya's errors do not tell their causes themselves.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error).skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

pub(crate) fn is_permission(error: &(dyn StdError + 'static)) -> bool {
    is_kind(error, io::ErrorKind::PermissionDenied)
}

pub(crate) fn is_kind(error: &(dyn StdError + 'static), kind: io::ErrorKind) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|answer| answer.kind() == kind))
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
