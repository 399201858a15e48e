//! Asks the Kubernetes API whose the addresses of this node's pods are, and what its services are called. It only reads.
//!
//! **A question is a connection, and takes an entry of a table that may be full.** So it is asked only after a cause was found, all of it has
//! two seconds, and what it does not tell is a gap, never a failure of the command. Lists are taken from the API server's memory
//! (`resourceVersion=0`), so that they cost it little; of pods only this node's.
//!
//! ```no_run
//! use plimsoll_kube::{Policy, Whereabouts, ask};
//!
//! let answer = ask(Policy::Auto, &Whereabouts::of_this_process(), Some("worker-1"));
//! for gap in answer.gaps(Policy::Auto) {
//!     println!("{}: {}; {}", gap.tried, gap.answered, gap.needs);
//! }
//! ```

mod access;
mod answer;
mod api;
mod assemble;
mod client;
mod config_map;
mod error;
mod kubeconfig;
mod secret;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
mod tests;
mod yaml;

use std::time::{Duration, Instant};

pub use access::Whereabouts;
pub use answer::Answer;
pub use error::{Error, Problem};

use access::Access;
use api::{ConfigMap, EndpointSlice, Pod, Resource, Service};
use assemble::{Lists, assemble};
use client::Client;

/// All questions together take no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether Kubernetes is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Never.
    Off,
    /// Where this machine or container has credentials for just that: a pod's token, or the kubelet's.
    Auto,
    /// With whatever credentials are to be found, also a user's and an administrator's; that it fails matters.
    On,
}

/// Asks. `host` is the machine's name, by which its node is known where nothing else tells.
pub fn ask(policy: Policy, whereabouts: &Whereabouts, host: Option<&str>) -> Answer {
    let access = match Access::find(policy, whereabouts) {
        Ok(Some(access)) => access,
        Ok(None) => return Answer::default(),
        Err(error) => return Answer::failed(error),
    };
    match access.node(host) {
        Ok(node) => asked(access, &node, PATIENCE),
        Err(error) => Answer::failed(error),
    }
}

fn asked(access: Access, node: &str, patience: Duration) -> Answer {
    let from = access.from.clone();
    let mut client = match Client::new(access, Instant::now() + patience) {
        Ok(client) => client,
        Err(error) => return Answer::failed(error),
    };
    let mut lists = Lists::default();
    let mut errors = Vec::new();
    let of_node = [("fieldSelector", format!("spec.nodeName={node}"))];
    // Names of this node's pods first, in case the time does not suffice. Where nobody answers, nobody is asked again.
    let done = client
        .list::<Pod>(Resource::Pods, &of_node)
        .into_list(&mut lists.pods, &mut errors)
        .and_then(|()| client.list::<Service>(Resource::Services, &[]).into_list(&mut lists.services, &mut errors))
        .and_then(|()| {
            client.list::<EndpointSlice>(Resource::EndpointSlices, &[]).into_list(&mut lists.slices, &mut errors)
        });
    if done.is_some() {
        match client.get::<ConfigMap>(Resource::KubeProxyConfigMap) {
            Ok(map) => lists.config_map = map,
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() && lists.pods.is_empty() {
        errors.push(Error::new(format!("list pods of the node {node}, by {from}"), Problem::NoPods));
    }
    assemble(&lists, errors)
}
