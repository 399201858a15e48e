//! Kinds that are text in files.

use std::io::Write as _;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};

use parquet::data_type::{ByteArray, ByteArrayType};
use plimsoll_model::Protocol;

use super::{Kind, Raw};
use crate::column::Cells;
use crate::error::Problem;
use crate::word::Word;

/// Addresses, as text.
pub(crate) struct Address;

impl Kind for Address {
    type Value = IpAddr;
    type Physical = ByteArrayType;
    const CELLS: Cells = Cells::Text;

    fn encode(values: &[IpAddr], to: &mut Vec<ByteArray>) {
        encode_texts(values, to, |address, text| match address {
            IpAddr::V4(address) => write_ipv4(*address, text),
            // Writing to memory does not fail.
            IpAddr::V6(address) => drop(write!(text, "{address}")),
        });
    }

    fn decode(raw: Raw<'_>) -> Result<IpAddr, Problem> {
        let text = raw.text()?;
        text.parse().map_err(|_| Problem::text(text.as_bytes(), "an IP address"))
    }
}

/// Protocols: a name, where the kernel has a tracker, or else a number.
pub(crate) struct ProtocolName;

impl Kind for ProtocolName {
    type Value = Protocol;
    type Physical = ByteArrayType;
    const CELLS: Cells = Cells::Text;

    fn encode(values: &[Protocol], to: &mut Vec<ByteArray>) {
        to.extend(values.iter().map(|protocol| match protocol.name() {
            Some(name) => fixed(name),
            None => ByteArray::from(protocol.0.to_string().into_bytes()),
        }));
    }

    fn decode(raw: Raw<'_>) -> Result<Protocol, Problem> {
        let text = raw.text()?;
        let named = || (0..=u8::MAX).map(Protocol).find(|protocol| protocol.name() == Some(text));
        let protocol = text.parse().ok().map(Protocol).or_else(named);
        protocol.ok_or_else(|| Problem::text(text.as_bytes(), "a protocol's name or number"))
    }
}

/// Any text.
pub(crate) struct Text;

impl Kind for Text {
    type Value = String;
    type Physical = ByteArrayType;
    const CELLS: Cells = Cells::Text;

    fn encode(values: &[String], to: &mut Vec<ByteArray>) {
        encode_texts(values, to, |value, text| text.extend_from_slice(value.as_bytes()));
    }

    fn decode(raw: Raw<'_>) -> Result<String, Problem> {
        raw.text().map(str::to_string)
    }
}

/// One of a set of words.
pub(crate) struct Of<W>(PhantomData<W>);

impl<W: Word> Kind for Of<W> {
    type Value = W;
    type Physical = ByteArrayType;
    const CELLS: Cells = Cells::Text;

    fn encode(values: &[W], to: &mut Vec<ByteArray>) {
        to.extend(values.iter().map(|word| fixed(word.word())));
    }

    fn decode(raw: Raw<'_>) -> Result<W, Problem> {
        let text = raw.text()?;
        W::from_word(text).ok_or_else(|| Problem::text(text.as_bytes(), W::WHAT))
    }
}

fn fixed(word: &'static str) -> ByteArray {
    // Of static text nothing is copied.
    ByteArray::from(bytes::Bytes::from_static(word.as_bytes()))
}

/// One piece of memory for all texts, and a part of it for each.
fn encode_texts<T>(values: &[T], to: &mut Vec<ByteArray>, append: impl Fn(&T, &mut Vec<u8>)) {
    let mut text = Vec::with_capacity(values.len() * 16);
    let mut ends = Vec::with_capacity(values.len());
    for value in values {
        append(value, &mut text);
        ends.push(text.len());
    }
    let text = bytes::Bytes::from(text);
    let mut from = 0;
    for end in ends {
        to.push(ByteArray::from(text.slice(from..end)));
        from = end;
    }
}

/// A third of what the standard library takes: four times for each life this counts.
fn write_ipv4(address: Ipv4Addr, to: &mut Vec<u8>) {
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            to.push(b'.');
        }
        if octet >= 100 {
            to.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            to.push(b'0' + octet / 10 % 10);
        }
        to.push(b'0' + octet % 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_is_written_as_the_standard_library_does() {
        for bits in [0, 1, 9, 10, 99, 100, 255, 0x0a0a_0a0a, 0x6364_ff00, u32::MAX] {
            let address = Ipv4Addr::from_bits(bits);
            let mut text = Vec::new();
            write_ipv4(address, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), address.to_string());
        }
    }
}
