//! `table-full`, `table-filling`, `namespace-full`: how full each namespace's table is, and what that does.

use plimsoll_churn::{Outlook, churn};
use plimsoll_model::{
    Confidence, Counter, Evidence, Finding, FindingId, Interval, LogOccurrences, NamespaceSnapshot, Relation, Remedy,
    Severity, Snapshot, StateKey,
};

use crate::eviction::{killable, loss};
use crate::evidence::{advice, fact, in_namespace, limit, number, raise_capacity};
use crate::log;
use crate::thresholds::{FILLING, FULL, ROOM_FACTOR, TOLERABLE_LOSS};
use crate::words::{duration, grouped, percent, rate, rounded};

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter_map(|ns| Some(Fullness::of(snapshot, ns)?.finding())).collect()
}

/// Whether there is something to say of how full a namespace's table is, and so of its limit.
pub(crate) fn is_told(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> bool {
    Fullness::of(snapshot, ns).is_some()
}

/// How full one namespace's table is, and what that does.
struct Fullness<'a> {
    snapshot: &'a Snapshot,
    ns: &'a NamespaceSnapshot,
    occupancy: u32,
    limit: u32,
    utilization: f64,
    /// Packets that a full table dropped within the interval; `None` without two readings.
    drops: Option<u64>,
    logged: Option<LogOccurrences>,
    /// Entries that can be evicted, and the probability that a full table refuses a new flow; `None` where the entries
    /// or the buckets could not be read.
    refusal: Option<Refusal>,
    /// When it will be full at the present rate, if that is soon.
    full_soon: Option<FullSoon>,
}

#[derive(Clone, Copy)]
struct FullSoon {
    secs: f64,
    at_least_secs: f64,
    at_most_secs: Option<f64>,
}

#[derive(Clone, Copy)]
struct Refusal {
    killable: Interval,
    loss: Interval,
}

/// What is the matter.
enum Harm {
    /// Packets are dropped, now or within the last minutes.
    Losing,
    /// New flows would be refused.
    WouldLose,
    /// Full, but `early_drop` makes room.
    Carried,
    /// Not full yet.
    Filling,
    /// Not even that, but at the present rate it will be full.
    WillFill,
}

impl<'a> Fullness<'a> {
    /// `None` where there is nothing to say.
    fn of(snapshot: &'a Snapshot, ns: &'a NamespaceSnapshot) -> Option<Self> {
        let occupancy = ns.occupancy?;
        let limit = limit(ns)?;
        let this = Self {
            snapshot,
            ns,
            occupancy: occupancy.0,
            limit,
            utilization: f64::from(occupancy.0) / f64::from(limit),
            drops: ns.change.as_ref().and_then(|change| change.counters.full_table_drops()),
            logged: log::of_namespace(snapshot, ns),
            refusal: snapshot
                .limits
                .buckets
                .zip(killable(ns))
                .map(|(buckets, killable)| Refusal { killable, loss: loss(killable, buckets) }),
            full_soon: full_soon(ns),
        };
        (this.is_losing() || this.utilization >= FILLING || this.full_soon.is_some()).then_some(this)
    }

    fn is_losing(&self) -> bool {
        self.drops.is_some_and(|drops| drops > 0) || self.logged.is_some()
    }

    fn harm(&self) -> Harm {
        if self.is_losing() {
            Harm::Losing
        } else if self.utilization < FILLING {
            Harm::WillFill
        } else if self.utilization < FULL {
            Harm::Filling
        } else if self.refusal.is_none_or(|refusal| refusal.loss.value > TOLERABLE_LOSS) {
            Harm::WouldLose
        } else {
            Harm::Carried
        }
    }

    fn finding(&self) -> Finding {
        let harm = self.harm();
        let (severity, confidence) = self.judged(&harm);
        let id = match (&harm, self.ns.namespace.relation) {
            (Harm::Filling | Harm::WillFill, _) => FindingId::TableFilling,
            (_, Relation::Own) => FindingId::TableFull,
            (_, Relation::Other) => FindingId::NamespaceFull,
        };
        Finding {
            id,
            severity,
            confidence,
            namespace: Some(self.ns.namespace.name.clone()),
            holds: None,
            whose: Vec::new(),
            title: self.title(&harm),
            evidence: self.evidence(),
            meaning: self.meaning(&harm),
            remedies: self.remedies(),
        }
    }

    fn judged(&self, harm: &Harm) -> (Severity, Confidence) {
        match harm {
            Harm::Losing => (Severity::Critical, Confidence::Certain),
            Harm::Filling => (Severity::Warning, Confidence::Certain),
            Harm::WillFill => {
                let settled = self.full_soon.is_some_and(|soon| soon.at_most_secs.is_some());
                (Severity::Warning, if settled { Confidence::Likely } else { Confidence::Possible })
            }
            Harm::WouldLose => {
                let settled = self.refusal.is_some_and(|refusal| refusal.loss.low > TOLERABLE_LOSS);
                (Severity::Critical, if settled { Confidence::Likely } else { Confidence::Possible })
            }
            Harm::Carried => {
                let settled = self.refusal.is_some_and(|refusal| refusal.loss.high <= TOLERABLE_LOSS);
                (Severity::Warning, if settled { Confidence::Likely } else { Confidence::Possible })
            }
        }
    }

    fn fill(&self) -> String {
        format!(
            "{} of {} entries ({})",
            grouped(self.occupancy.into()),
            grouped(self.limit.into()),
            percent(self.utilization)
        )
    }

    fn title(&self, harm: &Harm) -> String {
        let fill = self.fill();
        match harm {
            Harm::Losing => match (self.drops.filter(|drops| *drops > 0), self.drops_per_sec()) {
                (Some(_), Some(per_sec)) => {
                    format!("the table is full and drops {} packets a second: {fill}", rate(per_sec))
                }
                _ => format!("the table was full within the last minutes and dropped packets; now {fill}"),
            },
            Harm::WouldLose => match self.refusal {
                Some(Refusal { loss, .. }) => {
                    format!("the table is nearly full and would refuse {} of new flows: {fill}", estimate(loss))
                }
                None => {
                    format!("the table is nearly full; whether it would refuse new flows could not be read: {fill}")
                }
            },
            Harm::Carried => format!("the table is nearly full of entries that the kernel can evict: {fill}"),
            Harm::Filling | Harm::WillFill => match self.full_soon {
                Some(soon) => format!("the table will be full in about {}: {fill}", duration(rounded(soon.secs))),
                None => format!("the table is filling: {fill}"),
            },
        }
    }

    fn meaning(&self, harm: &Harm) -> String {
        let text = match harm {
            Harm::Losing | Harm::WouldLose => {
                "When the table is full, packets of existing flows pass and those of new ones are dropped without a \
                 word: connections time out, local programs get EPERM, loopback too. It looks like a fault of \
                 everything at once."
            }
            Harm::Carried => {
                "New flows take the place of entries that are not assured: half-open, one-way. Nobody is refused while \
                 those last; slow handshakes may die."
            }
            Harm::Filling | Harm::WillFill => {
                "Nothing is lost yet. At the limit, packets of new flows are dropped without a word."
            }
        };
        match self.ns.namespace.relation {
            Relation::Own => text.to_string(),
            Relation::Other => format!(
                "{text} The limit holds for each namespace's own count, so the host's count does not show this."
            ),
        }
    }

    fn drops_per_sec(&self) -> Option<f64> {
        let change = self.ns.change.as_ref()?;
        Some(self.drops? as f64 / change.over.as_secs_f64())
    }

    fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = vec![
            number("occupancy_entries", self.occupancy.into(), format!("{} entries", grouped(self.occupancy.into()))),
            number("capacity_entries", self.limit.into(), format!("limit {}", grouped(self.limit.into()))),
            number("utilization_ratio", self.utilization, percent(self.utilization)),
        ];
        if let (Some(drops), Some(change)) = (self.drops, &self.ns.change) {
            evidence.push(number(
                "full_table_drops",
                drops as f64,
                format!(
                    "{} packets dropped by the full table within {:.1} s (from `drop`, `insert_failed` and \
                     `chaintoolong`)",
                    grouped(drops),
                    change.over.as_secs_f64()
                ),
            ));
        }
        let dropped = self.ns.counters.as_ref().and_then(|counters| counters.total(Counter::Drop));
        if let Some(total) = dropped.filter(|total| *total > 0) {
            evidence.push(number(
                "drop_total",
                total as f64,
                format!("{} packets dropped so far, for any reason", grouped(total)),
            ));
        }
        if let Some(soon) = self.full_soon {
            evidence.push(number("full_in_secs", soon.secs, soon.words()));
        }
        if let Some(logged) = self.logged {
            evidence.push(log::evidence(&logged));
        }
        if self.utilization >= FULL {
            evidence.push(self.refusal.as_ref().map_or_else(no_refusal_evidence, refusal_evidence));
        }
        evidence
    }

    fn remedies(&self) -> Vec<Remedy> {
        let mut remedies = vec![raise_capacity(
            self.snapshot,
            self.ns,
            u64::from(self.limit.max(self.occupancy)) * u64::from(ROOM_FACTOR),
        )];
        if let Some(remedy) = self.stop_the_largest() {
            remedies.push(remedy);
        }
        if self.is_losing() && self.closing_share().is_some_and(|share| share > 0.1) {
            remedies.push(Remedy {
                action: "Remove entries of connections that are over, inside the namespace: room at once, and no live \
                         connection is touched. It cannot be undone."
                    .to_string(),
                command: in_namespace(self.ns, "conntrack -D -p tcp --state TIME_WAIT"),
            });
        }
        remedies.push(advice(
            "Lowering a timeout helps only flows that see another packet: entries that are there keep the time they \
             were given.",
        ));
        remedies
    }

    /// What to look at: the state, the service and the source that hold most.
    fn stop_the_largest(&self) -> Option<Remedy> {
        let census = self.ns.census.as_ref()?;
        let state = census.states.first()?;
        let mut text = format!("Look at what fills it: {} are {}", percent(state.count.share.value), state.key);
        if let Some(service) = census.services.top.first().filter(|service| service.share.low > 0.2) {
            text.push_str(&format!("; {} go to {}", percent(service.share.value), service.key));
        }
        if let Some(source) = census.sources.top.first().filter(|source| source.share.low > 0.2) {
            text.push_str(&format!("; {} come from {}", percent(source.share.value), source.key));
        }
        text.push('.');
        Some(advice(text))
    }

    fn closing_share(&self) -> Option<f64> {
        let census = self.ns.census.as_ref()?;
        let key = StateKey {
            protocol: plimsoll_model::Protocol::TCP,
            state: plimsoll_model::ProtocolState::Tcp(plimsoll_model::TcpState::TimeWait),
        };
        Some(census.state(key).map_or(0.0, |count| count.share.low))
    }
}

/// What the churn of now leads to, where that is a full table.
fn full_soon(ns: &NamespaceSnapshot) -> Option<FullSoon> {
    match churn(ns)?.outlook {
        Outlook::FullIn { secs, at_least_secs, at_most_secs, .. } => {
            Some(FullSoon { secs, at_least_secs, at_most_secs })
        }
        Outlook::Full | Outlook::LevelsOff { .. } | Outlook::NotKnown { .. } => None,
    }
}

impl FullSoon {
    fn words(self) -> String {
        let secs = |secs: f64| duration(rounded(secs));
        let latest = match self.at_most_secs {
            Some(at_most) => format!("{} at the latest", secs(at_most)),
            None => "or it levels off below the limit".to_string(),
        };
        format!(
            "at the present rate and the timeouts in force it is full in about {}: {} at the earliest, {latest}",
            secs(self.secs),
            secs(self.at_least_secs)
        )
    }
}

fn refusal_evidence(refusal: &Refusal) -> Evidence {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of entries")]
    let killable = refusal.killable.value as u64;
    let text = format!(
        "a full table refuses {} of new flows: exp(−16·U/B) with U = {} entries that are not assured",
        estimate(refusal.loss),
        grouped(killable)
    );
    number("new_flow_loss_ratio", refusal.loss.value, text)
}

fn no_refusal_evidence() -> Evidence {
    let text = "a full table refuses between none and all of the new flows: what it holds could not be read";
    fact("new_flow_loss_ratio", text.to_string())
}

/// A share, with its bounds where it has an error.
fn estimate(share: Interval) -> String {
    if share.half_width() > 0.0 {
        format!("{} ({} to {})", percent(share.value), percent(share.low), percent(share.high))
    } else {
        percent(share.value)
    }
}
