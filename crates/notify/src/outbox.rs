//! What one target has still to be told. No I/O, and no clock but the one that it is given.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plimsoll_model::Untrusted;
use plimsoll_watch::alerts::{Alert, Notice};

use crate::documents::{NoticeDocument, alertmanager_document};
use crate::{News, Target};

/// Alertmanager is told what is there so often: it forgets what it is not told of.
const REPEATED_EVERY: Duration = Duration::from_mins(1);

/// Notices that are kept for a target that cannot be told.
const MOST_KEPT: usize = 1000;

/// What one target has still to be told.
#[derive(Clone, Debug)]
pub(crate) enum Outbox {
    /// All that is there, again and again.
    State(State),
    /// Each notice once, the oldest first.
    Notices(Notices),
}

/// What an earlier run left to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'a> {
    /// What was told, and is not over.
    pub(crate) told: &'a [Alert],
    /// What waits for this target; `None` if that run knew of no such target.
    pub(crate) waiting: Option<&'a [Notice]>,
}

/// What is told at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Letter {
    /// All that is there, and what is there no more.
    State { raised: Vec<Alert>, ended: Vec<Gone> },
    /// One notice.
    Notice(Notice),
}

/// An alert that is gone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gone {
    pub(crate) alert: Alert,
    /// In seconds since 1970.
    pub(crate) at: f64,
}

/// Of a target that is told of all that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    raised: Vec<Alert>,
    /// What it may take to be there, since it may have been told so, and was not told that it ended. Each set of labels is an alert of
    /// its own there, and severity is one of the labels.
    believed: Vec<Alert>,
    ended: Vec<Gone>,
    /// When it was told of all that is there, if nothing has changed since.
    told: Option<Instant>,
    /// A letter is on its way: nobody knows yet whether it was told.
    is_in_hand: bool,
}

/// Of a target that is told each notice once.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    heard: Heard,
    /// The one that is being told.
    in_hand: Option<Notice>,
    waiting: VecDeque<Notice>,
}

/// What a target has heard of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Nothing: it is new, and hears of all that is there first.
    Nothing,
    /// All, or it waits to be told.
    All,
}

impl Outbox {
    pub(crate) fn new(target: &Target, left: Left<'_>) -> Self {
        let waiting = left.waiting.unwrap_or_default();
        match target {
            Target::Alertmanager(_) => {
                let ended = waiting.iter().filter_map(Gone::of).collect();
                Self::State(State { believed: left.told.to_vec(), ended, ..State::default() })
            }
            Target::Webhook(_) | Target::Command(_) => {
                let heard = left.waiting.map_or(Heard::Nothing, |_| Heard::All);
                Self::Notices(Notices { heard, in_hand: None, waiting: waiting.iter().cloned().collect() })
            }
        }
    }

    /// Takes note of news; returns how many notices are not kept any more.
    pub(crate) fn take(&mut self, news: &News) -> usize {
        match self {
            Self::State(state) => state.take(news),
            Self::Notices(notices) => notices.take(news),
        }
    }

    /// What is to be told now. It is told again if it turns out not to have been.
    pub(crate) fn letter(&mut self, now: Instant) -> Option<Letter> {
        match self {
            Self::State(state) => state.letter(now),
            Self::Notices(notices) => notices.letter(),
        }
    }

    /// A letter was told, or given up.
    pub(crate) fn settle(&mut self, letter: &Letter) {
        match (self, letter) {
            (Self::State(state), Letter::State { ended, .. }) => {
                state.is_in_hand = false;
                state.ended.retain(|gone| !ended.contains(gone));
            }
            (Self::Notices(notices), Letter::Notice(_)) => notices.in_hand = None,
            // A letter is settled where it came from.
            (Self::State(_), Letter::Notice(_)) | (Self::Notices(_), Letter::State { .. }) => {}
        }
    }

    /// The last letter could not be told.
    pub(crate) fn keep(&mut self) {
        match self {
            Self::State(state) => (state.told, state.is_in_hand) = (None, false),
            Self::Notices(_) => {}
        }
    }

    /// When something has to be told again, though nothing happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Self::State(State { raised, told: Some(told), .. }) if !raised.is_empty() => Some(*told + REPEATED_EVERY),
            Self::State(_) | Self::Notices(_) => None,
        }
    }

    /// How many letters wait, or are on their way.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::State(state) => usize::from(state.is_in_hand || (state.told.is_none() && state.has_anything())),
            Self::Notices(notices) => usize::from(notices.in_hand.is_some()) + notices.waiting.len(),
        }
    }

    /// Whether there is room again, after there was none: so much that it does not fill up at once.
    pub(crate) fn has_room(&self) -> bool {
        self.len() <= MOST_KEPT / 2
    }

    /// What waits, as it is kept over a restart; `None` for a target that has heard of nothing yet.
    pub(crate) fn waiting(&self) -> Option<Vec<Notice>> {
        match self {
            Self::State(state) => Some(state.ended.iter().map(Gone::notice).collect()),
            Self::Notices(Notices { heard: Heard::Nothing, .. }) => None,
            Self::Notices(notices) => Some(notices.in_hand.iter().chain(&notices.waiting).cloned().collect()),
        }
    }
}

impl State {
    fn take(&mut self, news: &News) -> usize {
        self.raised.clone_from(&news.raised);
        let (there, over): (Vec<Alert>, Vec<Alert>) =
            self.believed.drain(..).partition(|alert| is_among(alert, &news.raised));
        self.believed = there;
        let has_changed = !(over.is_empty() && news.notices.is_empty());
        self.ended.extend(over.into_iter().map(|alert| Gone { alert, at: news.at }));
        // What is there again is not gone.
        self.ended.retain(|gone| !is_among(&gone.alert, &news.raised));
        if has_changed {
            self.told = None;
        }
        drop_oldest(self.ended.len(), |too_many| drop(self.ended.drain(..too_many)))
    }

    fn letter(&mut self, now: Instant) -> Option<Letter> {
        let is_due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= REPEATED_EVERY);
        if !(is_due && self.has_anything()) {
            return None;
        }
        (self.told, self.is_in_hand) = (Some(now), true);
        let news: Vec<Alert> = self.raised.iter().filter(|alert| !is_among(alert, &self.believed)).cloned().collect();
        self.believed.extend(news);
        Some(Letter::State { raised: self.raised.clone(), ended: self.ended.clone() })
    }

    fn has_anything(&self) -> bool {
        !(self.raised.is_empty() && self.ended.is_empty())
    }
}

impl Notices {
    fn take(&mut self, news: &News) -> usize {
        match self.heard {
            Heard::All => self.waiting.extend(news.notices.iter().cloned()),
            Heard::Nothing => self.waiting.extend(news.raised.iter().cloned().map(Notice::Raised)),
        }
        self.heard = Heard::All;
        drop_oldest(self.waiting.len(), |too_many| drop(self.waiting.drain(..too_many)))
    }

    fn letter(&mut self) -> Option<Letter> {
        if self.in_hand.is_none() {
            self.in_hand = self.waiting.pop_front();
        }
        self.in_hand.clone().map(Letter::Notice)
    }
}

impl Gone {
    fn of(notice: &Notice) -> Option<Self> {
        match notice {
            Notice::Resolved { alert, at } => Some(Self { alert: alert.clone(), at: *at }),
            Notice::Raised(_) => None,
        }
    }

    fn notice(&self) -> Notice {
        Notice::Resolved { alert: self.alert.clone(), at: self.at }
    }
}

impl Letter {
    /// As it is sent, at a moment in seconds since 1970.
    pub(crate) fn json(&self, host: &Untrusted, now: f64) -> String {
        match self {
            Self::State { raised, ended } => alertmanager_document(host, raised, ended, now).to_string(),
            // It is text and a few numbers, which always make a document.
            Self::Notice(notice) => serde_json::to_string(&NoticeDocument::of(host, notice)).unwrap_or_default(),
        }
    }
}

/// Whether an alert with the same labels is among these.
fn is_among(alert: &Alert, alerts: &[Alert]) -> bool {
    alerts.iter().any(|other| (&other.trouble, other.severity) == (&alert.trouble, alert.severity))
}

/// Drops what is too many, of so many; returns how many that are.
fn drop_oldest(number: usize, drop: impl FnOnce(usize)) -> usize {
    let too_many = number.saturating_sub(MOST_KEPT);
    drop(too_many);
    too_many
}
