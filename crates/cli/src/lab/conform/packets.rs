//! Packets in words.

use plimsoll_lab::conform::Played;
use plimsoll_model::{Layer4, Tuple};
use plimsoll_scenario::Side;
use plimsoll_twin::Capabilities;
use plimsoll_twin::packet::{Content, Packet, Segment, flags};
use plimsoll_twin::parse::{self, Checksums};

/// A packet in a line: when, who, what.
pub(super) fn line(played: &Played, capabilities: &Capabilities) -> String {
    let from = match played.from {
        Side::Client => "client",
        Side::Server => "server",
    };
    let what = match parse::packet(&played.bytes, Checksums::Verified, capabilities) {
        Packet::Flow { tuple, content } => match content {
            Content::Tcp(segment) => format!("{} {}", self::tuple(&tuple), self::segment(&segment)),
            Content::Sctp(chunks) => {
                let bytes: Vec<_> = chunks.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{} tag {:08x}, chunks {}", self::tuple(&tuple), chunks.tag, bytes.join(""))
            }
            Content::Plain => self::tuple(&tuple),
            Content::Malformed => format!("{}, malformed", self::tuple(&tuple)),
        },
        Packet::IcmpError(error) => match error.about {
            Some(about) => format!("ICMP error to {} about {}", error.destination, self::tuple(&about)),
            None => format!("ICMP error to {} about nothing that can be told", error.destination),
        },
        Packet::Unwatched => "ICMPv6 that is never tracked".to_string(),
        Packet::Unreadable => "a packet whose transport header cannot be read".to_string(),
    };
    format!("{:>8.3} s {from}: {what}", played.at.as_secs_f64())
}

/// A tuple: protocol, source and destination.
pub(super) fn tuple(tuple: &Tuple) -> String {
    let Tuple { source, destination, protocol, .. } = tuple;
    match tuple.layer4 {
        Layer4::Ports { source: from, destination: to } => {
            format!("{protocol} {source} port {from} to {destination} port {to}")
        }
        Layer4::Icmp { id, kind, code } => {
            format!("{protocol} {source} to {destination} type {kind} code {code} id {id}")
        }
        Layer4::None => format!("{protocol} {source} to {destination}"),
    }
}

fn segment(segment: &Segment) -> String {
    const NAMES: [(u8, &str); 8] = [
        (flags::SYN, "SYN"),
        (flags::FIN, "FIN"),
        (flags::RST, "RST"),
        (flags::PSH, "PSH"),
        (flags::ACK, "ACK"),
        (flags::URG, "URG"),
        (flags::ECE, "ECE"),
        (flags::CWR, "CWR"),
    ];
    let set: Vec<_> = NAMES.iter().filter(|(flag, _)| segment.has(*flag)).map(|(_, name)| *name).collect();
    let flags = if set.is_empty() { "no flags".to_string() } else { set.join(",") };
    let mut text = format!(
        "{flags} seq {} ack {} win {} len {}",
        segment.sequence, segment.acknowledgement, segment.window, segment.payload_bytes
    );
    if segment.highest_sack != segment.acknowledgement {
        text.push_str(&format!(" sack to {}", segment.highest_sack));
    }
    if let Some(options) = segment.options {
        if let Some(scale) = options.window_scale {
            text.push_str(&format!(" wscale {scale}"));
        }
        if options.sack_permitted {
            text.push_str(" sackOK");
        }
        if options.window_scale.is_none() && !options.sack_permitted {
            text.push_str(" other options");
        }
    }
    text
}
