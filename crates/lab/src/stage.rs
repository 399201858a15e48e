//! Where a scenario is played.

use std::sync::atomic::AtomicBool;

use plimsoll_scenario::{Scenario, Size};

use crate::proxy::ProxyStage;
use crate::{Error, LabNamespace, Played, Router};

/// Namespaces in which a scenario is played. Removed when dropped.
#[derive(Debug)]
pub enum Stage {
    /// A router, and packets of both sides.
    Router(Box<Router>),
    /// A reverse proxy, with real sockets at all ends.
    Proxy(Box<ProxyStage>),
}

impl Stage {
    /// Builds what a scenario needs, or refuses where the host is not as it needs it.
    pub fn build(scenario: &Scenario) -> Result<Self, Error> {
        match scenario.proxy {
            Some(proxy) => ProxyStage::build(proxy).map(Box::new).map(Self::Proxy),
            None => Router::build(scenario).map(Box::new).map(Self::Router),
        }
    }

    /// The namespace in which connections are tracked.
    pub fn namespace(&self) -> &LabNamespace {
        match self {
            Self::Router(router) => router.namespace(),
            Self::Proxy(stage) => stage.namespace(),
        }
    }

    /// The table's limit.
    pub fn capacity(&self) -> u32 {
        match self {
            Self::Router(router) => router.capacity(),
            Self::Proxy(stage) => stage.capacity(),
        }
    }

    /// Makes the entries that are there when a scenario begins, and returns how many.
    pub fn fill(&self, scenario: &Scenario, seed: u64, size: Size) -> Result<u64, Error> {
        match self {
            Self::Router(router) => router.fill(&scenario.standing, seed, size),
            Self::Proxy(_) => Ok(0),
        }
    }

    /// Plays in the calling thread, until the scenario's end or until it is told to stop.
    pub fn play(&self, scenario: &Scenario, seed: u64, size: Size, stop: &AtomicBool) -> Result<Played, Error> {
        match self {
            Self::Router(router) => router.play(scenario, seed, size, stop),
            Self::Proxy(stage) => Ok(stage.play(scenario.play.lasts, size, stop)),
        }
    }
}
