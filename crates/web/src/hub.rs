//! Server-sent events for all who listen.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Events that a subscriber may be behind; one more, and it is dropped.
const BEHIND: usize = 2;

/// Sends events to all subscribers. It never waits: who does not keep up is dropped, and a browser then connects anew.
#[derive(Debug)]
pub struct Hub {
    most: usize,
    subscribers: Mutex<Vec<mpsc::Sender<Bytes>>>,
}

/// One who is sent events. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) events: mpsc::Receiver<Bytes>,
}

impl Hub {
    /// A hub for so many subscribers at a time. Each holds a connection, so it should be a fraction of
    /// [`Limits::connections`](crate::Limits::connections).
    pub const fn new(most: usize) -> Self {
        Self { most, subscribers: Mutex::new(Vec::new()) }
    }

    /// A new subscription, to what is sent from now on; `None` if there are as many as there may be.
    pub fn subscribe(&self) -> Option<Subscription> {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| !subscriber.is_closed());
        if subscribers.len() >= self.most {
            return None;
        }
        let (sender, events) = mpsc::channel(BEHIND);
        subscribers.push(sender);
        Some(Subscription { events })
    }

    /// Sends an event to all. `name` is one line; `data` may have several.
    pub fn send(&self, name: &str, data: &str) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        if subscribers.is_empty() {
            return;
        }
        let frame = frame(name, data);
        subscribers.retain(|subscriber| subscriber.try_send(frame.clone()).is_ok());
    }

    /// How many there are. One whose connection has ended counts until the next event or subscription.
    pub fn subscribers(&self) -> usize {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// An event as the HTML standard's event stream format has it. All kinds of line break end a line there, so that each line
/// of the data gets a field of its own.
fn frame(name: &str, data: &str) -> Bytes {
    let mut frame = String::with_capacity(name.len() + data.len() + 32);
    frame.push_str("event: ");
    frame.extend(name.chars().filter(|c| !matches!(c, '\r' | '\n')));
    for line in data.split(['\r', '\n']) {
        frame.push_str("\ndata: ");
        frame.push_str(line);
    }
    frame.push_str("\n\n");
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_cannot_be_broken_out_of() {
        assert_eq!(frame("status", r#"{"a":1}"#), "event: status\ndata: {\"a\":1}\n\n");
        assert_eq!(frame("a\nb", "1\n\nevent: x\r2"), "event: ab\ndata: 1\ndata: \ndata: event: x\ndata: 2\n\n");
    }

    #[test]
    fn who_does_not_keep_up_is_dropped() {
        let hub = Hub::new(2);
        let mut slow = hub.subscribe().unwrap();
        let mut quick = hub.subscribe().unwrap();
        assert!(hub.subscribe().is_none());
        for sent in 0..5 {
            hub.send("n", &sent.to_string());
            assert_eq!(quick.events.try_recv().unwrap(), frame("n", &sent.to_string()));
        }
        assert_eq!(hub.subscribers(), 1);
        let taken = std::iter::from_fn(|| slow.events.try_recv().ok()).count();
        assert_eq!(taken, BEHIND, "the rest was never kept");
        drop(quick);
        assert!(hub.subscribe().is_some());
        assert_eq!(hub.subscribers(), 1);
    }
}
