//! Values of a page.

use std::sync::Arc;

use parquet::basic::Type as Physical;

use super::delta::Delta;
use super::hybrid::Hybrid;
use super::input::{Input, packed};
use crate::error::Problem;
use crate::kind::{Kind, Raw};

/// Where a page's values come from.
pub(crate) enum Values<K: Kind> {
    /// From no page yet.
    None,
    /// A dictionary.
    Indexed { dictionary: Arc<[K::Value]>, indices: Hybrid },
    /// One after the other.
    Plain(Plain),
    /// Differences.
    Delta(Delta),
    /// Booleans in runs.
    Runs(Hybrid),
}

impl<K: Kind> Values<K> {
    pub(crate) fn new(
        physical: Physical,
        encoding: i64,
        mut input: Input,
        dictionary: Option<&Arc<[K::Value]>>,
    ) -> Result<Self, Problem> {
        const BAD: Problem = Problem::Damaged("a page of values");
        Ok(match (encoding, physical) {
            (0, _) => Self::Plain(Plain { physical, input, bit: 0 }),
            // PLAIN_DICTIONARY and RLE_DICTIONARY.
            (2 | 8, _) => {
                let dictionary = dictionary.ok_or(Problem::Damaged("a page without its dictionary"))?;
                // A page in which all is null may be empty.
                let width = input.byte().unwrap_or(0);
                let indices = Hybrid::new(input, u32::from(width)).ok_or(BAD)?;
                Self::Indexed { dictionary: Arc::clone(dictionary), indices }
            }
            (3, Physical::BOOLEAN) => {
                let length = input.array().map(u32::from_le_bytes).ok_or(BAD)?;
                let input = input.split(length as usize).ok_or(BAD)?;
                Self::Runs(Hybrid::new(input, 1).ok_or(BAD)?)
            }
            (5, Physical::INT32 | Physical::INT64) => Self::Delta(Delta::new(input).ok_or(BAD)?),
            (number, _) => return Err(Problem::Unsupported { what: "an encoding of values", number }),
        })
    }

    pub(crate) fn next(&mut self) -> Result<K::Value, Problem> {
        const BAD: Problem = Problem::Damaged("a page of values");
        match self {
            Self::None => Err(BAD),
            Self::Indexed { dictionary, indices } => {
                let index = indices.next().ok_or(BAD)?;
                dictionary.get(index as usize).cloned().ok_or(BAD)
            }
            Self::Plain(plain) => plain.next().and_then(K::decode),
            Self::Delta(delta) => delta.next().ok_or(BAD).and_then(|number| K::decode(Raw::Int(number))),
            Self::Runs(bits) => bits.next().ok_or(BAD).and_then(|bit| K::decode(Raw::Bool(bit != 0))),
        }
    }
}

/// Reads a dictionary.
pub(crate) fn dictionary<K: Kind>(physical: Physical, input: Input, count: usize) -> Result<Arc<[K::Value]>, Problem> {
    let mut plain = Plain { physical, input, bit: 0 };
    // The count is not trusted: memory grows with what is there.
    (0..count).map(|_| plain.next().and_then(K::decode)).collect()
}

/// Values one after the other.
pub(crate) struct Plain {
    physical: Physical,
    input: Input,
    /// Booleans that were taken.
    bit: usize,
}

impl Plain {
    fn next(&mut self) -> Result<Raw<'_>, Problem> {
        let input = &mut self.input;
        let raw = match self.physical {
            Physical::INT32 => input.array().map(i32::from_le_bytes).map(i64::from).map(Raw::Int),
            Physical::INT64 => input.array().map(i64::from_le_bytes).map(Raw::Int),
            Physical::DOUBLE => input.array().map(f64::from_le_bytes).map(Raw::Double),
            Physical::BOOLEAN => {
                let there = self.bit < input.rest().len() * 8;
                let bit = packed(input.rest(), 1, self.bit);
                self.bit += 1;
                there.then_some(Raw::Bool(bit != 0))
            }
            Physical::BYTE_ARRAY => match input.array().map(u32::from_le_bytes) {
                Some(length) => input.take(length as usize).map(Raw::Bytes),
                None => None,
            },
            Physical::INT96 | Physical::FLOAT | Physical::FIXED_LEN_BYTE_ARRAY => return Err(Problem::Type),
        };
        raw.ok_or(Problem::Damaged("a page of values"))
    }
}
