//! What differs from kernel to kernel.
//!
//! A version does not tell how a kernel behaves: distributions carry fixes back, and release candidates lack them. So each
//! difference has a name, a probe can ask for it (`plimsoll lab conform`), and a version only gives a first guess.

use std::fmt;

use crate::Hz;

/// How a kernel behaves where kernels differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Jiffies a second: expiry is that coarse, and gc's appetite depends on it.
    pub hz: Hz,
    /// What becomes of a TCP segment a little outside the window.
    pub window_excess: WindowExcess,
    /// From when a second SYN may begin a direction's window anew.
    pub window_restart: WindowRestart,
    /// What an RST leaves of an established entry if its sequence number is not exactly the expected one.
    pub inexact_reset: InexactReset,
    /// Whether an RST is checked while the flow closes.
    pub closing_reset: ClosingReset,
    /// Whose RST may answer a SYN that was let through though it did not fit.
    pub ignored_syn_reset: IgnoredSynReset,
    /// What invalid FINs and RSTs of both directions do to an assured entry.
    pub futile_close: FutileClose,
    /// Whether a hash chain may grow without end.
    pub chain_cap: ChainCap,
    /// How expired entries are collected.
    pub collection: Collection,
    /// What a translation does when a range has no port left.
    pub port_reuse: PortReuse,
    /// Whether UDP-Lite has a tracker; without one it is tracked by address alone.
    pub udplite: Tracker,
    /// Bytes of an entry's object in its slab.
    pub object_bytes: u32,
    /// Which entries carry the cache for events.
    pub event_cache: EventCache,
}

macro_rules! ways {
    ($($(#[$doc:meta])* $name:ident { $($(#[$way_doc:meta])* $way:ident $text:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $name {
                $($(#[$way_doc])* $way,)*
            }

            impl $name {
                /// Every way.
                pub const ALL: &[Self] = &[$(Self::$way),*];

                /// In a word or two.
                pub const fn name(self) -> &'static str {
                    match self {
                        $(Self::$way => $text,)*
                    }
                }

                fn named(name: &str) -> Option<Self> {
                    Self::ALL.iter().copied().find(|way| way.name() == name)
                }
            }
        )*
    };
}

ways! {
    /// What becomes of a TCP segment with an old sequence number, an old acknowledgement, or slightly too much data
    /// (`tcp_in_window`).
    WindowExcess {
        /// It is INVALID.
        Invalid "invalid",
        /// It passes and changes nothing, but that data beyond the window count as sent (6.1).
        Passed "passed",
    }

    /// From when a SYN with a higher sequence number begins the window of its direction anew (`tcp_in_window`).
    WindowRestart {
        /// The client's in `SYN_SENT`, the server's in `SYN_RECV`.
        OwnState "own state",
        /// Either's in either state (6.1).
        EitherState "either state",
    }

    /// An RST within an established flow whose sequence number is not the one that the other side has acknowledged; the
    /// state stays, lest a forged RST closes the flow (RFC 5961).
    InexactReset {
        /// The entry keeps the timeout of CLOSE.
        Close "close",
        /// The entry keeps the timeout of unacknowledged data.
        Unacknowledged "unacknowledged",
    }

    /// An RST in `FIN_WAIT`, `CLOSE_WAIT`, `LAST_ACK`, `TIME_WAIT` or CLOSE.
    ClosingReset {
        /// Its sequence number must not be old.
        Checked "checked",
        /// It always closes (5.15).
        Accepted "accepted",
    }

    /// An RST that acknowledges a SYN which was let through in the midst of a flow.
    IgnoredSynReset {
        /// It closes the flow, whichever side sends it.
        FromEither "from either side",
        /// It closes the flow if the SYN's receiver sends it.
        FromReceiver "from the SYN's receiver",
    }

    /// FINs or RSTs outside the window from both sides of an assured flow (`nf_tcp_handle_invalid`).
    FutileClose {
        /// They change nothing.
        Nothing "nothing",
        /// The entry has no more than the timeout of unacknowledged data left (6.1).
        Shortens "shortens the timeout",
    }

    /// How long a hash chain may become.
    ChainCap {
        /// As long as it will.
        None "none",
        /// 50 to 79 entries, drawn for each insert (5.15, `__nf_conntrack_confirm`).
        Drawn "50 to 79",
    }

    /// When gc walks the table (`gc_worker`).
    Collection {
        /// Every two minutes.
        Fixed "every 120 s",
        /// After as long as entries have left on the average, 1 to 60 s, and in slices of 64,000 expired ones a second
        /// (5.15).
        Adaptive "every 1 to 60 s",
    }

    /// What source translation does when the ports that it tries are taken (`nf_nat_used_tuple_harder`).
    PortReuse {
        /// It gives up, and the packet is dropped when its entry is to be inserted.
        Never "never",
        /// It removes an entry of the same tuple that is in `TIME_WAIT` or CLOSE, if sequence numbers went on.
        FromClosed "from closed connections",
    }

    /// Whether a protocol has a tracker of its own.
    Tracker {
        /// It has none, or has none any more.
        Absent "absent",
        /// It has.
        Present "present",
    }

    /// Which new entries carry the cache for events (`nf_ct_ecache_ext_add`).
    EventCache {
        /// All, unless `nf_conntrack_events` is 0.
        Always "always",
        /// With `nf_conntrack_events` at 2, the default, those that are made while somebody listens (5.19).
        WhenHeard "while somebody listens",
    }
}

impl Capabilities {
    /// Linux 5.4.
    pub const LINUX_5_4: Self = Self {
        hz: Hz::COMMON,
        window_excess: WindowExcess::Invalid,
        window_restart: WindowRestart::OwnState,
        inexact_reset: InexactReset::Close,
        closing_reset: ClosingReset::Checked,
        ignored_syn_reset: IgnoredSynReset::FromEither,
        futile_close: FutileClose::Nothing,
        chain_cap: ChainCap::None,
        collection: Collection::Fixed,
        port_reuse: PortReuse::Never,
        udplite: Tracker::Present,
        object_bytes: 320,
        event_cache: EventCache::Always,
    };
    /// Linux 5.10.
    pub const LINUX_5_10: Self = Self::LINUX_5_4;
    /// Linux 5.15.
    pub const LINUX_5_15: Self = Self {
        closing_reset: ClosingReset::Accepted,
        ignored_syn_reset: IgnoredSynReset::FromReceiver,
        chain_cap: ChainCap::Drawn,
        collection: Collection::Adaptive,
        ..Self::LINUX_5_10
    };
    /// Linux 6.1.
    pub const LINUX_6_1: Self = Self {
        window_excess: WindowExcess::Passed,
        window_restart: WindowRestart::EitherState,
        futile_close: FutileClose::Shortens,
        object_bytes: 256,
        event_cache: EventCache::WhenHeard,
        ..Self::LINUX_5_15
    };
    /// Linux 6.12 with Debian's fixes (6.12.117).
    pub const LINUX_6_12: Self =
        Self { inexact_reset: InexactReset::Unacknowledged, port_reuse: PortReuse::FromClosed, ..Self::LINUX_6_1 };
    /// Linux 6.18 up to a fix that 6.18.44 has.
    pub const LINUX_6_18_15: Self = Self { ignored_syn_reset: IgnoredSynReset::FromEither, ..Self::LINUX_6_18 };
    /// Linux 6.18.44.
    pub const LINUX_6_18: Self = Self { port_reuse: PortReuse::FromClosed, ..Self::LINUX_6_1 };

    /// The presets, by the version from which each is the first guess.
    pub const PRESETS: &[(Version, Self)] = &[
        (Version::new(5, 4, 0), Self::LINUX_5_4),
        (Version::new(5, 10, 0), Self::LINUX_5_10),
        (Version::new(5, 15, 0), Self::LINUX_5_15),
        (Version::new(6, 1, 0), Self::LINUX_6_1),
        (Version::new(6, 12, 0), Self::LINUX_6_12),
        (Version::new(6, 18, 0), Self::LINUX_6_18_15),
        (Version::new(6, 18, 44), Self::LINUX_6_18),
    ];

    /// The first guess for a version: the newest preset that is no newer; for older kernels, the oldest.
    pub fn guess(version: Version) -> Self {
        let preset = Self::PRESETS.iter().rev().find(|(from, _)| *from <= version);
        preset.map_or(Self::LINUX_5_4, |(_, capabilities)| *capabilities)
    }

    /// Each capability's name and way, for people.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [
            ("window_excess", self.window_excess.name()),
            ("window_restart", self.window_restart.name()),
            ("inexact_reset", self.inexact_reset.name()),
            ("closing_reset", self.closing_reset.name()),
            ("ignored_syn_reset", self.ignored_syn_reset.name()),
            ("futile_close", self.futile_close.name()),
            ("chain_cap", self.chain_cap.name()),
            ("collection", self.collection.name()),
            ("port_reuse", self.port_reuse.name()),
            ("udplite", self.udplite.name()),
            ("event_cache", self.event_cache.name()),
        ]
        .into_iter()
    }

    /// With the capability of this name going this way; `None` if either is not known.
    #[must_use]
    pub fn with(self, capability: &str, way: &str) -> Option<Self> {
        Some(match capability {
            "window_excess" => Self { window_excess: WindowExcess::named(way)?, ..self },
            "window_restart" => Self { window_restart: WindowRestart::named(way)?, ..self },
            "inexact_reset" => Self { inexact_reset: InexactReset::named(way)?, ..self },
            "closing_reset" => Self { closing_reset: ClosingReset::named(way)?, ..self },
            "ignored_syn_reset" => Self { ignored_syn_reset: IgnoredSynReset::named(way)?, ..self },
            "futile_close" => Self { futile_close: FutileClose::named(way)?, ..self },
            "chain_cap" => Self { chain_cap: ChainCap::named(way)?, ..self },
            "collection" => Self { collection: Collection::named(way)?, ..self },
            "port_reuse" => Self { port_reuse: PortReuse::named(way)?, ..self },
            "udplite" => Self { udplite: Tracker::named(way)?, ..self },
            "event_cache" => Self { event_cache: EventCache::named(way)?, ..self },
            _ => return None,
        })
    }
}

/// A kernel's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The number before the first dot.
    pub major: u16,
    /// The one behind it.
    pub minor: u16,
    /// The one behind the next, which says little of a distribution's kernel.
    pub patch: u16,
}

impl Version {
    /// A version.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Reads the beginning of a release, as `6.1.0-42-cloud-amd64` or `6.18`, which is taken for the last of its kind.
    pub fn of_release(release: &str) -> Option<Self> {
        let mut numbers = release.split(['.', '-', '+']).map(str::parse);
        let [major, minor] = [numbers.next()?.ok()?, numbers.next()?.ok()?];
        let patch = numbers.next().and_then(Result::ok).unwrap_or(u16::MAX);
        Some(Self { major, minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch } = self;
        match *patch {
            0 | u16::MAX => write!(f, "{major}.{minor}"),
            patch => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_between_two_presets_is_guessed_as_the_older_one() {
        let guess = |release| Capabilities::guess(Version::of_release(release).unwrap());
        assert_eq!(guess("6.8.0-45-generic"), Capabilities::LINUX_6_1);
        assert_eq!(guess("6.18.44"), Capabilities::LINUX_6_18);
        assert_eq!(guess("6.18.15-1-generic"), Capabilities::LINUX_6_18_15);
        assert_eq!(guess("7.2"), Capabilities::LINUX_6_18);
        assert_eq!(guess("6.18"), Capabilities::LINUX_6_18);
        assert_eq!(guess("4.19.0"), Capabilities::LINUX_5_4);
        assert_eq!(Version::of_release("unknown"), None);
    }

    #[test]
    fn what_is_named_can_be_had_by_its_name() {
        let named = Capabilities::LINUX_6_18.named();
        let again = named.fold(Capabilities::LINUX_5_4, |capabilities, (capability, way)| {
            capabilities.with(capability, way).unwrap()
        });
        assert_eq!(again, Capabilities { object_bytes: 320, ..Capabilities::LINUX_6_18 });
        assert_eq!(again.with("udplite", "perhaps"), None);
        assert_eq!(again.with("elegance", "none"), None);
    }
}
