//! What a capture holds besides datagrams.

use std::fmt;

/// Why bytes of a capture are no part of any datagram that conntrack sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Frames of other protocols: ARP, 802.2, LLDP, `PPPoE`.
    NotIp,
    /// Frames that end within their link header.
    LinkHeaderCut,
    /// Packets whose IP version is not the one that their frame names, or neither 4 nor 6 (RFC 791, RFC 8200).
    Version,
    /// IPv4 packets whose header length is below 20 bytes (RFC 791 §3.1).
    HeaderLength,
    /// IPv4 packets that are shorter than their header, by their own total length. 0 is taken only from TCP: segmentation
    /// offload leaves it in packets that have not left the machine yet, or in those of more than 65,535 bytes
    /// (`iph_totlen`, linux/ip.h).
    TotalLength,
    /// Packets of which the IP header and the eight bytes behind it were not captured: without ports there is no tuple.
    HeadersCut,
    /// Fragments that were captured in part, or are shorter than a fragment header.
    FragmentCut,
    /// Fragments that contradict the others of their datagram on its end, hold nothing, reach beyond 65,535 bytes, or end
    /// at no multiple of eight bytes though more follow. IPv4 then discards the datagram (`ip_frag_queue`,
    /// `net/ipv4/ip_fragment.c`), IPv6 mostly only the fragment (`nf_ct_frag6_queue`,
    /// `net/ipv6/netfilter/nf_conntrack_reasm.c`).
    FragmentMisfit,
    /// Fragments that hold nothing new.
    FragmentDuplicate,
    /// Fragments for which there was no room.
    FragmentNoRoom,
    /// Datagrams with fragments that overlap (RFC 5722).
    Overlap,
    /// Datagrams of fragments with and without ECN (RFC 3168 §5.3).
    MixedEcn,
    /// Datagrams that put together would be longer than 65,535 bytes.
    TooLong,
    /// IPv4 datagrams between whose fragments came more than 64 other fragments of their sender (`ipfrag_max_dist`).
    Disordered,
    /// Datagrams of which fragments were missing, when the time for them was up or the capture ended.
    Incomplete,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NotIp,
        Self::LinkHeaderCut,
        Self::Version,
        Self::HeaderLength,
        Self::TotalLength,
        Self::HeadersCut,
        Self::FragmentCut,
        Self::FragmentMisfit,
        Self::FragmentDuplicate,
        Self::FragmentNoRoom,
        Self::Overlap,
        Self::MixedEcn,
        Self::TooLong,
        Self::Disordered,
        Self::Incomplete,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotIp => "frames that hold no IP",
            Self::LinkHeaderCut => "frames cut within their link header",
            Self::Version => "packets of a wrong IP version",
            Self::HeaderLength => "packets with an impossible IP header length",
            Self::TotalLength => "packets with a total length below their header's",
            Self::HeadersCut => "packets cut within their headers",
            Self::FragmentCut => "fragments that were not captured whole",
            Self::FragmentMisfit => "fragments that fit no datagram",
            Self::FragmentDuplicate => "fragments that came twice",
            Self::FragmentNoRoom => "fragments too many to keep",
            Self::Overlap => "datagrams with overlapping fragments",
            Self::MixedEcn => "datagrams of fragments with and without ECN",
            Self::TooLong => "datagrams longer than IP allows",
            Self::Disordered => "datagrams with fragments too far apart",
            Self::Incomplete => "datagrams with missing fragments",
        })
    }
}

/// How often each [`Reason`] was met: frames, packets, fragments or datagrams, as the reason says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    counts: [u64; Reason::ALL.len()],
}

impl Skipped {
    /// How often a reason was met.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or_default()
    }

    /// The reasons that were met, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    #[inline]
    pub(crate) fn add(&mut self, reason: Reason) {
        self.add_many(reason, 1);
    }

    #[inline]
    pub(crate) fn add_many(&mut self, reason: Reason, times: u64) {
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count += times;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        for (position, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position);
            let mut skipped = Skipped::default();
            skipped.add(reason);
            assert_eq!(skipped.iter().collect::<Vec<_>>(), [(reason, 1)]);
        }
    }
}
