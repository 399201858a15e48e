//! Page headers: a little of Thrift's compact protocol.

use super::input::Input;

/// How deep structures lie in each other at most, in what is passed over.
const DEEPEST: u32 = 8;

/// The numbers of a page's header that are of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// Of which type: 0 data, 1 index, 2 dictionary, 3 data of version 2.
    pub(crate) kind: i64,
    /// Bytes of the page when it is no longer compressed.
    pub(crate) bytes: i64,
    /// Bytes of the page in the file.
    pub(crate) bytes_in_file: i64,
    /// The header of its type: its numbers by their fields' numbers.
    pub(crate) fields: Fields,
}

/// Numbers by field; yes is 1, no is 0.
pub(crate) type Fields = [Option<i64>; 9];

/// Takes a page's header; `None` where the bytes are none.
pub(crate) fn page_header(input: &mut Input) -> Option<PageHeader> {
    let mut header = PageHeader::default();
    fields(input, |input, field, kind| {
        match (field, kind) {
            (1, INT) => header.kind = input.zigzag()?,
            (2, INT) => header.bytes = input.zigzag()?,
            (3, INT) => header.bytes_in_file = input.zigzag()?,
            // `data_page_header`, `dictionary_page_header`, `data_page_header_v2`.
            (5 | 7 | 8, STRUCT) => header.fields = numbers(input)?,
            _ => skip(input, kind, DEEPEST)?,
        }
        Some(())
    })?;
    Some(header)
}

const YES: u8 = 1;
const NO: u8 = 2;
const INT: u8 = 5;
const STRUCT: u8 = 12;

fn numbers(input: &mut Input) -> Option<Fields> {
    let mut all = Fields::default();
    fields(input, |input, field, kind| {
        let value = match kind {
            YES => Some(1),
            NO => Some(0),
            4 | INT | 6 => Some(input.zigzag()?),
            _ => {
                skip(input, kind, DEEPEST)?;
                None
            }
        };
        if let Some(to) = usize::try_from(field).ok().and_then(|field| all.get_mut(field)) {
            *to = value;
        }
        Some(())
    })?;
    Some(all)
}

fn fields(input: &mut Input, mut each: impl FnMut(&mut Input, i64, u8) -> Option<()>) -> Option<()> {
    let mut field = 0_i64;
    loop {
        let byte = input.byte()?;
        if byte == 0 {
            return Some(());
        }
        field = match byte >> 4 {
            0 => input.zigzag()?,
            further => field.checked_add(i64::from(further))?,
        };
        each(input, field, byte & 0xf)?;
    }
}

fn skip(input: &mut Input, kind: u8, deepest: u32) -> Option<()> {
    let deepest = deepest.checked_sub(1)?;
    match kind {
        YES | NO => {}
        3 => drop(input.byte()?),
        4 | INT | 6 => drop(input.varint()?),
        7 => drop(input.take(8)?),
        8 => {
            let length = usize::try_from(input.varint()?).ok()?;
            input.take(length)?;
        }
        9 | 10 => {
            let byte = input.byte()?;
            let length = if byte >> 4 == 15 { input.varint()? } else { u64::from(byte >> 4) };
            for _ in 0..length {
                match byte & 0xf {
                    // In lists they take a byte each.
                    YES | NO => drop(input.byte()?),
                    kind => skip(input, kind, deepest)?,
                }
            }
        }
        STRUCT => fields(input, |input, _, kind| skip(input, kind, deepest))?,
        _ => return None,
    }
    Some(())
}
