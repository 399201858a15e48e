//! What Kubernetes did not tell, and why.

use std::io;

use plimsoll_model::{Reading, Unseen, Untrusted};

use crate::Policy;

/// Something that Kubernetes did not tell. No secret is in it.
#[derive(Debug, thiserror::Error)]
#[error("{tried}: {problem}; it needs {}", problem.needs())]
pub struct Error {
    /// What was tried, and on what.
    pub tried: Untrusted,
    /// What came of it.
    #[source]
    pub problem: Problem,
}

/// What came of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There are no credentials.
    #[error("there is none of {0}")]
    NoCredentials(String),
    /// A file could not be read.
    #[error("{0}")]
    Read(#[source] io::Error),
    /// A file, or what is in it, is not what it should be.
    #[error("{0}")]
    NotUnderstood(Untrusted),
    /// It holds something that is not followed.
    #[error("{0} is not followed")]
    NotFollowed(&'static str),
    /// Which node this is is not known.
    #[error("neither NODE_NAME nor the credentials say which node this is")]
    NoNode,
    /// The node has no pods.
    #[error("it has none")]
    NoPods,
    /// Nobody answered in time.
    #[error("there was no whole answer in time")]
    TooSlow,
    /// Nobody answered, or not so that it could be trusted.
    #[error("{0}")]
    Unreachable(Untrusted),
    /// The credentials are not good.
    #[error("it answered 401: {0}")]
    Unauthorized(Untrusted),
    /// The credentials have no right to it.
    #[error("it answered 403: {answer}")]
    Forbidden {
        /// What it said.
        answer: Untrusted,
        /// The rule that would allow it, of a `ClusterRole`.
        rule: &'static str,
    },
    /// It will not, for now or for ever.
    #[error("it answered {status}: {answer}")]
    Refused {
        /// The answer's status.
        status: u16,
        /// What it said.
        answer: Untrusted,
    },
    /// The answer was not understood.
    #[error("the answer is not what it should be: {0}")]
    Garbage(Untrusted),
    /// The answer is longer than what is taken.
    #[error("there is more than the {0} MiB that are read")]
    TooLong(u64),
}

impl Error {
    pub(crate) fn new(tried: impl AsRef<str>, problem: Problem) -> Self {
        Self { tried: tried.as_ref().into(), problem }
    }

    /// Whether asking for something else has no sense either.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.problem, Problem::TooSlow | Problem::Unreachable(_) | Problem::Unauthorized(_))
    }

    /// As a gap of a reading. Whoever asked for it to be told is not served by less.
    pub(crate) fn unseen(&self, policy: Policy) -> Unseen {
        Unseen {
            reading: if policy == Policy::On { Reading::KubernetesAsked } else { Reading::Kubernetes },
            namespace: None,
            tried: self.tried.clone(),
            answered: Untrusted::from_escaped(self.problem.to_string()),
            needs: self.problem.needs(),
        }
    }
}

impl Problem {
    /// What would help.
    pub fn needs(&self) -> String {
        match self {
            Self::NoCredentials(_) => "a kubeconfig: KUBECONFIG=FILE",
            Self::Read(_) => "the right to read it, as a rule root's",
            Self::NotUnderstood(_) => "a kubeconfig as kubectl takes it",
            Self::NotFollowed(_) => "a token or a client certificate in the kubeconfig, and a server by its own name over https://",
            Self::NoNode => "NODE_NAME in the environment, from spec.nodeName by the downward API",
            Self::NoPods => "NODE_NAME in the environment, if the node is called otherwise",
            Self::TooSlow | Self::Unreachable(_) => {
                "an API server that this machine reaches within two seconds, over a new connection: where the table is full there is none"
            }
            Self::Unauthorized(_) => "credentials that are valid now: a new token or certificate",
            Self::Forbidden { rule, .. } => return format!("in a ClusterRole that is bound to them, the rule {rule}"),
            Self::Refused { .. } => "a less busy API server, or the right address of one",
            Self::Garbage(_) => "an answer as the API of Kubernetes gives it: is the address that of one?",
            Self::TooLong(_) => "nothing: what was read counts",
        }
        .to_string()
    }
}
