//! What Kubernetes told, and what it did not.

use std::collections::HashMap;

use plimsoll_model::{Cluster, KnownService, NamespaceSnapshot, Owner, Unseen, Untrusted};

use crate::{Error, Policy};

/// What Kubernetes told.
#[derive(Debug, Default)]
pub struct Answer {
    /// Whose addresses are, and what kube-proxy is told.
    pub cluster: Cluster,
    /// Services, with their backends.
    pub services: Vec<KnownService>,
    /// `namespace/pod/container` by the container's id, and `namespace/pod` by the pod's uid.
    pub(crate) called: HashMap<String, Untrusted>,
    /// What it did not tell.
    pub errors: Vec<Error>,
}

impl Answer {
    pub(crate) fn failed(error: Error) -> Self {
        Self { errors: vec![error], ..Self::default() }
    }

    /// What it did not tell, as gaps of a reading.
    pub fn gaps(&self, policy: Policy) -> impl Iterator<Item = Unseen> {
        self.errors.iter().map(move |error| error.unseen(policy))
    }

    /// Puts names to what is known of a table: to services and addresses around it, and to programs that nobody has named.
    pub fn name(&self, ns: &mut NamespaceSnapshot) {
        if let Some(around) = &mut ns.surroundings {
            around.services = std::mem::take(&mut around.services).completed(&self.services);
            around.cluster = self.cluster.clone();
        }
        for program in ns.census.iter_mut().flat_map(|census| &mut census.programs) {
            self.call(&mut program.owner);
        }
    }

    /// By its container, or else by its pod.
    pub(crate) fn call(&self, owner: &mut Owner) {
        let known = |id: Option<&Untrusted>| self.called.get(id?.as_str()).cloned();
        if owner.called.is_none() {
            owner.called = known(owner.container.as_ref()).or_else(|| known(owner.pod.as_ref()));
        }
    }
}
