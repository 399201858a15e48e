//! The byte order of the machine that wrote a file.

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    pub(crate) const fn u16(self, bytes: [u8; 2]) -> u16 {
        let read = u16::from_ne_bytes(bytes);
        match self {
            Self::Little => u16::from_le(read),
            Self::Big => u16::from_be(read),
        }
    }

    #[inline]
    pub(crate) const fn u32(self, bytes: [u8; 4]) -> u32 {
        let read = u32::from_ne_bytes(bytes);
        match self {
            Self::Little => u32::from_le(read),
            Self::Big => u32::from_be(read),
        }
    }

    #[inline]
    pub(crate) const fn i64(self, bytes: [u8; 8]) -> i64 {
        let read = i64::from_ne_bytes(bytes);
        match self {
            Self::Little => i64::from_le(read),
            Self::Big => i64::from_be(read),
        }
    }
}
