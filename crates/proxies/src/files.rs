//! Files of a configuration, read within bounds.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::budget::{Budget, Counted, Short};
use crate::{Error, Limits};

/// What gives files. The host's own, those below a container's root, or a test's.
pub trait Files {
    /// The bytes of a file: all of them, or at least `at_most` bytes of one that is longer.
    ///
    /// # Errors
    /// Whatever reading it is answered.
    fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>>;

    /// The names in a folder, in any order: all of them, or at least `at_most` of one that has more.
    ///
    /// # Errors
    /// Whatever reading it is answered.
    fn names(&self, folder: &Path, at_most: usize) -> io::Result<Vec<OsString>>;
}

/// The files of one program, and how much more of them is read.
pub struct Bounded<'a> {
    files: &'a dyn Files,
    pub(crate) budget: Budget<'a>,
}

/// A path that is longer is answered ENAMETOOLONG (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

impl<'a> Bounded<'a> {
    /// Files, of which so much is read while `is_late` does not hold; it is asked with every word.
    pub fn new(files: &'a dyn Files, limits: Limits, is_late: &'a dyn Fn() -> bool) -> Self {
        Self { files, budget: Budget::new(limits, is_late) }
    }

    /// The bytes of a file, or what was answered; an error if it is too much.
    pub(crate) fn read(&mut self, file: &Path) -> Result<io::Result<Vec<u8>>, Error> {
        let short = |short: Short| short.at(file);
        self.budget.spend(Counted::Files, 1).map_err(short)?;
        let bytes = match self.files.read(file, self.budget.left(Counted::Bytes).saturating_add(1)) {
            Ok(bytes) => bytes,
            Err(answer) => return Ok(Err(answer)),
        };
        self.budget.spend(Counted::Bytes, bytes.len()).map_err(short)?;
        Ok(Ok(bytes))
    }

    /// The bytes of a file that must be there.
    pub(crate) fn read_needed(&mut self, file: &Path) -> Result<Vec<u8>, Error> {
        self.read(file)?.map_err(|answer| Error::Read { file: file.to_path_buf(), answer: answer.to_string() })
    }

    /// Whether a file is there and can be read.
    pub(crate) fn has(&self, file: &Path) -> bool {
        self.files.read(file, 1).is_ok()
    }

    /// The names in a folder, sorted by their bytes; or what was answered; an error if it is too much.
    pub(crate) fn names(&mut self, folder: &Path) -> Result<io::Result<Vec<OsString>>, Error> {
        let answer = self.files.names(folder, self.budget.left(Counted::Names));
        let count = answer.as_ref().map_or(0, Vec::len);
        self.budget.spend(Counted::Names, count.saturating_add(1)).map_err(|short| short.at(folder))?;
        Ok(answer.map(|mut names| {
            names.sort();
            names
        }))
    }

    /// The files that a pattern of glob(3) matches, sorted; a path without a pattern is itself.
    pub(crate) fn matching(&mut self, pattern: &Path) -> Result<Vec<PathBuf>, Error> {
        if pattern.as_os_str().len() > LONGEST_PATH {
            return Ok(Vec::new());
        }
        let mut found = vec![PathBuf::new()];
        for part in pattern.components() {
            let part = part.as_os_str();
            if is_pattern(&part.to_string_lossy()) {
                let wanted: Vec<char> = part.to_string_lossy().chars().collect();
                for folder in std::mem::take(&mut found) {
                    for name in self.names(&folder)?.unwrap_or_default() {
                        self.budget.look().map_err(|short| short.at(&folder))?;
                        if matches(&wanted, &name) {
                            found.push(folder.join(name));
                        }
                    }
                }
            } else {
                for path in &mut found {
                    path.push(part);
                }
            }
        }
        Ok(found)
    }
}

/// Whether a path is a pattern, as NGINX tells it.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// glob(7), without the names that begin with a dot.
fn matches(pattern: &[char], name: &OsString) -> bool {
    let name: Vec<char> = name.to_string_lossy().chars().collect();
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    // Where the last star stood, and how much of the name it has taken.
    let (mut at, mut of_name, mut star) = (0, 0, None);
    while let Some(c) = name.get(of_name) {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, of_name));
            at += 1;
        } else if let Some(length) = pattern.get(at..).and_then(|rest| one(rest, *c)) {
            at += length;
            of_name += 1;
        } else if let Some((star_at, taken)) = star {
            star = Some((star_at, taken + 1));
            at = star_at + 1;
            of_name = taken + 1;
        } else {
            return false;
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// How many characters of a pattern stand for a character, if they do.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', rest @ ..] => match class(rest, c) {
            Some((length, holds)) => holds.then_some(length + 1),
            None => (c == '[').then_some(1),
        },
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

/// The length of a class behind its `[`, and whether a character is of it; nothing where it does not end.
fn class(rest: &[char], c: char) -> Option<(usize, bool)> {
    let negated = matches!(rest.first(), Some('!' | '^'));
    let begin = usize::from(negated);
    let end = begin + 1 + rest.get(begin + 1..)?.iter().position(|c| *c == ']')?;
    let mut members = rest.get(begin..end)?;
    let mut holds = false;
    while let Some((first, after)) = members.split_first() {
        if let ['-', last, after @ ..] = after {
            holds |= (*first..=*last).contains(&c);
            members = after;
        } else {
            holds |= *first == c;
            members = after;
        }
    }
    Some((end + 1, holds != negated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_glob_does() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            ("*.conf", "a.conf.bak", false),
            ("*", "anything", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[0-9]*", "10-site", true),
            ("[0-9]*", "site", false),
            ("[!0-9]*", "site", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[", "[", true),
            ("[]x]", "]", true),
        ] {
            let pattern: Vec<char> = pattern.chars().collect();
            assert_eq!(matches(&pattern, &name.into()), expected, "{pattern:?} {name}");
        }
    }
}
