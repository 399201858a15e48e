//! Numbers as bit-packed differences (`DELTA_BINARY_PACKED`).

use super::input::{Input, packed};

/// Numbers as differences.
#[derive(Debug)]
pub(crate) struct Delta {
    input: Input,
    minis_a_block: usize,
    values_a_mini: usize,
    /// Numbers still to come.
    left: u64,
    next: i64,
    block: Block,
}

#[derive(Debug)]
struct Block {
    least: i64,
    widths: Input,
    mini: Input,
    width: u32,
    /// Differences of the miniblock that were taken.
    taken: usize,
}

impl Delta {
    /// `None` where the header makes no sense.
    pub(crate) fn new(mut input: Input) -> Option<Self> {
        let values_a_block = usize::try_from(input.varint()?).ok()?;
        let minis_a_block = usize::try_from(input.varint()?).ok()?;
        let left = input.varint()?;
        let next = input.zigzag()?;
        let values_a_mini = values_a_block.checked_div(minis_a_block)?;
        let usual = values_a_block.is_multiple_of(128) && values_a_mini.is_multiple_of(32);
        let sensible = usual && (32..=1 << 16).contains(&values_a_mini) && minis_a_block <= 1 << 10;
        let nothing = input.split(0)?;
        let block = Block { least: 0, widths: nothing.clone(), mini: nothing, width: 0, taken: values_a_mini };
        sensible.then_some(Self { input, minis_a_block, values_a_mini, left, next, block })
    }

    /// The next number; `None` where there is none.
    pub(crate) fn next(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        let number = self.next;
        if self.left > 0 {
            // Sums wrap, as the format's Encodings.md wants.
            self.next = number.wrapping_add(self.difference()?);
        }
        Some(number)
    }

    fn difference(&mut self) -> Option<i64> {
        if self.block.taken == self.values_a_mini {
            self.next_mini()?;
        }
        let block = &mut self.block;
        let difference = packed(block.mini.rest(), block.width, block.taken);
        block.taken += 1;
        Some(block.least.wrapping_add(difference.cast_signed()))
    }

    fn next_mini(&mut self) -> Option<()> {
        if self.block.widths.rest().is_empty() {
            self.block.least = self.input.zigzag()?;
            self.block.widths = self.input.split(self.minis_a_block)?;
        }
        let width = u32::from(self.block.widths.byte()?);
        if width > 64 {
            return None;
        }
        // Some writers leave out what the last miniblock does not need.
        let bytes = (self.values_a_mini / 8 * width as usize).min(self.input.rest().len());
        self.block.mini = self.input.split(bytes)?;
        self.block.width = width;
        self.block.taken = 0;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_format_is_read() {
        // Encodings.md, example 2, in the smallest block that is allowed: 7, 5, 3, 1, 2, 3, 4, 5.
        let mut bytes = vec![0x80, 0x01, 4, 8, 14, 3, 2, 0, 0, 0];
        // Differences above −2: 0 0 0 3 3 3 3, in two bits each.
        bytes.extend([0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0]);
        let mut numbers = Delta::new(Input::new(bytes)).unwrap();
        let all: Vec<_> = std::iter::from_fn(|| numbers.next()).collect();
        assert_eq!(all, [7, 5, 3, 1, 2, 3, 4, 5]);
    }
}
