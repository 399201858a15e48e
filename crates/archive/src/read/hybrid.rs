//! Parquet's hybrid of runs and bit-packed numbers: levels, indices into dictionaries, booleans.

use super::input::{Input, packed};

/// Numbers of up to 32 bits.
#[derive(Debug)]
pub(crate) struct Hybrid {
    input: Input,
    width: u32,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Same { value: u32, left: u64 },
    Packed { bytes: Input, next: usize, count: usize },
}

impl Hybrid {
    /// `None` for a width that no number has.
    pub(crate) fn new(input: Input, width: u32) -> Option<Self> {
        (width <= 32).then_some(Self { input, width, run: Run::Same { value: 0, left: 0 } })
    }

    /// The next number; `None` where there is none.
    pub(crate) fn next(&mut self) -> Option<u32> {
        loop {
            match &mut self.run {
                Run::Same { value, left } if *left > 0 => {
                    *left -= 1;
                    return Some(*value);
                }
                Run::Packed { bytes, next, count } if *next < *count => {
                    let number = packed(bytes.rest(), self.width, *next);
                    *next += 1;
                    return u32::try_from(number).ok();
                }
                Run::Same { .. } | Run::Packed { .. } => self.run = self.next_run()?,
            }
        }
    }

    fn next_run(&mut self) -> Option<Run> {
        let header = self.input.varint()?;
        let length = header >> 1;
        if header & 1 == 0 {
            let bytes = self.width.div_ceil(8) as usize;
            let mut value = [0; 4];
            value.iter_mut().zip(self.input.take(bytes)?).for_each(|(to, from)| *to = *from);
            return Some(Run::Same { value: u32::from_le_bytes(value), left: length });
        }
        let count = usize::try_from(length).ok()?.checked_mul(8)?;
        // The last group may break off where no number of it is needed.
        let bytes = (count / 8).checked_mul(self.width as usize)?.min(self.input.rest().len());
        // Numbers of no bits take no bytes; that many there cannot be in one page.
        let count = if self.width == 0 { count.min(1 << 24) } else { count.min(bytes * 8 / self.width as usize) };
        Some(Run::Packed { bytes: self.input.split(bytes)?, next: 0, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_packed_numbers_follow_each_other() {
        // Four times 5; then the eight numbers 0 to 7 in three bits each, as the format's Encodings.md has them.
        let bytes = vec![4 << 1, 5, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let mut numbers = Hybrid::new(Input::new(bytes), 3).unwrap();
        let all: Vec<_> = std::iter::from_fn(|| numbers.next()).collect();
        assert_eq!(all, [5, 5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_run_that_breaks_off_ends() {
        let mut numbers = Hybrid::new(Input::new(vec![0xff, 0xff, 0xff, 0xff, 0x0f, 1]), 32).unwrap();
        assert_eq!(numbers.next(), None);
    }
}
