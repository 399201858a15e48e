//! The readings, in a thread of their own: counts each interval, entries as often as they may cost.

use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use plimsoll_host::monotonic_now;
use plimsoll_kube::Policy;
use plimsoll_model::Untrusted;
use plimsoll_observe::{Bounds, Depth, Error, Observer, Options, Pulses, Target};
use plimsoll_top::{self as top, Told};

use crate::check::Checked;
use crate::check::kubernetes::Names;

/// Entries that are read of a table each time.
const SAMPLE: NonZeroU64 = NonZeroU64::new(2000).unwrap();

/// Reading entries ends after this time.
const LONGEST_READING: Duration = Duration::from_secs(1);

/// A whole reading is made so often at most.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// But this soon where somebody asks for something new.
const CHECK_SOON: Duration = Duration::from_secs(1);

/// Between two whole readings lies this many times what the last one took; between two of counts, too.
const REST: u32 = 20;

/// What is counted within a whole reading is counted for so long; the first one is to be there at once.
const COUNTED_FOR: Duration = Duration::from_secs(1);
const FIRST_COUNTED_FOR: Duration = Duration::from_millis(200);

/// The namespace of which somebody wants to see whose its entries are.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish(Arc<Mutex<Option<Untrusted>>>);

impl Wish {
    pub(super) fn set(&self, namespace: Option<Untrusted>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = namespace;
    }

    fn get(&self) -> Option<Untrusted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads again and again.
#[derive(Debug)]
pub(super) struct Reader {
    target: Target,
    interval: Duration,
    observer: Observer,
    names: Names,
    pulses: Pulses,
    /// The last whole reading.
    last: Option<Whole>,
}

/// A whole reading.
#[derive(Debug)]
struct Whole {
    ended: Duration,
    /// How long it took beyond the time in which was counted.
    took: Duration,
    wish: Option<Untrusted>,
}

impl Reader {
    /// One that reads counts so often, of the namespaces that are there.
    pub(super) fn new(target: Target, interval: Duration, kube: Policy) -> anyhow::Result<Self> {
        let pulses = Pulses::of(&target).context("top")?;
        Ok(Self { target, interval, observer: Observer::default(), names: Names::by(kube), pulses, last: None })
    }

    /// Begins to read. It ends when nobody listens any more.
    pub(super) fn start(self, wish: Wish) -> anyhow::Result<Receiver<Told>> {
        let (sender, told) = channel();
        thread::Builder::new()
            .name("reader".to_string())
            .spawn(move || self.read(&wish, &sender))
            .context("top: starting a thread that reads")?;
        Ok(told)
    }

    fn read(mut self, wish: &Wish, sender: &Sender<Told>) {
        loop {
            let began = monotonic_now();
            if sender.send(Told::Pulses(self.pulses.read())).is_err() {
                return;
            }
            let took = monotonic_now().saturating_sub(began);
            let wish = wish.get();
            if self.is_due(wish.as_ref()) {
                let told = self.check(wish).unwrap_or_else(|error| Told::Failed(error.to_string()));
                if sender.send(told).is_err() {
                    return;
                }
            } else {
                thread::sleep(self.interval.max(took * REST));
            }
        }
    }

    /// Whether it is time for a whole reading.
    fn is_due(&self, wish: Option<&Untrusted>) -> bool {
        self.last.as_ref().is_none_or(|last| {
            let is_new = wish.is_some() && wish != last.wish.as_ref();
            let pause = if is_new { CHECK_SOON } else { CHECK_EVERY };
            monotonic_now() >= last.ended + pause.max(last.took * REST)
        })
    }

    fn check(&mut self, wish: Option<Untrusted>) -> Result<Told, Error> {
        let began = monotonic_now();
        let interval = if self.last.is_some() { COUNTED_FOR } else { FIRST_COUNTED_FOR };
        let checked = self.checked(interval, wish.as_ref());
        let ended = monotonic_now();
        self.last = Some(Whole { ended, took: ended.saturating_sub(began + interval), wish });
        let Checked { snapshot, findings } = checked?;
        Ok(Told::Checked(Box::new(top::Checked { at: ended, snapshot, findings })))
    }

    fn checked(&mut self, interval: Duration, wish: Option<&Untrusted>) -> Result<Checked, Error> {
        let options =
            Options { target: self.target.clone(), interval, depth: Depth::Sample(SAMPLE), timeout: LONGEST_READING };
        // Namespaces come and go.
        self.pulses = Pulses::of(&self.target)?;
        let snapshot = self.observer.observe(&options, &mut |_| {})?;
        let is_wanted = |ns: &plimsoll_model::NamespaceSnapshot| Some(&ns.namespace.name) == wish;
        Ok(Checked::of(snapshot, Bounds::LIVE, &is_wanted, &mut self.names))
    }
}
