//! Kinds that are numbers in files.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use parquet::data_type::{BoolType, DoubleType, Int32Type, Int64Type};
use plimsoll_recording::UnixMicros;

use super::{Kind, Layout, Raw};
use crate::column::Cells;
use crate::error::Problem;

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
