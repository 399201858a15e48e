//! What a cell can be: how it is kept in memory, written and read.

use std::fmt;
use std::io::Write as _;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use plimsoll_model::Protocol;
use plimsoll_recording::UnixMicros;

use crate::column::Cells;
use crate::error::Problem;
use crate::word::Word;

/// A kind of cells.
pub(crate) trait Kind: 'static {
    /// As which a cell is kept in memory.
    type Value: Clone + fmt::Debug + Send + Sync + 'static;
    /// As which it lies in files.
    type Physical: DataType;
    /// What documentation and schema call it.
    const CELLS: Cells;
    /// How its values lie in files.
    const LAYOUT: Layout = Layout::Repeating;

    /// Appends values as they lie in files.
    fn encode(values: &[Self::Value], to: &mut Vec<<Self::Physical as DataType>::T>);

    /// Takes a value from a file.
    fn decode(raw: Raw<'_>) -> Result<Self::Value, Problem>;
}

/// What is expected of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// They repeat: a dictionary.
    Repeating,
    /// They are numbers near each other, or that have far fewer bits than their type: differences, bit-packed.
    Close,
    /// Neither.
    Plain,
}

/// A cell as it lies in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    fn int(self) -> Result<i64, Problem> {
        match self {
            Self::Int(value) => Ok(value),
            _ => Err(Problem::Type),
        }
    }

    fn text(self) -> Result<&'a str, Problem> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| Problem::text(bytes, "text in UTF-8")),
            _ => Err(Problem::Type),
        }
    }
}

/// Whole numbers that are not negative, in 32 bits.
pub(crate) struct Small<T>(PhantomData<T>);

impl<T> Kind for Small<T>
where
    T: Copy + fmt::Debug + Into<i32> + TryFrom<i64> + Send + Sync + 'static,
{
    type Value = T;
    type Physical = Int32Type;
    const CELLS: Cells = Cells::Int32;

    fn encode(values: &[T], to: &mut Vec<i32>) {
        to.extend(values.iter().map(|value| (*value).into()));
    }

    fn decode(raw: Raw<'_>) -> Result<T, Problem> {
        let number = raw.int()?;
        T::try_from(number).map_err(|_| Problem::Number { number })
    }
}

/// Ports that hardly repeat.
pub(crate) struct ScatteredPort;

impl Kind for ScatteredPort {
    type Value = u16;
    type Physical = Int32Type;
    const CELLS: Cells = Cells::Int32;
    const LAYOUT: Layout = Layout::Close;

    fn encode(values: &[u16], to: &mut Vec<i32>) {
        Small::<u16>::encode(values, to);
    }

    fn decode(raw: Raw<'_>) -> Result<u16, Problem> {
        Small::<u16>::decode(raw)
    }
}

/// Whole numbers that are not negative, in 64 bits; what is above 2⁶³−1 is written as that.
pub(crate) struct Count;

impl Kind for Count {
    type Value = u64;
    type Physical = Int64Type;
    const CELLS: Cells = Cells::Int64;
    const LAYOUT: Layout = Layout::Close;

    fn encode(values: &[u64], to: &mut Vec<i64>) {
        to.extend(values.iter().map(|value| i64::try_from(*value).unwrap_or(i64::MAX)));
    }

    fn decode(raw: Raw<'_>) -> Result<u64, Problem> {
        let number = raw.int()?;
        u64::try_from(number).map_err(|_| Problem::Number { number })
    }
}

/// The kernel's 32-bit numbers, in 64 bits, since most programs have no unsigned ones.
pub(crate) struct Count32;

impl Kind for Count32 {
    type Value = u32;
    type Physical = Int64Type;
    const CELLS: Cells = Cells::Int64;
    const LAYOUT: Layout = Layout::Close;

    fn encode(values: &[u32], to: &mut Vec<i64>) {
        to.extend(values.iter().map(|value| i64::from(*value)));
    }

    fn decode(raw: Raw<'_>) -> Result<u32, Problem> {
        let number = raw.int()?;
        u32::try_from(number).map_err(|_| Problem::Number { number })
    }
}

/// 64 bits that only name something: those above 2⁶³−1 show as negative numbers.
pub(crate) struct Name64;

impl Kind for Name64 {
    type Value = u64;
    type Physical = Int64Type;
    const CELLS: Cells = Cells::Int64;
    const LAYOUT: Layout = Layout::Close;

    fn encode(values: &[u64], to: &mut Vec<i64>) {
        to.extend(values.iter().map(|value| value.cast_signed()));
    }

    fn decode(raw: Raw<'_>) -> Result<u64, Problem> {
        raw.int().map(i64::cast_unsigned)
    }
}

/// Moments.
pub(crate) struct Moment;

impl Kind for Moment {
    type Value = UnixMicros;
    type Physical = Int64Type;
    const CELLS: Cells = Cells::Moment;
    const LAYOUT: Layout = Layout::Close;

    fn encode(values: &[UnixMicros], to: &mut Vec<i64>) {
        to.extend(values.iter().map(|at| at.0));
    }

    fn decode(raw: Raw<'_>) -> Result<UnixMicros, Problem> {
        raw.int().map(UnixMicros)
    }
}

/// Durations in whole microseconds.
pub(crate) struct Micros;

impl Kind for Micros {
    type Value = Duration;
    type Physical = Int64Type;
    const CELLS: Cells = Cells::Int64;
    const LAYOUT: Layout = Layout::Close;

    fn encode(values: &[Duration], to: &mut Vec<i64>) {
        to.extend(values.iter().map(|lasts| i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX)));
    }

    fn decode(raw: Raw<'_>) -> Result<Duration, Problem> {
        Count::decode(raw).map(Duration::from_micros)
    }
}

/// Numbers that are neither negative nor infinite.
pub(crate) struct Amount;

impl Kind for Amount {
    type Value = f64;
    type Physical = DoubleType;
    const CELLS: Cells = Cells::Double;

    fn encode(values: &[f64], to: &mut Vec<f64>) {
        to.extend_from_slice(values);
    }

    fn decode(raw: Raw<'_>) -> Result<f64, Problem> {
        match raw {
            Raw::Double(value) if value.is_finite() && value >= 0.0 => Ok(value),
            Raw::Double(value) => Err(Problem::Amount { value }),
            _ => Err(Problem::Type),
        }
    }
}

/// Yes or no.
pub(crate) struct Whether;

impl Kind for Whether {
    type Value = bool;
    type Physical = BoolType;
    const CELLS: Cells = Cells::Bool;
    const LAYOUT: Layout = Layout::Plain;

    fn encode(values: &[bool], to: &mut Vec<bool>) {
        to.extend_from_slice(values);
    }

    fn decode(raw: Raw<'_>) -> Result<bool, Problem> {
        match raw {
            Raw::Bool(value) => Ok(value),
            _ => Err(Problem::Type),
        }
    }
}

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
