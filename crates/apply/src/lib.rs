//! Changes carried out so that they undo themselves.
//!
//! [`apply`] makes the changes of a [`Plan`] one at a time. What undoes each is known and on the disk before it is written;
//! after it the value is read again, and watched for a while against what was counted before the first change. What is worse
//! is undone. What is not is undone too, unless [`confirm`] keeps it in time: by a [`watchdog`], a process of its own, and by
//! a timer where there is systemd. [`rollback`] undoes at any time. An undo compares before it sets: what somebody else has
//! changed since is left.
//!
//! A [`Governed`] application is one whose sysctls a process moves to and fro for as long as it lives; its end, however it comes,
//! undoes them.
//!
//! A [`Shielded`] application is a filter before tracking: put up in shadow, enforced and taken back, and gone at its deadline.
//!
//! The state is a journal for each application (`docs/apply.md`); [`Application`] is a pure function of it. Whoever is killed
//! leaves a journal that tells the next process what to undo.

mod application;
mod applied;
mod apply;
mod author;
mod confirm;
mod error;
mod files;
mod governed;
mod ground;
mod guard;
mod handshakes;
mod journal;
mod lasting;
mod live;
mod look;
mod nft;
mod own_rules;
mod pending;
mod place;
mod plan;
mod probe;
mod record;
mod recovery;
mod revert;
mod rollback;
mod rules_in_force;
mod settings;
mod shielded;
mod soak;
mod stage;
mod state_dir;
mod undo;
mod untracked;
mod vigil;
mod window;

/// The process that undoes what nobody confirms.
pub mod watchdog;

pub use application::{Application, Lasting, Moved, Phase, Progress};
pub use applied::{applied, armed_with, governed, note_applied};
pub use apply::{Applied, Manner, Prepared, apply, unread};
pub use author::Author;
pub use confirm::{Confirmed, Persistence, Superseded, Unproven, confirm, unproven};
pub use error::Error;
pub use files::{Content, NewFile, Root, Written, content, edit, restore, write};
pub use governed::{Governed, Set, release};
pub use guard::{LEAST, SURE, Signal, TOLERATED, Worse};
pub use journal::{Journal, Moment, Observer};
pub use lasting::{LastingFiles, RULES_FILE};
pub use live::{Live, value_in_force};
pub use own_rules::{Armed, OwnRules, RulesKind, RulesName, TABLE, making, rearming};
pub use pending::{history, pending};
pub use place::Place;
pub use plan::{Change, LONGEST_POLICY_SECS, MOST_CHANGES, NoPlan, Plan, SCHEMA as PLAN_SCHEMA};
pub use record::{
    Because, Begun, Event, FileEdit, Kind, Move, NamespaceKind, Record, SCHEMA as JOURNAL_SCHEMA, Undone, Where,
};
pub use revert::{Current, NotRevertible, Revert, in_force, reverts};
pub use rollback::{RolledBack, Which, rollback};
pub use rules_in_force::{RulesInForce, own_addresses_of};
pub use settings::Settings;
pub use shielded::{Asked, Rehearsed, Shielded, connected_to, peers, refuse_handshakes};
pub use stage::{Running, Runs, Stage, StageAction, StageCounters, StageState};
pub use state_dir::{MOST_JOURNALS, STATE_DIR, StateDir};
pub use undo::{Ground, holds, undo};
pub use untracked::{Doubt, Packets, Untracked};
pub use vigil::{By, Seen, Vigil};
pub use window::{Reading, Window};
