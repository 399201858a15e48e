//! What is known now, for all who ask: put up by the readings, read by scrapes and browsers. Whoever asks is answered from memory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_model::Capacity;

use crate::documents::{history_document, status_document};
use crate::history::{Error, History};
use crate::metrics::{Family, Format, Governing, Names, Own, Telling, of_daemon, of_process, of_tables};
use crate::{Status, Told};

/// Without a reading for so many intervals, something is wrong.
const LATE_INTERVALS: u32 = 3;

/// What is known now.
#[derive(Debug)]
pub struct Board {
    /// Held while a reading is added and the future foretold; nothing that is scraped waits for it.
    history: Mutex<History>,
    /// Held for moments.
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    interval: Duration,
    names: Names,
    own: Own,
    written: Option<Written>,
    /// When the last reading was put up.
    put_up: Option<Instant>,
}

/// What the last reading told, as it is asked for.
#[derive(Debug)]
struct Written {
    prometheus: String,
    open_metrics: String,
    status: String,
    capacities: Vec<(String, Option<Capacity>)>,
}

/// Whether readings come as they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They do.
    Reading,
    /// None has come yet.
    Beginning,
    /// The last one is too old.
    Late,
}

impl Board {
    /// A board with nothing on it but what was known before.
    pub fn new(interval: Duration, names: Names, history: History) -> Self {
        let known = Known { interval, names, own: Own::default(), written: None, put_up: None };
        let board = Self { history: Mutex::new(history), known: Mutex::new(known) };
        board.adopt(interval, names);
        board
    }

    /// From now on there are readings so often, and figures are told under these names.
    pub fn adopt(&self, interval: Duration, names: Names) {
        let mut known = lock(&self.known);
        (known.interval, known.names) = (interval, names);
        known.own.interval_secs = interval.as_secs_f64();
    }

    /// How often there are to be readings.
    pub fn interval(&self) -> Duration {
        lock(&self.known).interval
    }

    /// Puts up a reading, and what is foreseen by it. If it cannot be written to the history's file it is up all the same.
    pub fn put_up(&self, told: &mut Told) -> Result<(), Error> {
        let added = told.add_to(&mut lock(&self.history));
        let (interval, names) = {
            let known = lock(&self.known);
            (known.interval, known.names)
        };
        let written = Written::of(&told.status, interval, names);
        let mut known = lock(&self.known);
        known.own.readings += 1;
        known.own.read_at = Some(told.at);
        known.own.reading_secs = Some(told.took.as_secs_f64());
        known.written = Some(written);
        known.put_up = Some(Instant::now());
        added
    }

    /// A reading could not be made.
    pub fn note_failure(&self) {
        lock(&self.known).own.failed_readings += 1;
    }

    /// Takes note of what a governor has done.
    pub fn note_governing(&self, namespace: &str, scale: f64, acts: impl Iterator<Item = &'static str>) {
        let mut known = lock(&self.known);
        let begin = || Governing { namespace: namespace.to_string(), scale, acts: BTreeMap::new() };
        let governing = known.own.governing.get_or_insert_with(begin);
        governing.scale = scale;
        acts.for_each(|act| *governing.acts.entry(act).or_default() += 1);
    }

    /// Nothing is governed any more.
    pub fn forget_governing(&self) {
        lock(&self.known).own.governing = None;
    }

    /// Takes note of what came of telling others.
    pub fn note_telling(&self, telling: Vec<Telling>) {
        lock(&self.known).own.telling = telling;
    }

    /// The metrics, for somebody who scrapes them.
    pub fn scraped(&self, format: Format) -> String {
        lock(&self.known).own.scrapes += 1;
        self.written(format, of_process())
    }

    /// The metrics, for a file.
    pub fn metrics(&self, format: Format) -> String {
        self.written(format, Vec::new())
    }

    fn written(&self, format: Format, more: Vec<Family>) -> String {
        let known = lock(&self.known);
        let mut own: Vec<Family> = of_daemon(&known.own);
        own.extend(more);
        let tables = known.written.as_ref().map_or("", |written| match format {
            Format::Prometheus => &written.prometheus,
            Format::OpenMetrics => &written.open_metrics,
        });
        let mut text = String::with_capacity(tables.len() + 4096);
        // Writing to a string cannot fail.
        let _ = write!(text, "{tables}{}{}", format.write(&own), format.end());
        text
    }

    /// The document of what is known now; `None` before the first reading.
    pub fn status(&self) -> Option<String> {
        lock(&self.known).written.as_ref().map(|written| written.status.clone())
    }

    /// The document of what a namespace's table was like; `None` where there is no such namespace.
    pub fn history(&self, namespace: &str) -> Option<String> {
        let (interval, capacity) = {
            let known = lock(&self.known);
            let mut capacities = known.written.iter().flat_map(|written| &written.capacities);
            let capacity = capacities.find(|(name, _)| name == namespace).and_then(|(_, capacity)| *capacity);
            (known.interval, capacity)
        };
        history_document(namespace, capacity, lock(&self.history).course(namespace)?, interval.as_secs_f64()).ok()
    }

    /// Whether readings come as they should.
    pub fn health(&self) -> Health {
        let known = lock(&self.known);
        match known.put_up {
            None => Health::Beginning,
            Some(put_up) if put_up.elapsed() > known.interval * LATE_INTERVALS => Health::Late,
            Some(_) => Health::Reading,
        }
    }
}

impl Written {
    fn of(status: &Status, interval: Duration, names: Names) -> Self {
        let families = of_tables(status, names);
        Self {
            prometheus: Format::Prometheus.write(&families),
            open_metrics: Format::OpenMetrics.write(&families),
            // It is numbers and text, which always make a document.
            status: status_document(status, interval.as_secs_f64()).unwrap_or_default(),
            capacities: capacities(status),
        }
    }
}

/// What a thread that died held is whole: nothing is left half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn capacities(status: &Status) -> Vec<(String, Option<Capacity>)> {
    status.namespaces.iter().map(|table| (table.namespace.name.to_string(), table.capacity)).collect()
}
