//! Whether SYNPROXY can do the handshakes of services beside a ruleset.
//!
//! The proxy answers a SYN before most rules of input or forward are asked, and then opens the connection to the server itself: that SYN
//! leaves by output with the client's source, and comes to a service of this host by loopback. So the rules of a new connection are asked
//! of other packets, or not at all. Each new connection is followed as it goes now, and each packet that the proxy receives or makes
//! instead ([`Leg`]); what may not begin now must not come through, and what may must be stopped nowhere.
//!
//! The ways are those of `nf_synproxy_core.c`, and were measured hook by hook. Once a connection is open its packets go as ever, but for
//! those that are INVALID to tracking: of these the proxy drops what acknowledges and is no cookie ([`accepts_unknown`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use plimsoll_model::{Network, Ports, Protocol, Shield, Untrusted};
use serde::Serialize;

use crate::class::{IpVersion, PacketClass, Route};
use crate::course::{Course, Translation};
use crate::evaluate::TooManyWays;
use crate::judge::{Beside, knows_bridges};
use crate::key::{Field, NO_INTERFACE, interface};
use crate::model::{Effect, Hook, Ruleset};
use crate::numbers::{Numbers, Span};
use crate::path::{Done, Fact, Of, Outcome, Path, Place};
use crate::requests::addresses;
use crate::state::Bits;
use crate::tcp_flags::{ACK, SYN};
use crate::tracking::{Direction, Tracking, Translated};

/// Services whose handshakes a proxy is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// Their ports of TCP.
    pub ports: Ports,
    /// Clients whose handshakes it does not do: they are let through, or dropped before.
    pub except: Vec<Network>,
    /// Where they are.
    pub served: Served,
}

/// Where services are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// On this host, which forwards nothing.
    Here,
    /// On it, and wherever it forwards to.
    HereAndBehind,
}

/// Whether the ruleset means the same with the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxying {
    /// It does.
    Same,
    /// It does not.
    Different(Vec<Loss>),
    /// It cannot be told.
    Undecided(Vec<Loss>),
}

/// What would be lost by the proxy, or may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "loss", rename_all = "snake_case")]
pub enum Loss {
    /// Connections come about that may not.
    Passes {
        /// Where they are stopped now.
        now: Untrusted,
    },
    /// Connections do not come about that may.
    Stopped {
        /// Which of the proxy's packets is stopped.
        leg: Leg,
        /// Where.
        by: Untrusted,
    },
    /// Something that is done to them, or remembered of them, would not be.
    Missed {
        /// By which rule.
        by: Untrusted,
    },
    /// Something would be done to them that is not done, or would be remembered or copied more often: by a rule that the proxy's SYN comes to.
    Added {
        /// By which rule.
        by: Untrusted,
    },
    /// Their destination is translated, or the proxy's own packets would be.
    Translated {
        /// By which rule.
        by: Untrusted,
    },
    /// The service is not tracked, and the proxy drops what is not.
    Untracked {
        /// By which rule.
        by: Untrusted,
    },
    /// IPVS balances the service.
    Balanced,
    /// A rule on the way is not understood, or a program or another proxy decides.
    NotUnderstood {
        /// Which; `None` where it is no rule.
        by: Option<Untrusted>,
    },
    /// The rules take them more ways than are followed.
    TooManyWays,
}

/// A packet of a handshake that a proxy does, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// The client's SYN, untracked.
    Asks,
    /// The proxy's SYN-ACK to the client, which belongs to no flow (INVALID).
    Answers,
    /// The client's ACK, which belongs to none either.
    Completes,
    /// The proxy's SYN to the server: the first packet of the flow.
    Opens,
    /// The proxy's ACK to the server.
    Confirms,
    /// The proxy's ACK to the client, with the server's window.
    Tells,
}

/// Judges whether a ruleset means the same with a proxy for these services. The ruleset is the one without it.
pub fn judge_synproxy(ruleset: &Ruleset, proxied: &Proxied, beside: &Beside) -> Proxying {
    let mut losses = BTreeSet::new();
    if !ruleset.unknown.is_empty() || knows_bridges(ruleset) {
        losses.insert(Loss::NotUnderstood { by: None });
    }
    for class in classes(proxied) {
        match &beside.balanced {
            Some(balanced) if balanced.iter().any(|service| service.and(&class).is_some()) => {
                losses.insert(Loss::Balanced);
            }
            Some(_) => {}
            None => {
                losses.insert(Loss::NotUnderstood { by: None });
            }
        }
        let mut comparison = Comparison { ruleset, losses: &mut losses };
        if comparison.run(&class).is_err() {
            losses.insert(Loss::TooManyWays);
        }
    }
    let is_ignorance = |loss: &Loss| matches!(loss, Loss::NotUnderstood { .. } | Loss::TooManyWays);
    let losses: Vec<_> = losses.into_iter().collect();
    if losses.is_empty() {
        Proxying::Same
    } else if losses.iter().all(is_ignorance) {
        Proxying::Undecided(losses)
    } else {
        Proxying::Different(losses)
    }
}

/// Whether segments that belong to no connection which tracking knows (INVALID) may pass now: the proxy drops them. Without `tcp_loose`
/// such are those of a connection that has lost its entry, and lives on by these rules. Where it cannot be told, they may.
pub fn accepts_unknown(ruleset: &Ruleset, proxied: &Proxied) -> bool {
    let may_pass = |path: &Path| !matches!(path.outcome, Outcome::Drop | Outcome::Reject(_));
    classes(proxied).iter().any(|class| {
        let course = Course { tcp_flags: Some(ACK), ..Course::whole(class.route()) };
        let paths = ruleset.follow(class, Tracking::Invalid, &course);
        paths.map_or(true, |paths| paths.iter().any(may_pass))
    })
}

/// New connections to the services. A shield has IPv4 alone proxied.
fn classes(proxied: &Proxied) -> Vec<PacketClass> {
    let ports: Numbers = proxied.ports.iter().map(|port| Span { first: port.into(), last: port.into() }).collect();
    let except = addresses(&proxied.except, IpVersion::V4).unwrap_or(Numbers::NONE);
    let class = |route: &Route| {
        let class = PacketClass::new(*route, IpVersion::V4).of(Protocol::TCP).with(Field::DestinationPort, &ports);
        let others = class.field(Field::Source).minus(&except);
        class.with(Field::Source, &others)
    };
    let routes: &[Route] = match proxied.served {
        Served::Here => &[Route::ToHost],
        Served::HereAndBehind => &[Route::ToHost, Route::Forwarded],
    };
    routes.iter().map(class).filter(|class| !class.is_empty()).collect()
}

/// A stretch of a leg's way.
struct Stage {
    leg: Leg,
    turn: Turn,
    tracking: Tracking,
    course: Course,
}

/// How a packet of the proxy's lies to the client's SYN.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// As it comes from the client.
    FromClient,
    /// From this host to the client.
    ToClient,
    /// From this host to the server, with the client's source.
    ToServer,
    /// The same, where it comes back by loopback.
    ByLoopback,
}

impl Turn {
    fn of(self, class: &PacketClass) -> PacketClass {
        let nothing = || Numbers::one(NO_INTERFACE);
        let loopback = || interface("lo").unwrap_or_default();
        match self {
            Self::FromClient => class.clone(),
            Self::ToClient => class.answers().on(Route::FromHost).set(Field::InInterface, nothing()),
            Self::ToServer => {
                let to_server = class.clone().on(Route::FromHost).set(Field::InInterface, nothing());
                match class.route() {
                    Route::Forwarded => to_server,
                    Route::ToHost | Route::FromHost => to_server.set(Field::OutInterface, loopback()),
                }
            }
            Self::ByLoopback => class.clone().set(Field::InInterface, loopback()),
        }
    }

    /// Those of the client's SYNs to which these packets belong.
    fn narrowed(self, class: &PacketClass, path: &PacketClass) -> PacketClass {
        let mirrored = path.answers();
        let ends = match self {
            Self::FromClient => return path.clone(),
            Self::ToClient => &mirrored,
            Self::ToServer | Self::ByLoopback => path,
        };
        [Field::Source, Field::Destination, Field::SourcePort, Field::DestinationPort]
            .into_iter()
            .fold(class.clone(), |class, field| class.with(field, ends.field(field)))
    }
}

/// All that comes of a SYN, until the connection is open.
fn stages(route: Route) -> Vec<Stage> {
    let established = |direction| Tracking::established(direction, Translated::No);
    let (to_server, back) = (established(Direction::Original), established(Direction::Reply));
    let hooks: &[Hook] = match route {
        Route::Forwarded => &[Hook::Ingress, Hook::Prerouting, Hook::Forward],
        Route::ToHost | Route::FromHost => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
    };
    let arriving = Course { hooks, until: Some(Shield::AFTER_TRACKING), ..Course::whole(route) };
    let asking = Course { untracked_from: Shield::BEFORE_TRACKING, tcp_flags: Some(SYN), ..arriving };
    let sent = |flags| Course { mark: Bits::ZERO, tcp_flags: Some(flags), ..Course::whole(Route::FromHost) };
    // What happens to its mark on its way out is not followed.
    let by_loopback = |flags| Course {
        hooks: &[Hook::Prerouting, Hook::Input],
        translation: Translation::Settled,
        tcp_flags: Some(flags),
        ..Course::whole(Route::ToHost)
    };
    let stage = |leg, turn, tracking, course| Stage { leg, turn, tracking, course };
    let mut stages = vec![
        stage(Leg::Asks, Turn::FromClient, Tracking::Untracked, asking),
        stage(Leg::Answers, Turn::ToClient, Tracking::Invalid, sent(SYN | ACK)),
        stage(Leg::Completes, Turn::FromClient, Tracking::Invalid, Course { tcp_flags: Some(ACK), ..arriving }),
        stage(Leg::Opens, Turn::ToServer, Tracking::NEW, sent(SYN)),
    ];
    let is_here = route == Route::ToHost;
    if is_here {
        stages.push(stage(Leg::Opens, Turn::ByLoopback, Tracking::NEW, by_loopback(SYN)));
    }
    stages.push(stage(Leg::Confirms, Turn::ToServer, to_server, sent(ACK)));
    if is_here {
        stages.push(stage(Leg::Confirms, Turn::ByLoopback, to_server, by_loopback(ACK)));
    }
    stages.push(stage(Leg::Tells, Turn::ToClient, back, sent(ACK)));
    stages
}

/// Connections of which all packets so far have come through.
struct Begun {
    class: PacketClass,
    /// What is assumed of packets to the server, and of those to the client.
    forth: BTreeMap<Fact, bool>,
    back: BTreeMap<Fact, bool>,
    /// What was done to the client's SYN, and to the proxy's.
    asked: Vec<Done>,
    opened: Vec<Done>,
}

struct Comparison<'a> {
    ruleset: &'a Ruleset,
    losses: &'a mut BTreeSet<Loss>,
}

impl Comparison<'_> {
    fn run(&mut self, class: &PacketClass) -> Result<(), TooManyWays> {
        self.untracked(class)?;
        let stages = stages(class.route());
        let course = Course { tcp_flags: Some(SYN), ..Course::whole(class.route()) };
        for now in self.ruleset.follow(class, Tracking::NEW, &course)? {
            let place = now.steps.last().map(|step| step.place);
            if let Some(by) = translation(&now) {
                self.lose(|by| Loss::Translated { by }, by);
                continue;
            }
            if !matches!(now.outcome, Outcome::Accept | Outcome::Drop | Outcome::Reject(_)) {
                self.not_understood(place);
                continue;
            }
            let passes = now.outcome == Outcome::Accept;
            let come = self.through(&now, &stages)?;
            if passes {
                for begun in &come {
                    self.otherwise_done(&now, begun);
                }
            } else if !come.is_empty() {
                match place.filter(|_| now.doubts.is_empty()) {
                    Some(place) => self.lose(|now| Loss::Passes { now }, place),
                    None => self.not_understood(place),
                }
            }
        }
        Ok(())
    }

    /// Packets of the service that no entry is made of: the proxy would drop all but the first. A client's port below 1024 would look like
    /// another service's.
    fn untracked(&mut self, class: &PacketClass) -> Result<(), TooManyWays> {
        let class = &class.clone().with(Field::SourcePort, &Numbers::range(1024, 65_535));
        for (class, direction) in [(class, Direction::Original), (&class.answers(), Direction::Reply)] {
            let paths = self.ruleset.evaluate(class, Tracking::established(direction, Translated::No))?;
            for done in paths.iter().flat_map(|path| &path.effects).filter(|done| done.effect == Effect::Notrack) {
                self.lose(|by| Loss::Untracked { by }, done.place);
            }
        }
        Ok(())
    }

    /// The connections that come about; what stops others that may is taken down.
    fn through(&mut self, now: &Path, stages: &[Stage]) -> Result<Vec<Begun>, TooManyWays> {
        let mut begun = vec![Begun {
            class: now.class.clone(),
            forth: now.facts.clone(),
            back: BTreeMap::new(),
            asked: Vec::new(),
            opened: Vec::new(),
        }];
        for stage in stages {
            let mut on = Vec::new();
            for so_far in begun {
                let paths = self.ruleset.follow(&stage.turn.of(&so_far.class), stage.tracking, &stage.course)?;
                for path in paths {
                    let Some(next) = so_far.with(stage, &path) else { continue };
                    if self.comes_through(now, stage, &path) {
                        on.push(next);
                    }
                }
            }
            if on.len() > crate::evaluate::MOST_WAYS {
                return Err(TooManyWays);
            }
            begun = on;
        }
        Ok(begun)
    }

    fn comes_through(&mut self, now: &Path, stage: &Stage, path: &Path) -> bool {
        let place = path.steps.last().map(|step| step.place);
        // What is asked of the proxy's own packets alone is not known: whose they are, what they hold.
        let is_open = stage.leg != Leg::Asks && path.facts.keys().any(|fact| fact.of == Of::Packet);
        match &path.outcome {
            Outcome::Accept => true,
            Outcome::Drop | Outcome::Reject(_) => {
                if now.outcome == Outcome::Accept {
                    match place.filter(|_| !is_open && path.doubts.is_empty()) {
                        Some(place) => self.lose(|by| Loss::Stopped { leg: stage.leg, by }, place),
                        None => self.not_understood(place),
                    }
                }
                false
            }
            Outcome::Queue | Outcome::Answered | Outcome::Unknown => {
                self.not_understood(place);
                false
            }
        }
    }

    /// What is done to a connection now and would not be, and what would be done that is not.
    fn otherwise_done(&mut self, now: &Path, begun: &Begun) {
        for done in &now.effects {
            let is_done = match done.effect {
                // Later packets are offloaded, too.
                Effect::Log(_) | Effect::MarkFromEntry(_) | Effect::Notrack | Effect::Offload(_) => true,
                Effect::Remembered(_) | Effect::Copy(_) => begun.asked.contains(done) || begun.opened.contains(done),
                _ => begun.opened.contains(done),
            };
            if !is_done {
                self.lose(|by| Loss::Missed { by }, done.place);
            }
        }
        for done in begun.asked.iter().chain(&begun.opened) {
            let times = |all: &[Done]| all.iter().filter(|other| *other == done).count();
            let is_asked_more = match done.effect {
                // A line in a log, or other bytes of the proxy's own SYN, change nothing of the connection.
                Effect::Log(_) | Effect::Changed(_) => false,
                // The client's SYN and the proxy's may both be counted.
                Effect::Remembered(_) | Effect::Copy(_) => {
                    times(&begun.asked) + times(&begun.opened) > times(&now.effects)
                }
                // The proxy's SYN is the first packet of the flow: its mark says where it goes, and the entry keeps what is set in it.
                _ => begun.opened.contains(done) && !now.effects.contains(done),
            };
            if is_asked_more {
                let added =
                    |by| if is_translation(&done.effect) { Loss::Translated { by } } else { Loss::Added { by } };
                self.lose(added, done.place);
            }
        }
    }

    fn lose(&mut self, loss: impl FnOnce(Untrusted) -> Loss, place: Place) {
        self.losses.insert(loss(self.ruleset.show(place)));
    }

    fn not_understood(&mut self, place: Option<Place>) {
        self.losses.insert(Loss::NotUnderstood { by: place.map(|place| self.ruleset.show(place)) });
    }
}

impl Begun {
    /// Those whose next packet takes this path; `None` where none of them does.
    fn with(&self, stage: &Stage, path: &Path) -> Option<Self> {
        let class = stage.turn.narrowed(&self.class, &path.class);
        let (mut forth, mut back) = (self.forth.clone(), self.back.clone());
        let known = if stage.turn == Turn::ToClient { &mut back } else { &mut forth };
        for (fact, is) in &path.facts {
            // Of one packet it is known of this one alone.
            if fact.of == Of::Packet && stage.leg != Leg::Asks {
                continue;
            }
            if *known.entry(fact.clone()).or_insert(*is) != *is {
                return None;
            }
        }
        let done = |leg, so_far: &[Done]| {
            let more = path.effects.iter().filter(|_| leg == stage.leg);
            so_far.iter().chain(more).cloned().collect()
        };
        let (asked, opened) = (done(Leg::Asks, &self.asked), done(Leg::Opens, &self.opened));
        (!class.is_empty()).then_some(Self { class, forth, back, asked, opened })
    }
}

fn is_translation(effect: &Effect) -> bool {
    matches!(effect, Effect::TranslateDestination(_) | Effect::TranslateSource(_))
}

/// The rule that translates the destination: before routing it is not asked of the proxy's packets.
fn translation(path: &Path) -> Option<Place> {
    let translates = |done: &&Done| matches!(done.effect, Effect::TranslateDestination(_));
    path.effects.iter().find(translates).map(|done| done.place)
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asks => "the client's SYN, which is not tracked then",
            Self::Answers => "the proxy's SYN-ACK to the client, which is INVALID to tracking",
            Self::Completes => "the client's ACK to it, which is INVALID to tracking",
            Self::Opens => "the proxy's SYN to the server, which leaves by output",
            Self::Confirms => "the proxy's ACK to the server, which leaves by output",
            Self::Tells => "the proxy's ACK to the client, which leaves by output",
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passes { now } => write!(f, "connections would pass that are stopped now by {now}"),
            Self::Stopped { leg, by } => write!(f, "connections that pass now would not: {leg}, is stopped by {by}"),
            Self::Missed { by } => write!(f, "new connections would not come to {by}"),
            Self::Added { by } => {
                write!(
                    f,
                    "the proxy's SYN would come to a rule that new connections do not come to, or not so often: {by}"
                )
            }
            Self::Translated { by } => write!(f, "addresses are translated by {by}"),
            Self::Untracked { by } => write!(f, "the service is not tracked, and its flows would break: {by}"),
            Self::Balanced => f.write_str("IPVS balances the service"),
            Self::NotUnderstood { by: Some(by) } => write!(f, "it cannot be told what would become of packets by {by}"),
            Self::NotUnderstood { by: None } => f.write_str("not all of the ruleset could be read or understood"),
            Self::TooManyWays => f.write_str("the rules take these packets more ways than are followed"),
        }
    }
}
