//! How many connections there may be, and from one peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for connections, of which one peer may hold half: so who opens many and says nothing does not shut out the others.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    most: usize,
    held: Held,
}

/// A connection's place, given back when dropped.
pub(crate) struct Place {
    peer: Peer,
    held: Held,
    _permit: OwnedSemaphorePermit,
}

type Held = Arc<Mutex<HashMap<Peer, usize>>>;

/// Who has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// Whoever may use the Unix socket.
    Unix,
    /// An IPv4 address, or a network of 64 bits: one host has all of that.
    Address(IpAddr),
}

impl Places {
    /// So many.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(most)), most, held: Held::default() }
    }

    /// One of them, if there is one for this peer.
    pub(crate) fn take(&self, peer: Peer) -> Option<Place> {
        let mut held = lock(&self.held);
        let of_peer = held.get(&peer).copied().unwrap_or(0);
        if of_peer >= self.most.div_ceil(2) {
            return None;
        }
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        held.insert(peer, of_peer + 1);
        Some(Place { peer, held: Arc::clone(&self.held), _permit: permit })
    }

    /// Waits until all are given back.
    pub(crate) async fn all_back(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.all.acquire_many(all).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        if let Some(of_peer) = held.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                held.remove(&self.peer);
            }
        }
    }
}

impl Peer {
    /// Who comes from an address.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Nobody panics while it is held; a count would be right all the same.
fn lock(held: &Held) -> MutexGuard<'_, HashMap<Peer, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Peer {
        Peer::at(address.parse().unwrap())
    }

    #[test]
    fn one_peer_has_half_and_gives_it_back() {
        let places = Places::new(4);
        let taken: Vec<_> = (0..2).map(|_| places.take(at("10.0.0.1")).unwrap()).collect();
        assert!(places.take(at("::ffff:10.0.0.1")).is_none());
        let _others = [places.take(at("10.0.0.2")).unwrap(), places.take(Peer::Unix).unwrap()];
        assert!(places.take(at("10.0.0.3")).is_none(), "there are four");
        drop(taken);
        assert!(places.take(at("10.0.0.1")).is_some());
        assert!(!lock(&places.held).contains_key(&at("10.0.0.1")), "nothing is kept of who is gone");
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }
}
