//! Pages of a column in a row group.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

use super::hybrid::Hybrid;
use super::input::Input;
use super::thrift::{Fields, PageHeader, page_header};
use crate::error::Problem;

/// No page that is read is larger: usual ones have at most 1 MiB, and those of programs that make one page of a hundred
/// thousand rows a few.
const MOST_PAGE_BYTES: u64 = 8 << 20;

/// No dictionary that is read is larger: usual ones have at most 1 MiB, and grow in memory to some times as much.
const MOST_DICTIONARY_BYTES: u64 = 4 << 20;

/// Headers have some dozen bytes; those with statistics of long texts have more.
const HEADER_BYTES: [u64; 2] = [256, 64 << 10];

/// Levels of a column: of how many kinds a cell's absence is, and whether rows have lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    /// The definition level of a cell that is there.
    pub(crate) present: u32,
    /// The definition level from which on a list has an element; 0 where there is no list.
    pub(crate) element: u32,
    /// 1 where rows have lists.
    pub(crate) repeated: u32,
}

/// The pages, one after the other.
#[derive(Debug)]
pub(crate) struct Pages {
    file: Arc<File>,
    at: u64,
    end: u64,
    compression: Compression,
    levels: Levels,
}

/// A page.
pub(crate) enum Page {
    /// What data pages refer to.
    Dictionary { values: Input, count: usize },
    /// Cells.
    Data { cells: u64, repetitions: Option<Hybrid>, definitions: Option<Hybrid>, values: Input, encoding: i64 },
}

impl Pages {
    pub(crate) fn new(file: Arc<File>, chunk: &ColumnChunkMetaData, levels: Levels) -> Result<Self, Problem> {
        let begins = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        // Some writers give an offset of 0 for no dictionary.
        let begins = if begins > 0 { begins } else { chunk.data_page_offset() };
        let place = || {
            let at = u64::try_from(begins.min(chunk.data_page_offset())).ok()?;
            Some((at, at.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?))
        };
        let (at, end) = place().ok_or(Problem::Damaged("the place of a column"))?;
        Ok(Self { file, at, end, compression: chunk.compression(), levels })
    }

    /// The next page; `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Page>, Problem> {
        while self.at < self.end {
            let header = self.header()?;
            let most = if header.kind == 2 { MOST_DICTIONARY_BYTES } else { MOST_PAGE_BYTES };
            page_size(header.bytes, most)?;
            let length = page_size(header.bytes_in_file, most)?;
            if length > self.end - self.at {
                return Err(Problem::Damaged("the length of a page"));
            }
            let content = self.read(length)?;
            match header.kind {
                0 => return self.data(&header, content).map(Some),
                // Nobody is known to write index pages.
                1 => {}
                2 => return self.dictionary(&header, content).map(Some),
                3 => return self.data_v2(&header, content).map(Some),
                number => return Err(Problem::Unsupported { what: "a type of pages", number }),
            }
        }
        Ok(None)
    }

    fn header(&mut self) -> Result<PageHeader, Problem> {
        for most in HEADER_BYTES {
            let begin = self.at;
            let length = most.min(self.end - begin);
            let mut input = Input::new(self.read(length)?);
            let header = page_header(&mut input);
            self.at = begin + length - input.rest().len() as u64;
            if let Some(header) = header {
                return Ok(header);
            }
            self.at = begin;
        }
        Err(Problem::Damaged("a page's header"))
    }

    fn read(&mut self, length: u64) -> Result<Vec<u8>, Problem> {
        let length_here = usize::try_from(length).map_err(|_| Problem::Damaged("the length of a page"))?;
        let mut bytes = vec![0; length_here];
        // The system's answer adds nothing: a file that shrank, or a disk that fails.
        self.file.read_exact_at(&mut bytes, self.at).map_err(|_| Problem::Damaged("the place of a page"))?;
        self.at += length;
        Ok(bytes)
    }

    fn dictionary(&self, header: &PageHeader, content: Vec<u8>) -> Result<Page, Problem> {
        let [_, count, encoding, ..] = header.fields;
        match encoding {
            // PLAIN, and what it was called in dictionaries before.
            Some(0 | 2) => {}
            _ => return Err(Problem::Unsupported { what: "a dictionary's encoding", number: encoding.unwrap_or(-1) }),
        }
        let count = count.and_then(|count| usize::try_from(count).ok());
        let count = count.ok_or(Problem::Damaged("the length of a dictionary"))?;
        Ok(Page::Dictionary { values: Input::new(self.unpacked(header.bytes, content)?), count })
    }

    fn data(&self, header: &PageHeader, content: Vec<u8>) -> Result<Page, Problem> {
        const BAD: Problem = Problem::Damaged("a page");
        let [_, cells, encoding, definitions_by, repetitions_by, ..] = header.fields;
        let (cells, encoding) = counted(cells, encoding)?;
        let mut values = Input::new(self.unpacked(header.bytes, content)?);
        let mut levels = |most: u32, by: Option<i64>| {
            if most == 0 {
                return Ok(None);
            }
            if by != Some(3) {
                return Err(Problem::Unsupported { what: "an encoding of levels", number: by.unwrap_or(-1) });
            }
            let length = values.array().map(u32::from_le_bytes).ok_or(BAD)?;
            let input = values.split(length as usize).ok_or(BAD)?;
            Ok(Hybrid::new(input, width_of(most)))
        };
        let repetitions = levels(self.levels.repeated, repetitions_by)?;
        let definitions = levels(self.levels.present, definitions_by)?;
        Ok(Page::Data { cells, repetitions, definitions, values, encoding })
    }

    fn data_v2(&self, header: &PageHeader, content: Vec<u8>) -> Result<Page, Problem> {
        const BAD: Problem = Problem::Damaged("a page");
        let [_, cells, _, _, encoding, definitions, repetitions, is_compressed, _] = header.fields;
        let (cells, encoding) = counted(cells, encoding)?;
        let size = |size: Option<i64>| size.and_then(|size| usize::try_from(size).ok()).ok_or(BAD);
        let (definitions, repetitions) = (size(definitions)?, size(repetitions)?);
        let of_levels = definitions.checked_add(repetitions).ok_or(BAD)?;
        let mut levels = Input::new(content);
        let mut split = |bytes, most| {
            let input = levels.split(bytes).ok_or(BAD)?;
            Ok(if most == 0 { None } else { Hybrid::new(input, width_of(most)) })
        };
        let repetitions = split(repetitions, self.levels.repeated)?;
        let definitions = split(definitions, self.levels.present)?;
        let values = levels.rest().to_vec();
        let bytes = header.bytes.checked_sub(i64::try_from(of_levels).map_err(|_| BAD)?).ok_or(BAD)?;
        let values = if is_compressed == Some(0) || bytes == 0 { values } else { self.unpacked(bytes, values)? };
        Ok(Page::Data { cells, repetitions, definitions, values: Input::new(values), encoding })
    }

    fn unpacked(&self, bytes: i64, content: Vec<u8>) -> Result<Vec<u8>, Problem> {
        const BAD: Problem = Problem::Damaged("what is compressed");
        let bytes = usize::try_from(page_size(bytes, MOST_PAGE_BYTES)?).map_err(|_| BAD)?;
        let unpacked = match self.compression {
            Compression::UNCOMPRESSED => content,
            Compression::SNAPPY => {
                if snap::raw::decompress_len(&content).ok() != Some(bytes) {
                    return Err(BAD);
                }
                snap::raw::Decoder::new().decompress_vec(&content).map_err(|_| BAD)?
            }
            other => return Err(Problem::Unsupported { what: "a compression", number: codec(other) }),
        };
        if unpacked.len() == bytes { Ok(unpacked) } else { Err(BAD) }
    }
}

fn counted(cells: Fields1, encoding: Fields1) -> Result<(u64, i64), Problem> {
    let cells = cells.and_then(|cells| u64::try_from(cells).ok());
    cells.zip(encoding).ok_or(Problem::Damaged("a page's header"))
}

type Fields1 = <Fields as IntoIterator>::Item;

fn page_size(says: i64, most: u64) -> Result<u64, Problem> {
    let says = u64::try_from(says).map_err(|_| Problem::Damaged("the length of a page"))?;
    if says > most { Err(Problem::Page { says, most }) } else { Ok(says) }
}

const fn width_of(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

fn codec(compression: Compression) -> i64 {
    match compression {
        Compression::ZSTD(_) => 6,
        Compression::GZIP(_) => 2,
        Compression::LZO => 3,
        Compression::BROTLI(_) => 4,
        Compression::LZ4 => 5,
        Compression::LZ4_RAW => 7,
        _ => -1,
    }
}
