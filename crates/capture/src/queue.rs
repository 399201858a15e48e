//! The fragments of one datagram, until all are there.

use crate::fragment::{Ecn, Follows, Fragment, Headers};
use crate::ip::IPV6_HEADER_BYTES;
use crate::skipped::Reason;

/// The longest that the length fields of IPv4 (with its header) and IPv6 (without) can say.
const LONGEST_BYTES: usize = 65_535;

/// What came of one datagram so far. `struct inet_frag_queue` in the kernel (`net/inet_frag.h`).
#[derive(Debug, Default)]
pub(crate) struct Queue {
    first: Option<First>,
    /// The payloads, in the order in which they came.
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    /// By offset. Fragments that come in order prolong the last one; no two are ever joined. This is how the kernel keeps
    /// them, and it shows in what counts as a duplicate.
    runs: Vec<Run>,
    length: Length,
    ecn: Ecn,
}

/// Whether a datagram is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Waits,
    Complete,
}

/// Why a fragment was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It alone is discarded.
    Fragment(Reason),
    /// Its datagram is discarded with it.
    Datagram(Reason),
}

/// The headers of the first fragment, which become those of the datagram.
#[derive(Debug)]
enum First {
    V4(Vec<u8>),
    /// The fragment header is gone, and what followed it is named before.
    V6(Vec<u8>),
}

/// A fragment's payload: `bytes` of it begin at `at` in what was gathered, and at `offset` in the datagram.
#[derive(Clone, Copy, Debug)]
struct Piece {
    offset: u32,
    at: usize,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    start: u32,
    end: u32,
}

/// How long the datagram's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    AtLeast(u32),
    /// The last fragment came.
    Known(u32),
}

impl Default for Length {
    fn default() -> Self {
        Self::AtLeast(0)
    }
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Takes a fragment in, as `ip_frag_queue` (`net/ipv4/ip_fragment.c`) and `nf_ct_frag6_queue`
    /// (`net/ipv6/netfilter/nf_conntrack_reasm.c`) do.
    pub(crate) fn insert(&mut self, fragment: &Fragment<'_>) -> Result<Progress, Refused> {
        let run = self.place(fragment)?;
        self.insert_run(run)?;
        let payload = fragment.payload.get(..(run.end - run.start) as usize).unwrap_or(fragment.payload);
        self.pieces.push(Piece { offset: run.start, at: self.bytes.len(), bytes: payload.len() });
        self.bytes.extend_from_slice(payload);
        self.ecn.join(fragment.ecn);
        if run.start == 0 {
            self.first = Some(First::of(fragment.headers));
        }
        let is_complete = self.first.is_some() && self.length == Length::Known(self.gathered_bytes());
        Ok(if is_complete { Progress::Complete } else { Progress::Waits })
    }

    /// Writes the whole datagram.
    pub(crate) fn assemble(&mut self, datagram: &mut Vec<u8>) -> Result<(), Reason> {
        if self.ecn.is_mixed() {
            return Err(Reason::MixedEcn);
        }
        datagram.clear();
        let Some(first) = &self.first else { return Err(Reason::Incomplete) };
        first.write(self.bytes.len(), self.ecn, datagram)?;
        self.pieces.sort_unstable_by_key(|piece| piece.offset);
        for piece in &self.pieces {
            datagram.extend_from_slice(self.bytes.get(piece.at..piece.at + piece.bytes).unwrap_or_default());
        }
        Ok(())
    }

    /// Where a fragment belongs, if its end agrees with what is known.
    fn place(&mut self, fragment: &Fragment<'_>) -> Result<Run, Refused> {
        let start = fragment.offset;
        let mut end = start + u32::try_from(fragment.payload.len()).unwrap_or(u32::MAX / 2);
        let misfit = match fragment.headers {
            Headers::V4(_) => Refused::Datagram(Reason::FragmentMisfit),
            Headers::V6 { .. } => Refused::Fragment(Reason::FragmentMisfit),
        };
        if matches!(fragment.headers, Headers::V6 { .. }) && end as usize > LONGEST_BYTES {
            return Err(misfit);
        }
        match (fragment.follows, fragment.headers) {
            (Follows::Nothing, _) => {}
            // IPv4 takes what is a multiple of eight, IPv6 nothing at all.
            (Follows::More, Headers::V4(_)) => end -= end % 8,
            (Follows::More, Headers::V6 { .. }) if end.is_multiple_of(8) => {}
            (Follows::More, Headers::V6 { .. }) => return Err(Refused::Datagram(Reason::FragmentMisfit)),
        }
        self.length = match (fragment.follows, self.length) {
            (Follows::Nothing, Length::AtLeast(least)) if end >= least => Length::Known(end),
            (Follows::Nothing, Length::Known(length)) if end == length => Length::Known(end),
            (Follows::More, Length::AtLeast(least)) => Length::AtLeast(least.max(end)),
            (Follows::More, Length::Known(length)) if end <= length => Length::Known(length),
            _ => return Err(misfit),
        };
        if start == end { Err(misfit) } else { Ok(Run { start, end }) }
    }

    /// `inet_frag_queue_insert` (`net/ipv4/inet_fragment.c`): what lies within one run is a duplicate, which RFC 5722 (as
    /// amended by erratum 3089) allows to ignore, and any other overlap is not tolerated.
    fn insert_run(&mut self, run: Run) -> Result<(), Refused> {
        match self.runs.last_mut() {
            Some(last) if run.end <= last.end => {}
            Some(last) if run.start < last.end => return Err(Refused::Datagram(Reason::Overlap)),
            Some(last) if run.start == last.end => {
                last.end = run.end;
                return Ok(());
            }
            _ => {
                self.runs.push(run);
                return Ok(());
            }
        }
        let position = self.runs.partition_point(|other| other.end <= run.start);
        match self.runs.get(position) {
            Some(other) if run.end > other.start => {
                let is_within = run.start >= other.start && run.end <= other.end;
                Err(if is_within {
                    Refused::Fragment(Reason::FragmentDuplicate)
                } else {
                    Refused::Datagram(Reason::Overlap)
                })
            }
            _ => {
                self.runs.insert(position, run);
                Ok(())
            }
        }
    }

    fn gathered_bytes(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

impl First {
    fn of(headers: Headers<'_>) -> Self {
        match headers {
            Headers::V4(header) => Self::V4(header.to_vec()),
            Headers::V6 { bytes, next_header_at, next_header } => {
                let mut headers = bytes.to_vec();
                if let Some(named) = headers.get_mut(next_header_at) {
                    *named = next_header;
                }
                Self::V6(headers)
            }
        }
    }

    /// Writes the headers of a datagram with so much payload behind them.
    fn write(&self, payload_bytes: usize, ecn: Ecn, datagram: &mut Vec<u8>) -> Result<(), Reason> {
        match self {
            Self::V4(header) => {
                let length = length_field(header.len() + payload_bytes)?;
                datagram.extend_from_slice(header);
                if let Some([_, traffic_class, l0, l1, _, _, place0, place1, _, _, sum0, sum1]) =
                    datagram.first_chunk_mut()
                {
                    *traffic_class |= ecn.congestion();
                    [*l0, *l1] = length;
                    [*place0, *place1, *sum0, *sum1] = [0; 4];
                }
                let sum = checksum(datagram);
                if let Some([.., sum0, sum1]) = datagram.first_chunk_mut::<12>() {
                    [*sum0, *sum1] = sum;
                }
            }
            Self::V6(headers) => {
                let length = length_field(headers.len() - IPV6_HEADER_BYTES + payload_bytes)?;
                datagram.extend_from_slice(headers);
                if let Some([_, traffic_class, _, _, l0, l1]) = datagram.first_chunk_mut() {
                    *traffic_class |= ecn.congestion() << 4;
                    [*l0, *l1] = length;
                }
            }
        }
        Ok(())
    }
}

fn length_field(bytes: usize) -> Result<[u8; 2], Reason> {
    u16::try_from(bytes).map(u16::to_be_bytes).map_err(|_| Reason::TooLong)
}

/// Of an IPv4 header, in which the checksum itself is 0 (RFC 1071).
fn checksum(header: &[u8]) -> [u8; 2] {
    let words = header.as_chunks::<2>().0.iter();
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    let folded = (sum >> 16) + (sum & 0xffff);
    // A second carry is all that can be left; the rest of 32 bits is cut off.
    let [_, _, high, low] = (!(folded + (folded >> 16))).to_be_bytes();
    [high, low]
}
