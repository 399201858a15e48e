//! What each protocol makes of a packet.

mod icmp;
pub(crate) mod sctp;
pub(crate) mod tcp;

use plimsoll_model::{Protocol, Status};

use crate::capabilities::{Capabilities, Tracker};
use crate::packet::Content;
use crate::tick::Tick;
use crate::timeouts::Spans;
use crate::{Direction, Settings};

use self::sctp::Sctp;
use self::tcp::{Tcp, Windows};

/// Which tracker a protocol has (`nf_ct_l4proto_find`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Udp,
    UdpLite,
    Icmp,
    Icmpv6,
    Gre,
    Sctp,
    Generic,
}

impl Kind {
    #[inline]
    pub(crate) const fn of(protocol: Protocol, capabilities: &Capabilities) -> Self {
        if matches!(protocol, Protocol::TCP) { Self::Tcp } else { Self::of_another(protocol, capabilities) }
    }

    const fn of_another(protocol: Protocol, capabilities: &Capabilities) -> Self {
        match protocol {
            Protocol::UDP => Self::Udp,
            Protocol::UDPLITE if matches!(capabilities.udplite, Tracker::Present) => Self::UdpLite,
            Protocol::ICMP => Self::Icmp,
            Protocol::ICMPV6 => Self::Icmpv6,
            Protocol::GRE => Self::Gre,
            Protocol::SCTP => Self::Sctp,
            _ => Self::Generic,
        }
    }

    /// Whether two packets that open the same flow at once may both pass (`allow_clash`).
    pub(crate) const fn allows_clash(self) -> bool {
        matches!(self, Self::Udp | Self::UdpLite | Self::Gre | Self::Generic)
    }
}

/// What a tracker keeps of a flow (`union nf_conntrack_proto`), but for TCP's windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Tcp(Tcp),
    Sctp(Sctp),
    Udp(Stream),
    /// GRE keeps the timeouts with which it began.
    Gre {
        timeout: u32,
        stream_timeout: u32,
    },
    Nothing,
}

// It lies in a slot's line, with the entry.
const _: () = assert!(size_of::<Memory>() == 24);

/// When answers make a stream of a UDP flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Behind this moment.
    Behind(Tick),
    /// That moment has passed.
    Now,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    Accepted,
    Invalid,
    /// It passes, and its entry is to be killed.
    Ends,
    /// Its entry is to be killed, and the packet taken again as the first of a flow.
    OpensAgain,
}

/// An entry, as its tracker may see and change it, and all that influences it.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) direction: Direction,
    pub(crate) now: Tick,
    pub(crate) status: Status,
    pub(crate) expires: Tick,
    pub(crate) settings: &'a Settings,
    pub(crate) timeouts: &'a Spans,
    pub(crate) capabilities: &'a Capabilities,
}

/// What a tracker has made of a packet, and of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct After {
    pub(crate) handled: Handled,
    pub(crate) status: Status,
    pub(crate) expires: Tick,
}

impl Context<'_> {
    pub(crate) const fn after(self, handled: Handled) -> After {
        After { handled, status: self.status, expires: self.expires }
    }

    pub(crate) const fn is_confirmed(&self) -> bool {
        self.status.has(Status::CONFIRMED)
    }

    pub(crate) fn set(&mut self, bits: Status) {
        self.status = self.status.and(bits);
    }

    /// Jiffies until the entry expires (`nf_ct_expires`).
    pub(crate) fn left(&self) -> u32 {
        u32::try_from(self.expires.since(self.now)).unwrap_or(0)
    }

    /// Arms the entry. Until it is confirmed, its expiry is a span that counts from then (`__nf_ct_refresh_acct`).
    pub(crate) fn refresh(&mut self, timeout: u32) {
        if self.status.has(Status::FIXED_TIMEOUT) {
            return;
        }
        self.expires = if self.is_confirmed() { self.now.plus(timeout) } else { Tick::from_span(timeout) };
    }
}

impl Memory {
    /// Hands a packet to the tracker (`nf_conntrack_handle_packet`). `original_icmp_type` is the type of the query that
    /// opened the flow.
    #[inline]
    pub(crate) fn take(
        &mut self,
        windows: &mut Windows,
        kind: Kind,
        context: Context<'_>,
        packet: &Content<'_>,
        original_icmp_type: u8,
    ) -> After {
        if let (Kind::Tcp, Content::Tcp(segment)) = (kind, packet) {
            if !matches!(self, Self::Tcp(_)) {
                *self = Self::Tcp(Tcp::default());
            }
            if let Self::Tcp(tcp) = self {
                return tcp.take(windows, context, segment);
            }
        }
        self.take_what_is_not_tcp(kind, context, packet, original_icmp_type)
    }

    /// Apart from TCP, which has the processor's registers to itself.
    #[inline(never)]
    fn take_what_is_not_tcp(
        &mut self,
        kind: Kind,
        mut context: Context<'_>,
        packet: &Content<'_>,
        original_icmp_type: u8,
    ) -> After {
        let handled = match (kind, packet) {
            (Kind::Sctp, Content::Sctp(chunks)) => {
                if !matches!(self, Self::Sctp(_)) {
                    *self = Self::Sctp(Sctp::default());
                }
                if let Self::Sctp(sctp) = self { sctp.take(&mut context, chunks) } else { Handled::Invalid }
            }
            (_, Content::Malformed) | (Kind::Tcp | Kind::Sctp, _) => Handled::Invalid,
            (Kind::Udp, _) => self.take_udp(&mut context),
            (Kind::UdpLite, _) => {
                let Spans { udp, udp_stream, .. } = *context.timeouts;
                Self::take_both_ways(&mut context, udp, udp_stream)
            }
            (Kind::Gre, _) => self.take_gre(&mut context),
            (Kind::Icmp, _) => icmp::take(&mut context, original_icmp_type),
            (Kind::Icmpv6, _) => icmp::take_v6(&mut context, original_icmp_type),
            (Kind::Generic, _) => {
                context.refresh(context.timeouts.generic);
                Handled::Accepted
            }
        };
        context.after(handled)
    }

    /// UDP (`nf_conntrack_udp_packet`): a stream is what still sends, both ways, two seconds after it began.
    fn take_udp(&mut self, context: &mut Context<'_>) -> Handled {
        const STREAM_AFTER_SECS: u32 = 2;
        let stream = match *self {
            Self::Udp(stream) if context.is_confirmed() => stream,
            _ => Stream::Behind(context.now.plus(context.capabilities.hz.jiffies(STREAM_AFTER_SECS))),
        };
        let is_stream = match stream {
            Stream::Behind(moment) => context.now.since(moment) > 0,
            Stream::Now => true,
        };
        // A moment that has passed would come again: ticks wrap.
        *self = Self::Udp(if is_stream { Stream::Now } else { stream });
        if !context.status.has(Status::SEEN_REPLY) || !is_stream {
            context.refresh(context.timeouts.udp);
            return Handled::Accepted;
        }
        context.refresh(context.timeouts.udp_stream);
        if !context.status.has(crate::entry::NAT_CLASH) {
            context.set(Status::ASSURED);
        }
        Handled::Accepted
    }

    /// GRE (`nf_conntrack_gre_packet`).
    fn take_gre(&mut self, context: &mut Context<'_>) -> Handled {
        if !context.is_confirmed() {
            *self = Self::Gre { timeout: context.timeouts.gre, stream_timeout: context.timeouts.gre_stream };
        }
        let (timeout, stream_timeout) = match *self {
            Self::Gre { timeout, stream_timeout } => (timeout, stream_timeout),
            _ => (context.timeouts.gre, context.timeouts.gre_stream),
        };
        Self::take_both_ways(context, timeout, stream_timeout)
    }

    /// What is assured by the first packet behind an answer.
    fn take_both_ways(context: &mut Context<'_>, timeout: u32, stream_timeout: u32) -> Handled {
        if !context.status.has(Status::SEEN_REPLY) {
            context.refresh(timeout);
            return Handled::Accepted;
        }
        context.refresh(stream_timeout);
        if !context.status.has(crate::entry::NAT_CLASH) {
            context.set(Status::ASSURED);
        }
        Handled::Accepted
    }

    /// Whether gc under pressure kills such an entry though it is assured (`can_early_drop`).
    pub(crate) const fn is_closing(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.state().is_closing(),
            Self::Sctp(sctp) => sctp.state().is_closing(),
            _ => false,
        }
    }
}
