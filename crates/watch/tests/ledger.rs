//! What was told, over a restart.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use plimsoll_model::{FindingId, Severity};
use plimsoll_watch::Ledger;
use plimsoll_watch::alerts::{Alert, FirstStep, Notice, Trouble};
use plimsoll_watch::ledger::LedgerFile;
use tempfile::TempDir;

/// A folder that goes with the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("told.jsonl")
    }
}

fn alert(finding: FindingId, namespace: Option<&str>) -> Alert {
    Alert {
        trouble: Trouble { finding, namespace: namespace.map(ToString::to_string) },
        severity: Severity::Critical,
        began_at: 1_795_670_766.25,
        title: "\"full\"\nof it".to_string(),
        meaning: "new flows are refused".to_string(),
        first_step: Some(FirstStep { action: "make room".to_string(), command: None }),
    }
}

fn ledger() -> Ledger {
    let (full, flood) = (alert(FindingId::TableFull, Some("host")), alert(FindingId::SynFlood, None));
    let notices = vec![Notice::Raised(full.clone()), Notice::Resolved { alert: flood.clone(), at: 1_795_670_800.5 }];
    let waiting = [("webhook-1".to_string(), notices), ("command-2".to_string(), Vec::new())];
    Ledger { told: vec![full, flood], waiting: waiting.into() }
}

/// What a file holds, and what is complained of.
fn opened(path: &Path) -> (LedgerFile, Ledger, Vec<String>) {
    let complaints = RefCell::new(Vec::new());
    let (file, ledger) = LedgerFile::open(path, &|error| complaints.borrow_mut().push(error.to_string()));
    (file, ledger, complaints.into_inner())
}

#[test]
fn what_is_kept_is_there_again_and_is_written_only_when_it_changes() {
    let folder = Folder::new();
    let (mut file, empty, complaints) = opened(&folder.file());
    assert_eq!((empty, complaints), (Ledger::default(), Vec::new()));
    let inode = || fs::metadata(folder.file()).unwrap().ino();
    file.keep(ledger()).unwrap();
    let first = inode();
    file.keep(ledger()).unwrap();
    assert_eq!(inode(), first);

    let (mut file, again, complaints) = opened(&folder.file());
    assert_eq!((&again, complaints), (&ledger(), Vec::new()));
    file.keep(again).unwrap();
    assert_eq!(inode(), first);
    file.keep(Ledger { told: Vec::new(), ..ledger() }).unwrap();
    assert_ne!(inode(), first);
    assert!(opened(&folder.file()).1.told.is_empty());
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn of_a_broken_file_what_makes_sense_is_taken_and_it_is_written_anew() {
    let folder = Folder::new();
    opened(&folder.file()).0.keep(ledger()).unwrap();
    let whole = fs::read_to_string(folder.file()).unwrap();
    let mut lines: Vec<&str> = whole.lines().collect();
    let unknown = lines[1].replace("syn-flood", "of-a-later-version");
    lines[1] = &unknown;
    let last = lines.len() - 1;
    lines[last] = &lines[last][..40];
    lines.insert(0, "\u{0}\u{0}\u{0}");
    fs::write(folder.file(), lines.join("\n")).unwrap();

    let (mut file, read, complaints) = opened(&folder.file());
    assert_eq!(read.told, ledger().told[..1]);
    assert_eq!(read.waiting["webhook-1"], ledger().waiting["webhook-1"][..1]);
    assert!(complaints.len() == 1 && complaints[0].contains("told.jsonl: 3 lines make no sense"), "{complaints:?}");
    file.keep(read.clone()).unwrap();
    let (_, again, complaints) = opened(&folder.file());
    assert_eq!((again, complaints), (read, Vec::new()));
}

#[test]
fn what_is_too_much_is_left_out_and_complained_of() {
    let folder = Folder::new();
    let (mut file, ..) = opened(&folder.file());
    let of = |number: usize| {
        let told = (0..number).map(|number| alert(FindingId::TableFull, Some(&number.to_string()))).collect();
        Ledger { told, ..ledger() }
    };
    // The second time nothing is written.
    for _ in 0..2 {
        let complaint = file.keep(of(4098)).unwrap_err().to_string();
        assert!(complaint.contains("told.jsonl: 2 troubles of more than 4096 are left out"), "{complaint}");
    }
    assert_eq!(opened(&folder.file()).1, of(4096));
    file.keep(of(4096)).unwrap();
}

#[test]
fn one_that_cannot_be_read_or_written_is_complained_of() {
    let folder = Folder::new();
    fs::create_dir(folder.file()).unwrap();
    let (mut file, empty, complaints) = opened(&folder.file());
    assert_eq!(empty, Ledger::default());
    assert!(complaints.len() == 1 && complaints[0].contains("told.jsonl: read: "), "{complaints:?}");
    let refused = file.keep(ledger()).unwrap_err().to_string();
    assert!(refused.contains("told.jsonl: write: ") && refused.contains("--state-dir"), "{refused}");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left beside it");
    fs::remove_dir(folder.file()).unwrap();
    file.keep(ledger()).unwrap();
    assert_eq!(opened(&folder.file()).1, ledger());
}
