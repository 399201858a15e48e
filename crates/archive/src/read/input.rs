//! Bytes of a page that are taken from the front.

use std::sync::Arc;

/// A part of a page.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    page: Arc<[u8]>,
    at: usize,
    end: usize,
}

impl Input {
    pub(crate) fn new(page: Vec<u8>) -> Self {
        let end = page.len();
        Self { page: page.into(), at: 0, end }
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &[u8] {
        self.page.get(self.at..self.end).unwrap_or_default()
    }

    /// The next bytes, if there are so many.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&[u8]> {
        let to = self.at.checked_add(bytes).filter(|to| *to <= self.end)?;
        let taken = self.page.get(self.at..to);
        self.at = to;
        taken
    }

    /// The next bytes as an input of their own.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Self> {
        let to = self.at.checked_add(bytes).filter(|to| *to <= self.end)?;
        let part = Self { page: Arc::clone(&self.page), at: self.at, end: to };
        self.at = to;
        Some(part)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// An unsigned number in LEB128, of at most 64 bits.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A signed number: 0, −1, 1, −2, … as 0, 1, 2, 3, …
    pub(crate) fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

/// A number of `width` bits (at most 64), `index` such numbers into packed bytes; bits beyond their end are 0.
pub(crate) fn packed(bytes: &[u8], width: u32, index: usize) -> u64 {
    let bit = index * width as usize;
    let from = bytes.get(bit / 8..).unwrap_or_default();
    // Nearly every number lies within eight bytes.
    if width <= 56
        && let Some(window) = from.first_chunk()
    {
        return u64::from_le_bytes(*window) >> (bit % 8) & ((1 << width) - 1);
    }
    let mut window = [0; 16];
    window.iter_mut().zip(from).for_each(|(to, byte)| *to = *byte);
    let number = u128::from_le_bytes(window) >> (bit % 8) & ((1 << width) - 1);
    u64::try_from(number).unwrap_or(u64::MAX)
}
