//! What the kernel really told, taken by a listener that loses nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use plimsoll_ctnetlink::{EventKind, Listener, Received};
use plimsoll_lab::LabNamespace;
use plimsoll_model::Unknowns;

/// An event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) kind: EventKind,
    pub(crate) id: u32,
    pub(crate) client: IpAddr,
}

/// All events so far.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    told: Mutex<Vec<Told>>,
    stop: AtomicBool,
}

struct Ending<'a>(&'a Truth);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

impl Truth {
    /// Listens to a namespace while something is done.
    pub(crate) fn heard<T>(namespace: &LabNamespace, meanwhile: impl FnOnce(&Self) -> T) -> T {
        let truth = Self::default();
        let mut listener = namespace.enter(|| Listener::subscribe(64 << 20)).unwrap().unwrap();
        thread::scope(|scope| {
            let ending = Ending(&truth);
            scope.spawn(|| truth.listen(&mut listener));
            let done = meanwhile(&truth);
            drop(ending);
            done
        })
    }

    fn listen(&self, listener: &mut Listener) {
        let mut unknowns = Unknowns::default();
        while !self.stop.load(Ordering::SeqCst) {
            match listener.receive(Duration::from_millis(20)).unwrap() {
                Received::Nothing => {}
                Received::Lost => panic!("the test itself lost events"),
                Received::Events(batch) => {
                    let told = batch.events(&mut unknowns).map(|event| {
                        let event = event.unwrap();
                        let entry = event.entry.entry;
                        Told { kind: event.kind, id: entry.id, client: entry.original.source }
                    });
                    self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
                }
            }
        }
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self, kind: EventKind) -> usize {
        self.told().iter().filter(|told| told.kind == kind).count()
    }

    /// The last id of each client's flow.
    pub(crate) fn ids(&self) -> HashMap<IpAddr, u32> {
        self.told().iter().map(|told| (told.client, told.id)).collect()
    }
}
