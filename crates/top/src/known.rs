//! What is known: how full the tables are, each second, and what they hold, more slowly.

use std::collections::VecDeque;
use std::time::Duration;

use plimsoll_churn::{Outlook, churn, flow};
use plimsoll_model::{
    Capacity, Counter, CounterReading, Finding, Interval, Namespace, NamespaceSnapshot, Occupancy, Pulse, Reading,
    Snapshot, Untrusted, Verdict,
};

use crate::held::Holdings;

/// How far back the course of a table is kept.
pub(crate) const SPAN: Duration = Duration::from_mins(5);

/// Moments of a course that are kept at most.
const MOST_MOMENTS: usize = 3000;

/// What a reading tells.
#[derive(Debug)]
pub enum Told {
    /// How full the tables are.
    Pulses(Vec<Pulse>),
    /// What is the matter, and what the tables hold.
    Checked(Box<Checked>),
    /// Nothing could be read; why.
    Failed(String),
}

/// A whole reading of the host, and what follows from it.
#[derive(Debug)]
pub struct Checked {
    /// When it ended, on the monotonic clock.
    pub at: Duration,
    /// The reading.
    pub snapshot: Snapshot,
    /// What is the matter, the worst first.
    pub findings: Vec<Finding>,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) tables: Vec<Table>,
    pub(crate) summary: Option<Summary>,
    /// Why the last reading failed, if it did.
    pub(crate) failure: Option<String>,
}

/// What the last whole reading came to.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) at: Duration,
    pub(crate) host: Option<Untrusted>,
    pub(crate) verdict: Verdict,
    pub(crate) findings: Vec<Finding>,
    /// What could not be read, a sentence each.
    pub(crate) unseen: Vec<String>,
}

/// One namespace's table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) namespace: Namespace,
    pub(crate) occupancy: Option<Occupancy>,
    pub(crate) capacity: Option<Capacity>,
    pub(crate) rates: Rates,
    /// How many entries there were, and when, the oldest first.
    pub(crate) course: VecDeque<Moment>,
    /// New entries a second, as far as entries date them.
    pub(crate) new_per_sec: Option<Interval>,
    pub(crate) outlook: Option<Outlook>,
    /// What it holds, or why that is not known.
    pub(crate) holdings: Result<Holdings, String>,
    counted: Option<(Duration, CounterReading)>,
}

/// Entries at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) entries: u32,
}

/// What was counted a second between the last two moments; `None` where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    /// Entries more, or fewer.
    pub(crate) growth: Option<f64>,
    /// Packets dropped because the table was full.
    pub(crate) dropped: Option<f64>,
    /// Entries that could not be inserted.
    pub(crate) insert_failed: Option<f64>,
    /// Entries killed to make room.
    pub(crate) early_drop: Option<f64>,
}

impl Known {
    pub(crate) fn take_in(&mut self, told: Told) {
        match told {
            Told::Pulses(pulses) => self.feel(pulses),
            Told::Checked(checked) => self.learn(*checked),
            Told::Failed(why) => self.failure = Some(why),
        }
    }

    pub(crate) fn table(&self, namespace: &Untrusted) -> Option<&Table> {
        self.tables.iter().find(|table| table.namespace.name == *namespace)
    }

    fn feel(&mut self, pulses: Vec<Pulse>) {
        let mut before = std::mem::take(&mut self.tables);
        for pulse in pulses {
            let known = before.iter().position(|table| is_same(&table.namespace, &pulse.namespace));
            let mut table = known.map_or_else(|| Table::new(&pulse.namespace), |known| before.swap_remove(known));
            table.feel(pulse);
            self.tables.push(table);
        }
    }

    fn learn(&mut self, checked: Checked) {
        self.failure = None;
        let Checked { at, snapshot, findings } = checked;
        for ns in &snapshot.namespaces {
            let known = self.tables.iter().position(|table| is_same(&table.namespace, &ns.namespace));
            let known = known.unwrap_or_else(|| {
                self.tables.push(Table::new(&ns.namespace));
                self.tables.len() - 1
            });
            if let Some(table) = self.tables.get_mut(known) {
                table.learn(ns, &snapshot);
            }
        }
        self.summary = Some(Summary {
            at,
            host: snapshot.host.name,
            verdict: Verdict::of(&findings),
            findings,
            unseen: snapshot.unseen.iter().map(plimsoll_model::Unseen::to_string).collect(),
        });
    }
}

/// Names may be given anew, inodes are not always to be had.
fn is_same(one: &Namespace, other: &Namespace) -> bool {
    one.name == other.name && (one.inode == other.inode || one.inode.is_none() || other.inode.is_none())
}

impl Table {
    fn new(namespace: &Namespace) -> Self {
        Self {
            namespace: namespace.clone(),
            occupancy: None,
            capacity: None,
            rates: Rates::default(),
            course: VecDeque::new(),
            new_per_sec: None,
            outlook: None,
            holdings: Err("no entries have been read yet".to_string()),
            counted: None,
        }
    }

    /// Occupancy over capacity; `None` without a limit, or where either is not known.
    pub(crate) fn utilization(&self) -> Option<f64> {
        self.occupancy?.utilization(self.capacity?)
    }

    /// Entries that there is room for.
    pub(crate) fn headroom(&self) -> Option<u32> {
        Some(self.capacity?.limit()?.saturating_sub(self.occupancy?.0))
    }

    fn feel(&mut self, pulse: Pulse) {
        let Pulse { namespace, at, occupancy, capacity, counters } = pulse;
        self.rates = Rates::between(self.course.back(), occupancy, self.counted.as_ref(), counters.as_ref(), at);
        (self.namespace, self.occupancy) = (namespace, occupancy);
        self.capacity = capacity.or(self.capacity);
        self.counted = counters.map(|counters| (at, counters));
        self.course.extend(occupancy.map(|occupancy| Moment { at, entries: occupancy.0 }));
        let is_too_old = |moment: &Moment| moment.at + SPAN < at;
        while self.course.len() > MOST_MOMENTS || self.course.front().is_some_and(is_too_old) {
            self.course.pop_front();
        }
    }

    fn learn(&mut self, ns: &NamespaceSnapshot, snapshot: &Snapshot) {
        self.capacity = ns.capacity.or(self.capacity);
        self.occupancy = self.occupancy.or(ns.occupancy);
        self.new_per_sec = flow(ns, &|_| true).and_then(|flow| flow.per_sec);
        self.outlook = churn(ns).map(|churn| churn.outlook);
        self.holdings = Holdings::of(ns).ok_or_else(|| why_unread(ns, snapshot));
    }
}

/// Why the entries of a namespace were not read.
fn why_unread(ns: &NamespaceSnapshot, snapshot: &Snapshot) -> String {
    let is_it = |gap: &&plimsoll_model::Unseen| {
        gap.reading == Reading::Entries && gap.namespace.as_ref() == Some(&ns.namespace.name)
    };
    match snapshot.unseen.iter().find(is_it) {
        Some(gap) => format!("the entries could not be read: {}; it takes {}", gap.answered, gap.needs),
        None if ns.occupancy.is_some_and(|occupancy| occupancy.0 == 0) => "there are no entries".to_string(),
        None if ns.occupancy.is_none() => "it could not be read how many entries there are".to_string(),
        None => {
            let name = &ns.namespace.name;
            format!(
                "so few entries are not read among others: reading walks the whole hash; `plimsoll top --netns {name}` reads them"
            )
        }
    }
}

impl Rates {
    fn between(
        before: Option<&Moment>,
        occupancy: Option<Occupancy>,
        counted: Option<&(Duration, CounterReading)>,
        counters: Option<&CounterReading>,
        at: Duration,
    ) -> Self {
        let growth = before.zip(occupancy).and_then(|(before, occupancy)| {
            let more = f64::from(occupancy.0) - f64::from(before.entries);
            Some(more / secs_between(before.at, at)?)
        });
        let change = counted.zip(counters).and_then(|((then, before), now)| {
            let secs = secs_between(*then, at).filter(|_| now.can_follow(before))?;
            Some((now.since(before), secs))
        });
        let Some((change, secs)) = change else { return Self { growth, ..Self::default() } };
        let per_sec = |count: u64| count as f64 / secs;
        Self {
            growth,
            dropped: change.full_table_drops().map(per_sec),
            insert_failed: change.get(Counter::InsertFailed).map(per_sec),
            early_drop: change.get(Counter::EarlyDrop).map(per_sec),
        }
    }
}

fn secs_between(earlier: Duration, later: Duration) -> Option<f64> {
    let secs = later.saturating_sub(earlier).as_secs_f64();
    (secs > 0.0).then_some(secs)
}
