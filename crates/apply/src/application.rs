//! What has become of an application: a pure function of its journal.

use std::collections::BTreeMap;

use crate::author::Author;
use crate::record::{Because, Begun, Event, FileEdit, Kind, Move, Record, Undone};
use crate::revert::Revert;
use crate::untracked::Untracked;

/// An application, as far as its journal goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// What it is.
    pub begun: Begun,
    /// When it began, in seconds since 1970.
    pub began_unix_secs: u64,
    /// What has become of each change.
    pub changes: Vec<Progress>,
    /// Of changes that leave a service untracked: what was seen of it while each was watched.
    pub untracked: BTreeMap<usize, Untracked>,
    /// Of a governed application: the moves, in their order.
    pub moves: Vec<Moved>,
    /// Of a shield: the share of those who mean well that it may hit, while it is to drop.
    pub max_collateral: Option<f64>,
    /// Of a shield: why it was taken back to shadow last, if it was.
    pub withdrawn: Option<String>,
    /// How far it has come.
    pub phase: Phase,
    /// Who confirmed it, if anybody did.
    pub confirmed_by: Option<Author>,
    /// The files that a confirmation writes, and what became of each when it was undone.
    pub files: Vec<(FileEdit, Option<Undone>)>,
    /// Why it was undone, each time that was tried.
    pub undone_because: Vec<Because>,
    /// When its last record was written, by `CLOCK_BOOTTIME`, in milliseconds.
    pub last_ms: u64,
}

/// How far an application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Changes are being made.
    Applying,
    /// All are made; they are undone at the deadline.
    Awaiting {
        /// By `CLOCK_BOOTTIME`, in milliseconds.
        deadline_ms: u64,
    },
    /// They stay. Files that make them last may still have to be written.
    Confirmed(Lasting),
    /// It is being undone; what could not be undone yet is in the changes.
    Undoing,
    /// It is undone, as far as anything was ours still.
    Ended,
}

/// Whether the files of a confirmed application are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Not all of them, perhaps.
    ToBeWritten,
    /// All of them.
    Written,
}

/// A move of a governed application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which change, and what its sysctl becomes.
    pub to: Move,
    /// When it was known to be made, by `CLOCK_BOOTTIME`, in milliseconds; `None` where it may have been made, or not.
    pub made_at_ms: Option<u64>,
}

/// What has become of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: it was not begun.
    Untouched,
    /// It may have been written, or not.
    Begun,
    /// It was written.
    Written {
        /// When, by `CLOCK_BOOTTIME`, in milliseconds.
        at_ms: u64,
    },
    /// It was undone, or that was tried.
    Undone(Undone),
}

impl Application {
    /// From the records of a journal, or what is wrong with them and at which one, from 0.
    pub fn replay(records: &[Record]) -> Result<Self, (usize, String)> {
        let Some((first, rest)) = records.split_first() else {
            return Err((0, "it is empty".to_string()));
        };
        let Event::Begun(begun) = &first.event else {
            return Err((0, "it does not begin with what is to be done".to_string()));
        };
        if begun.schema != crate::record::SCHEMA {
            return Err((0, "another version of Plimsoll has written it".to_string()));
        }
        if begun.reverts.len() != begun.changes.len() {
            return Err((0, "it has not one revert for each change".to_string()));
        }
        let mut application = Self {
            changes: vec![Progress::Untouched; begun.changes.len()],
            begun: begun.as_ref().clone(),
            untracked: BTreeMap::new(),
            moves: Vec::new(),
            max_collateral: None,
            withdrawn: None,
            began_unix_secs: first.unix_secs,
            phase: Phase::Applying,
            confirmed_by: None,
            files: Vec::new(),
            undone_because: Vec::new(),
            last_ms: first.boottime_ms,
        };
        for (index, record) in rest.iter().enumerate() {
            application.follow(record).map_err(|problem| (index + 1, problem))?;
        }
        Ok(application)
    }

    /// Goes on by one record.
    pub(crate) fn follow(&mut self, record: &Record) -> Result<(), String> {
        self.last_ms = record.boottime_ms;
        match &record.event {
            Event::Begun(_) => return Err("it begins twice".to_string()),
            Event::Writing { change } => *self.change(*change)? = Progress::Begun,
            Event::Written { change } => *self.change(*change)? = Progress::Written { at_ms: record.boottime_ms },
            Event::Moving { moves } => {
                for to in moves {
                    *self.change(to.change)? = Progress::Begun;
                    self.moves.push(Moved { to: *to, made_at_ms: None });
                }
            }
            Event::Moved => {
                for moved in &mut self.moves {
                    moved.made_at_ms.get_or_insert(record.boottime_ms);
                }
                let begun = self.changes.iter_mut().filter(|progress| **progress == Progress::Begun);
                begun.for_each(|progress| *progress = Progress::Written { at_ms: record.boottime_ms });
            }
            Event::Scheduled { .. } => {}
            Event::Enforced { max_collateral } => (self.max_collateral, self.withdrawn) = (Some(*max_collateral), None),
            Event::InShadow { why } => (self.max_collateral, self.withdrawn) = (None, why.clone()),
            Event::Soaked { change, untracked, .. } => {
                self.untracked.extend(untracked.as_deref().map(|untracked| (*change, untracked.clone())));
            }
            Event::Applied { deadline_ms } => self.phase = Phase::Awaiting { deadline_ms: *deadline_ms },
            Event::Confirmed { by, files } => {
                self.phase = Phase::Confirmed(Lasting::ToBeWritten);
                self.confirmed_by = Some(by.clone());
                self.files = files.iter().map(|file| (file.clone(), None)).collect();
            }
            Event::Persisted => self.phase = Phase::Confirmed(Lasting::Written),
            Event::Undoing { because } => {
                self.phase = Phase::Undoing;
                self.undone_because.push(because.clone());
            }
            Event::Undone { change, result } => *self.change(*change)? = Progress::Undone(result.clone()),
            Event::FileRestored { path, result } => {
                let file = self.files.iter_mut().find(|(file, _)| file.path == *path);
                file.ok_or("it restores a file that it never wrote")?.1 = Some(result.clone());
            }
            Event::Ended => self.phase = Phase::Ended,
        }
        Ok(())
    }

    fn change(&mut self, change: usize) -> Result<&mut Progress, String> {
        self.changes.get_mut(change).ok_or_else(|| format!("it has no change {change}"))
    }

    /// Whether a governor moves its sysctls.
    pub fn is_governed(&self) -> bool {
        self.begun.kind == Kind::Governed
    }

    /// Whether it is a shield.
    pub fn is_shield(&self) -> bool {
        self.begun.kind == Kind::Shield
    }

    /// Why it is undone when its deadline has passed.
    pub fn when_over(&self) -> Because {
        if self.is_shield() { Because::Expired } else { Because::NotConfirmed }
    }

    /// What a change's sysctl may be while it is this application's: one value, or two while it is being moved. Nothing of what
    /// is no sysctl.
    pub fn ours(&self, change: usize) -> Vec<u32> {
        let Some(Revert::Sysctl { ours, back, .. }) = self.begun.reverts.get(change) else { return Vec::new() };
        if !self.is_governed() {
            return vec![*ours];
        }
        let mut moves = self.moves.iter().rev().filter(|moved| moved.to.change == change);
        match (moves.next(), moves.next()) {
            (None, _) => Vec::new(),
            (Some(last), _) if last.made_at_ms.is_some() => vec![last.to.to],
            (Some(last), before) => vec![last.to.to, before.map_or(*back, |before| before.to.to)],
        }
    }

    /// The changes that may be in force and are to be undone, the last first.
    pub fn to_undo(&self) -> Vec<usize> {
        let open = |progress: &Progress| match progress {
            Progress::Untouched => false,
            Progress::Begun | Progress::Written { .. } => true,
            Progress::Undone(result) => !result.is_final(),
        };
        (0..self.changes.len()).rev().filter(|change| self.changes.get(*change).is_some_and(open)).collect()
    }

    /// The files that are to be restored.
    pub fn files_to_restore(&self) -> Vec<FileEdit> {
        let open = self.files.iter().filter(|(_, result)| !result.as_ref().is_some_and(Undone::is_final));
        open.map(|(file, _)| file.clone()).collect()
    }

    /// What of its changes and files is left to be undone, if that was tried in vain.
    pub fn remaining(&self) -> Vec<&Undone> {
        let changes = self.changes.iter().filter_map(|progress| match progress {
            Progress::Undone(result) => Some(result),
            _ => None,
        });
        let files = self.files.iter().filter_map(|(_, result)| result.as_ref());
        changes.chain(files).filter(|result| !result.is_final()).collect()
    }

    /// What the last attempt to undo it left of it, in a word for `history`.
    pub fn outcome(&self) -> &'static str {
        match self.phase {
            Phase::Applying if self.is_governed() => "governed",
            Phase::Applying => "being applied",
            Phase::Awaiting { .. } if self.is_shield() => "a shield, until its time is over",
            Phase::Awaiting { .. } => "awaits confirmation",
            Phase::Confirmed(Lasting::ToBeWritten) => "confirmed, files to be written",
            Phase::Confirmed(Lasting::Written) => "confirmed",
            Phase::Undoing if self.remaining().is_empty() => "being undone",
            Phase::Undoing => "undone in part",
            Phase::Ended => "undone",
        }
    }
}
