//! A recorder that can be made to wait, and whose rows can be read while it goes on.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use plimsoll_lab::LabNamespace;
use plimsoll_record::{Recorded, Sink, Stopped, Wishes, record};
use plimsoll_recording::{Change, ChangeKind, Life, Row, UnixMicros};

/// What a test has of a recorder.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    rows: Mutex<Vec<Row>>,
    has_begun: AtomicBool,
    is_to_wait: AtomicBool,
    waits: AtomicBool,
    stop: AtomicBool,
}

impl Watched {
    /// Makes it wait, and returns when it does: within a second or so.
    pub(crate) fn hold(&self) {
        self.is_to_wait.store(true, Ordering::SeqCst);
        super::until("the recorder waits", || self.waits.load(Ordering::SeqCst));
    }

    /// Lets it go on.
    pub(crate) fn release(&self) {
        self.is_to_wait.store(false, Ordering::SeqCst);
    }

    pub(crate) fn changes(&self, kind: ChangeKind) -> Vec<Change> {
        changes(&self.rows(), kind)
    }

    pub(crate) fn lives(&self) -> Vec<Life> {
        lives(&self.rows())
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_if_told(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        while self.is_to_wait.load(Ordering::SeqCst) {
            self.waits.store(true, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
        }
        self.waits.store(false, Ordering::SeqCst);
    }
}

impl Sink for &Watched {
    type Error = Infallible;

    fn keep(&mut self, rows: &mut Vec<Row>) -> Result<(), Infallible> {
        self.rows().append(rows);
        Ok(())
    }

    fn pass_time(&mut self, _: UnixMicros) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Ends the recorder whatever becomes of the test.
struct Ending<'a>(&'a Watched);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.release();
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

/// Records a namespace while something is done.
pub(crate) fn recorded<T>(
    namespace: &LabNamespace,
    wishes: Wishes,
    meanwhile: impl FnOnce(&Watched) -> T,
) -> (Vec<Row>, Recorded, T) {
    recorded_from(namespace, wishes, &|| (), meanwhile)
}

/// The same, with something that is done when events are listened to already, and nothing has been looked at.
pub(crate) fn recorded_from<T>(
    namespace: &LabNamespace,
    wishes: Wishes,
    at_first: &(dyn Fn() + Sync),
    meanwhile: impl FnOnce(&Watched) -> T,
) -> (Vec<Row>, Recorded, T) {
    let watched = Watched::default();
    let is_first = AtomicBool::new(true);
    let (told, done) = thread::scope(|scope| {
        let ending = Ending(&watched);
        let thread = scope.spawn(|| {
            let is_there = || {
                if is_first.swap(false, Ordering::SeqCst) {
                    at_first();
                }
                true
            };
            let mut sink = &watched;
            let recorded = namespace.enter(|| {
                record(&wishes, &mut sink, &watched.stop, &is_there, &mut |_| watched.wait_if_told()).unwrap()
            });
            recorded.unwrap()
        });
        super::until("the recorder begins", || watched.has_begun.load(Ordering::SeqCst) || thread.is_finished());
        let done = meanwhile(&watched);
        drop(ending);
        let (recorded, stopped) = thread.join().unwrap();
        assert_eq!(stopped, Stopped::Told);
        (recorded, done)
    });
    (watched.rows.into_inner().unwrap_or_else(PoisonError::into_inner), told, done)
}

pub(crate) fn lives(rows: &[Row]) -> Vec<Life> {
    rows.iter().filter_map(|row| if let Row::Life(life) = row { Some(life.clone()) } else { None }).collect()
}

pub(crate) fn changes(rows: &[Row], kind: ChangeKind) -> Vec<Change> {
    let changes = rows.iter().filter_map(|row| if let Row::Change(change) = row { Some(change.clone()) } else { None });
    changes.filter(|change| change.kind == kind).collect()
}
