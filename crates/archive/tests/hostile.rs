//! Damaged files are errors, never a panic, and never more memory than a file of that size may ask for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_archive::{Archive, Error, Limits, Problem, Rows, Writer};

use support::{BEGAN, Folder, origin, rows};

const TABLES: [&str; 4] = ["lives", "gaps", "readings", "changes"];

/// A recording, and its files' contents.
struct Victim {
    folder: Folder,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Victim {
    fn new(count: u32) -> Self {
        let folder = Folder::new();
        let (mut writer, _) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
        for row in rows(count) {
            let _ = writer.write(&row).unwrap();
        }
        let _ = writer.finish(BEGAN).unwrap();
        let path = |table: &str| folder.path().join(table).join("20261126T020304Z-000001.parquet");
        let files = TABLES.iter().map(|table| (path(table), fs::read(path(table)).unwrap())).collect();
        Self { folder, files }
    }

    /// Reads all rows with other contents in one of the files.
    fn read_with(&self, file: usize, contents: &[u8]) -> Vec<Error> {
        let (path, whole) = &self.files[file];
        replace(path, contents);
        let errors = self.read(&TABLES[file..=file]);
        replace(path, whole);
        errors
    }

    /// Reads all rows of some tables.
    fn read(&self, tables: &[&str]) -> Vec<Error> {
        // A damaged file may claim rows for minutes.
        const MOST: usize = 2_000;
        fn errors<T>(rows: Result<Rows<T>, Error>) -> Vec<Error> {
            rows.unwrap().take(MOST).filter_map(Result::err).collect()
        }
        let archive = match Archive::open(self.folder.path()) {
            Ok(archive) => archive,
            Err(error) => return vec![error],
        };
        let of_table = |table: &&str| match *table {
            "lives" => errors(archive.lives()),
            "gaps" => errors(archive.gaps()),
            "readings" => errors(archive.readings()),
            _ => errors(archive.changes()),
        };
        tables.iter().flat_map(of_table).collect()
    }

    /// The file of a table with some bytes, which it must have, replaced by others, everywhere.
    fn replaced(&self, file: usize, from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut contents = self.files[file].1.clone();
        let places: Vec<_> = (0..contents.len()).filter(|at| contents[*at..].starts_with(from)).collect();
        assert!(!places.is_empty());
        for at in places {
            contents[at..at + to.len()].copy_from_slice(to);
        }
        contents
    }
}

/// Anew rather than over the old contents: for that file systems wait for the disk.
fn replace(path: &Path, contents: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, contents).unwrap();
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from((mixed ^ mixed >> 27) >> 16).unwrap() % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x0f, 0xfe, 0x15];
        if self.below(2) == 0 { TELLING[self.below(8)] } else { u8::try_from(self.below(256)).unwrap() }
    }

    /// Where to damage: half of the time in the footer, which is most of a small file's sense.
    fn place(&mut self, contents: &[u8]) -> usize {
        let footer = contents.len().saturating_sub(8).saturating_sub(contents.len() / 4);
        if self.below(2) == 0 { footer + self.below(contents.len() - footer) } else { self.below(contents.len()) }
    }

    fn damage(&mut self, contents: &mut Vec<u8>) {
        match self.below(12) {
            0 => contents.truncate(self.below(contents.len())),
            1 => {
                let at = self.place(contents);
                contents.insert(at, self.byte());
            }
            2 => {
                let at = self.place(contents);
                contents.remove(at);
            }
            3 => {
                let (at, byte) = (self.place(contents), self.byte());
                let to = (at + 1 + self.below(32)).min(contents.len());
                contents[at..to].fill(byte);
            }
            4 => {
                let (from, to) = (self.place(contents), self.place(contents));
                let length = self.below(64).min(contents.len() - from.max(to));
                contents.copy_within(from..from + length, to);
            }
            _ => {
                for _ in 0..=self.below(4) {
                    let at = self.place(contents);
                    contents[at] = self.byte();
                }
            }
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    let rounds = std::env::var("PLIMSOLL_ROUNDS").map_or(4_000, |rounds| rounds.parse().unwrap());
    let victim = Victim::new(60);
    assert!(victim.read(&TABLES).is_empty());
    let mut told = 0;
    for seed in 0..rounds {
        let mut dice = Dice(seed);
        let file = dice.below(4);
        let mut contents = victim.files[file].1.clone();
        dice.damage(&mut contents);
        // Shown by the test's own output if it panics.
        println!("seed {seed}");
        told += usize::from(!victim.read_with(file, &contents).is_empty());
    }
    // Some damage hits what nobody reads.
    assert!(told as u64 > rounds / 2, "{told}");
}

#[test]
fn a_file_that_breaks_off_anywhere_is_told() {
    let victim = Victim::new(10);
    for (file, (_, whole)) in victim.files.iter().enumerate() {
        for length in (0..whole.len()).step_by(7) {
            assert!(!victim.read_with(file, &whole[..length]).is_empty(), "{file} {length}");
        }
    }
}

#[test]
fn a_column_of_another_name_is_a_missing_column_and_one_that_nobody_knows() {
    let victim = Victim::new(10);
    // What may be missing reads as its default.
    assert!(victim.read_with(0, &victim.replaced(0, b"weight", b"weighu")).is_empty());
    assert!(victim.read_with(0, &victim.replaced(0, b"server_bytes", b"server_bytez")).is_empty());
    assert!(victim.read_with(0, &victim.replaced(0, b"state_at", b"state_as")).iter().any(|error| {
        matches!(error, Error::Broken { column: Some("states"), problem: Problem::Path { moments: 0, .. }, .. })
    }));
    let errors = victim.read_with(0, &victim.replaced(0, b"ended_at", b"ended_as"));
    let [Error::Broken { column: Some("ended_at"), problem: Problem::NoColumn, .. }] = errors[..] else {
        panic!("{errors:?}")
    };
}

#[test]
fn a_newer_version_is_refused_with_what_to_do() {
    let victim = Victim::new(10);
    let version = |version: &[u8]| [b"plimsoll.recording.version\x18\x01", version].concat();
    let errors = victim.read_with(3, &victim.replaced(3, &version(b"1"), &version(b"2")));
    assert!(matches!(errors[..], [Error::Newer { version: 2, .. }]), "{errors:?}");
    assert!(errors[0].to_string().ends_with("and this Plimsoll reads version 1; read it with a newer one"));
    let errors = victim.read_with(3, &victim.replaced(3, &version(b"1"), &version(b"x")));
    assert!(matches!(errors[..], [Error::Broken { problem: Problem::Origin { .. }, .. }]), "{errors:?}");
}

#[test]
fn a_table_in_another_ones_folder_is_told() {
    let victim = Victim::new(10);
    let errors = victim.read_with(0, &victim.files[1].1);
    assert!(matches!(&errors[..], [Error::Broken { problem: Problem::Table { .. }, .. }]), "{errors:?}");
}

#[test]
fn only_regular_files_are_opened() {
    let victim = Victim::new(10);
    let path = victim.folder.path().join("lives/20270101T000000Z-000002.parquet");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let errors = victim.read(&TABLES);
    assert!(matches!(&errors[..], [Error::NotAFile { path: told }] if *told == path), "{errors:?}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(victim.read(&TABLES)[..], [Error::NotAFile { .. }]));
}

#[test]
fn what_is_no_recording_is_told() {
    let folder = Folder::new();
    let error = Archive::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NoRecording { .. }), "{error}");
}
