//! The governor of `--govern`, in a thread of its own: an act may take seconds, and readings do not wait for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use plimsoll_apply::{Author, Progress, Undone};
use plimsoll_govern::{Floors, Governor, Outlook, Reading, Rules, Seat, Steward};
use plimsoll_model::{NetworkSettings, Untrusted};
use plimsoll_plan::{Holds, Profile, Role, rails};
use plimsoll_watch::{Board, Told};

use super::log::{Log, Once};
use crate::apply::guardian;

/// A table that more likely than not is full within this time is about to be.
const SOON_SECS: u32 = 900;

/// More likely than not.
const LIKELY: f64 = 0.5;

/// How timeouts are governed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) profile: Profile,
    /// Values below which none goes, before the profile's.
    pub(super) measured: Floors,
    pub(super) rules: Rules,
}

/// The governor. When it ends, or is dropped, timeouts are what they were.
pub(super) struct Governing {
    looks: Option<SyncSender<Look>>,
    thread: Option<JoinHandle<()>>,
}

/// What was read of the namespace that is governed.
struct Look {
    began: Duration,
    reading: Reading,
    profile: Profile,
    measured: Floors,
    settings: NetworkSettings,
    /// `None` where no entries were read.
    role: Option<Role>,
    namespace: Untrusted,
}

impl Governing {
    /// Begins with the first reading. What an earlier one has left behind is undone now.
    pub(super) fn begin(wish: &Wish, state_dir: PathBuf, board: Arc<Board>, log: Log) -> anyhow::Result<Self> {
        for undone in plimsoll_apply::release(&state_dir, &|_, _| {})? {
            let (id, changes) = (undone.application.begun.id, &undone.application.changes);
            let is_gone = |change: &Progress| matches!(change, Progress::Undone(Undone::Gone));
            log.wrong(&if changes.iter().all(is_gone) {
                format!(
                    "nothing of application {id}, by a governor that is no more, was in force: it went with the boot, or the \
                     namespace, that it was set in"
                )
            } else {
                format!("application {id}, by a governor that is no more, was undone")
            });
        }
        // Made once here, so that what makes no sense is an error now.
        Governor::new(wish.rules.clone(), Floors::new())?;
        let desk = Desk { rules: wish.rules.clone(), state_dir, board, log, role: None, steward: None };
        let (looks, received) = sync_channel(1);
        let govern = move || desk.work(&received);
        let thread = thread::Builder::new().name("govern".to_string()).spawn(govern);
        Ok(Self { looks: Some(looks), thread: Some(thread.context("a thread cannot be started")?) })
    }

    /// Hands a reading over. While an act is under way readings are passed over: the next one knows better.
    pub(super) fn take(&self, told: &Told, wish: &Wish) {
        let (Some(looks), Some(look)) = (&self.looks, look(told, wish)) else { return };
        let _ = looks.try_send(look);
    }
}

impl Drop for Governing {
    fn drop(&mut self) {
        self.looks = None;
        // If the thread is no more, its watchdog does what it had to do.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn look(told: &Told, wish: &Wish) -> Option<Look> {
    let own = told.own.as_ref()?;
    let forecast = told.status.namespaces.iter().find(|table| table.namespace == own.namespace)?.forecast.as_ref();
    let soon = forecast.and_then(|forecast| forecast.probability_within(SOON_SECS));
    Some(Look {
        began: told.began,
        reading: Reading {
            occupancy: own.occupancy?,
            capacity: own.capacity.filter(|capacity| capacity.limit().is_some())?,
            timeouts: own.timeouts.clone(),
            outlook: if soon.is_some_and(|soon| soon > LIKELY) { Outlook::Saturates } else { Outlook::Room },
        },
        profile: wish.profile,
        measured: wish.measured.clone(),
        settings: own.settings,
        role: own.census.as_ref().map(|_| Role::of(own)),
        namespace: own.namespace.name.clone(),
    })
}

/// What was measured, else a profile's values, but never below the rails that hold on this host.
fn floors(look: &Look, role: Role) -> Floors {
    let mut floors: Floors = look.profile.timeouts().iter().copied().collect();
    floors.extend(&look.measured);
    for (timeout, secs) in &mut floors {
        let rails = rails(*timeout, &look.settings, role);
        let least = rails.iter().filter(|rail| rail.holds == Holds::Binding).map(|rail| rail.least_secs).max();
        *secs = (*secs).max(least.unwrap_or(0));
    }
    floors
}

/// What is known of a host's role after a look that may have read no entries. One that was seen to translate does, whatever the next
/// sample shows.
fn role_after(before: Option<Role>, seen: Option<Role>) -> Option<Role> {
    if before == Some(Role::Nat) { before } else { seen.or(before) }
}

/// What the thread has.
struct Desk {
    rules: Rules,
    state_dir: PathBuf,
    board: Arc<Board>,
    log: Log,
    /// As it is known; `None` while no entries were read.
    role: Option<Role>,
    steward: Option<Steward>,
}

impl Desk {
    fn work(mut self, looks: &Receiver<Look>) {
        let mut namespace = Untrusted::from("");
        let stewards = Once::default();
        while let Ok(look) = looks.recv() {
            namespace.clone_from(&look.namespace);
            let (acts, made) = match self.steward(&look) {
                Ok(steward) => (steward.tick(look.began, &look.reading, &|_, _| {}), Ok(())),
                Err(error) => (Vec::new(), Err(format!("timeouts are not governed: {error:#}"))),
            };
            stewards.note(made, self.log, "timeouts are governed again");
            let scale = self.steward.as_ref().map_or(1.0, |steward| steward.scale().share());
            self.tell(&namespace, scale, &acts);
        }
        if let Some(mut steward) = self.steward.take() {
            let acts = steward.end(&|_, _| {});
            self.tell(&namespace, 1.0, &acts);
        }
    }

    /// The steward, by the floors of now: they change with the role of the host, and with keepalive settings.
    fn steward(&mut self, look: &Look) -> anyhow::Result<&mut Steward> {
        self.role = role_after(self.role, look.role);
        // Where it is not known, translation is not ruled out.
        let floors = floors(look, self.role.unwrap_or(Role::Nat));
        let mut steward = if let Some(steward) = self.steward.take() {
            steward
        } else {
            let governor = Governor::new(self.rules.clone(), floors.clone())?;
            let seat = Seat {
                namespace: "this".to_string(),
                state_dir: self.state_dir.clone(),
                guardian: guardian()?,
                by: Author::of_this_process(),
            };
            Steward::new(governor, seat)
        };
        let acts = steward.keep_above(floors, &|_, _| {});
        self.tell(&look.namespace, steward.scale().share(), &acts);
        Ok(self.steward.insert(steward))
    }

    fn tell(&self, namespace: &Untrusted, scale: f64, acts: &[plimsoll_govern::Act]) {
        for act in acts {
            self.log.wrong(&format!("governor: {act}"));
        }
        self.board.note_governing(namespace.as_str(), scale, acts.iter().map(|act| act.what.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_not_read_says_nothing_of_translation() {
        let after = |looks: &[Option<Role>]| looks.iter().fold(None, |before, seen| role_after(before, *seen));
        let (nat, plain) = (Some(Role::Nat), Some(Role::Plain));
        assert_eq!(after(&[None]), None);
        assert_eq!(after(&[None, plain]), plain, "a daemon that begins with an empty table");
        assert_eq!(after(&[plain, None]), plain);
        assert_eq!(after(&[plain, nat, plain, None]), nat);
    }
}
