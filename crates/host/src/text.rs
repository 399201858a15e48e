//! A file's lines and words, with their place for errors.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Error;

/// A file as it was read. Nothing says that it is UTF-8.
#[derive(Debug)]
pub(crate) struct Text {
    path: PathBuf,
    content: Vec<u8>,
}

/// A line of it, without its newline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    path: &'a Path,
    number: usize,
    bytes: &'a [u8],
}

impl Text {
    pub(crate) const fn new(path: PathBuf, content: Vec<u8>) -> Self {
        Self { path, content }
    }

    /// The content without the newline that ends it.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.content.strip_suffix(b"\n").unwrap_or(&self.content)
    }

    /// The lines that are not empty.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let lines = self.content.split(|byte| *byte == b'\n').enumerate();
        lines.map(|(at, bytes)| Line { path: &self.path, number: at + 1, bytes }).filter(|line| !line.bytes.is_empty())
    }

    /// The whole file as one number.
    pub(crate) fn number<T: FromStr>(&self) -> Result<T, Error> {
        parse(self.content.trim_ascii()).ok_or_else(|| Error::Malformed {
            path: self.path.clone(),
            line: None,
            item: shortened(&self.content),
            problem: NOT_A_NUMBER,
        })
    }

    /// Something is wrong with the file as a whole.
    pub(crate) fn error(&self, problem: &'static str) -> Error {
        Error::Malformed { path: self.path.clone(), line: None, item: Vec::new(), problem }
    }
}

impl<'a> Line<'a> {
    /// One that was read by itself, by its number from 1.
    pub(crate) const fn new(path: &'a Path, number: usize, bytes: &'a [u8]) -> Self {
        Self { path, number, bytes }
    }

    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Words between white space.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }

    /// A word of this line as a decimal number.
    pub(crate) fn number<T: FromStr>(&self, word: &[u8]) -> Result<T, Error> {
        parse(word).ok_or_else(|| self.error(word, NOT_A_NUMBER))
    }

    /// Something is wrong with words of this line.
    pub(crate) fn error(&self, item: &[u8], problem: &'static str) -> Error {
        Error::Malformed { path: self.path.to_owned(), line: Some(self.number), item: shortened(item), problem }
    }
}

const NOT_A_NUMBER: &str = "is not a number that fits";

fn parse<T: FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Enough of what was found to recognise it by.
fn shortened(item: &[u8]) -> Vec<u8> {
    item.iter().take(80).copied().collect()
}
