//! What is to be done: edits, each with its reason.

use plimsoll_model::{Bypass, Bypassed, Edit, PolicyProtocol, ServicePolicy, Sysctl};
use serde::{Deserialize, Serialize};

/// The document that says what is to be done.
pub const SCHEMA: &str = "plimsoll.plan/1";

/// Changes of one plan; more than any plan has a use for, and few enough for a journal of one page or two.
pub const MOST_CHANGES: usize = 64;

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Plan {
    /// `plimsoll.plan/1`.
    pub schema: String,
    /// The network namespace that it was made for, by name; none means the caller's own.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The changes, one after the other.
    pub changes: Vec<Change>,
}

/// An edit and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is written.
    pub edit: Edit,
    /// Why, for people. It may come from a file: it is shown escaped.
    #[serde(default)]
    pub why: String,
}

/// Why a document is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// It is not JSON, or lacks something.
    #[error("it is no plan: {0}")]
    Malformed(String),
    /// It is something else.
    #[error("its schema is \"{}\"; this version of Plimsoll carries out {SCHEMA}", .0.escape_default())]
    Schema(String),
    /// It has too much in it.
    #[error("it has {0} changes; at most {MOST_CHANGES} are carried out at once, because each is watched on its own")]
    TooLong(usize),
    /// A shield, which is no part of a plan.
    #[error("a shield is put up by `plimsoll shield`, in shadow first; a plan cannot hold one")]
    Shield,
    /// A timeout of a policy that a policy of that protocol cannot have.
    #[error("a policy for {service} cannot set {sysctl}: it is no timeout of that protocol's")]
    Foreign {
        /// The service, as `tcp/443`.
        service: String,
        /// What was to be set.
        sysctl: Sysctl,
    },
    /// Rules that the kernel would take, and make something else of, or that would be for more than was meant.
    #[error("rules for {service} are not made: {problem}")]
    Senseless {
        /// The service, as `tcp/443`.
        service: String,
        /// Why not.
        problem: String,
    },
}

/// The longest timeout of a policy, in seconds. The kernel multiplies it by HZ without looking (`tcp_timeout_nlattr_to_obj`), and
/// takes half of 32 bits of ticks for the past: with 1000 ticks a second, more than this would expire at once.
pub const LONGEST_POLICY_SECS: u32 = 2_147_483;

impl From<serde_json::Error> for NoPlan {
    /// In words alone: as a source beside them it would be told twice.
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Plan {
    /// Some changes for a namespace.
    pub fn new(namespace: Option<String>, changes: Vec<Change>) -> Result<Self, NoPlan> {
        Self { schema: SCHEMA.to_string(), namespace, changes }.checked()
    }

    /// Reads a document. Keys that are not known are passed over.
    pub fn from_json(text: &str) -> Result<Self, NoPlan> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        // Asked first: what else a document of another schema lacks is beside the point.
        let Head { schema } = serde_json::from_str(text)?;
        if schema != SCHEMA {
            return Err(NoPlan::Schema(schema));
        }
        serde_json::from_str::<Self>(text)?.checked()
    }

    fn checked(self) -> Result<Self, NoPlan> {
        if self.changes.len() > MOST_CHANGES {
            return Err(NoPlan::TooLong(self.changes.len()));
        }
        for change in &self.changes {
            match &change.edit {
                Edit::Policy(policy) => {
                    refuse_foreign(policy)?;
                    refuse_senseless(policy)?;
                }
                Edit::Bypass(bypass) => refuse_boundless(bypass)?,
                Edit::Shield(_) | Edit::XdpStage(_) => return Err(NoPlan::Shield),
                Edit::Sysctl { .. } => {}
            }
        }
        Ok(self)
    }
}

fn refuse_senseless(policy: &ServicePolicy) -> Result<(), NoPlan> {
    let out_of_range = policy.timeouts.iter().find(|timeout| !(1..=LONGEST_POLICY_SECS).contains(&timeout.secs));
    let problem = if policy.port == 0 {
        "no service has port 0".to_string()
    } else if policy.timeouts.is_empty() {
        "it has no timeouts".to_string()
    } else if let Some(timeout) = out_of_range {
        format!("{} cannot be {} s; 1 to {LONGEST_POLICY_SECS} can be", timeout.sysctl, timeout.secs)
    } else {
        return Ok(());
    };
    Err(NoPlan::Senseless { service: service(policy), problem })
}

/// Networks of a bypass on each side.
const MOST_NETWORKS: usize = 1024;

/// Without peers it would be for all.
fn refuse_boundless(bypass: &Bypass) -> Result<(), NoPlan> {
    let (clients, servers) = (bypass.flows.clients().len(), bypass.flows.servers().len());
    let lacks = match bypass.flows {
        Bypassed::ServedHere => false,
        Bypassed::AskedFromHere { .. } => servers == 0,
        Bypassed::Forwarded { .. } => servers == 0 || clients == 0,
    };
    let problem = if bypass.port == 0 {
        "no service has port 0".to_string()
    } else if lacks {
        "it does not say whose packets are not to be tracked".to_string()
    } else if clients.max(servers) > MOST_NETWORKS {
        format!("it names more than {MOST_NETWORKS} networks")
    } else {
        return Ok(());
    };
    Err(NoPlan::Senseless { service: named(bypass.protocol, bypass.port), problem })
}

fn service(policy: &ServicePolicy) -> String {
    named(policy.protocol, policy.port)
}

fn named(protocol: PolicyProtocol, port: u16) -> String {
    format!("{}/{port}", protocol.name())
}

fn refuse_foreign(policy: &ServicePolicy) -> Result<(), NoPlan> {
    let foreign =
        policy.timeouts.iter().find(|timeout| plimsoll_render::name_in_nft(policy.protocol, timeout.sysctl).is_none());
    foreign.map_or(Ok(()), |timeout| Err(NoPlan::Foreign { service: service(policy), sysctl: timeout.sysctl }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_wrong_is_named() {
        let good = r#"{"schema":"plimsoll.plan/1","made_by":7,"changes":[{"edit":{"kind":"sysctl",
            "sysctl":"net.netfilter.nf_conntrack_max","from":1,"to":2},"why":"room","benefit":{}}]}"#;
        let plan = Plan::from_json(good).unwrap();
        assert_eq!((plan.changes.len(), plan.changes[0].why.as_str()), (1, "room"));
        let other = Plan::from_json(r#"{"schema":"plimsoll.plan/2"}"#).unwrap_err();
        assert!(matches!(other, NoPlan::Schema(_)), "{other}");
        let foreign = r#"{"schema":"plimsoll.plan/1","changes":[{"edit":{"kind":"policy","protocol":"udp","port":53,
            "timeouts":[{"sysctl":"net.netfilter.nf_conntrack_tcp_timeout_close","secs":1}]}}]}"#;
        assert!(matches!(Plan::from_json(foreign), Err(NoPlan::Foreign { .. })));
        assert!(matches!(Plan::from_json("["), Err(NoPlan::Malformed(_))));
        let shield = r#"{"schema":"plimsoll.plan/1","changes":[{"edit":{"kind":"shield","class":{"kind":"handshakes","ports":[443]},
            "limits":null,"drop":[],"allow":[]}}]}"#;
        assert!(matches!(Plan::from_json(shield), Err(NoPlan::Shield)), "it would have no end");
    }

    #[test]
    fn a_policy_that_the_kernel_would_make_something_else_of_is_refused() {
        let policy = |port: u16, timeouts: &str| {
            let text = format!(
                r#"{{"schema":"plimsoll.plan/1","changes":[{{"edit":{{"kind":"policy","protocol":"tcp","port":{port},
                "timeouts":[{timeouts}]}}}}]}}"#
            );
            Plan::from_json(&text)
        };
        let of =
            |secs: u32| format!(r#"{{"sysctl":"net.netfilter.nf_conntrack_tcp_timeout_established","secs":{secs}}}"#);
        for secs in [1, LONGEST_POLICY_SECS] {
            policy(443, &of(secs)).unwrap();
        }
        let senseless = [(0, of(60)), (443, String::new()), (443, of(0)), (443, of(LONGEST_POLICY_SECS + 1))];
        for (port, timeouts) in senseless {
            assert!(matches!(policy(port, &timeouts), Err(NoPlan::Senseless { .. })), "{port} {timeouts}");
        }
    }
}
