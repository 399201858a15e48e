//! Whether a service can be left untracked beside a ruleset.
//!
//! Each packet of the service is followed through the rules as it goes now, in each state that it can be in, and untracked. Both must end
//! alike, and have the same done to them on the way. Where untracked packets would be dropped by a rule that lets tracked ones pass by their state,
//! a rule is proposed that accepts them just there, and all is followed again with that rule in its place.

use std::collections::BTreeSet;

use plimsoll_model::{Bypass, Protocol};

use crate::addition::{Addition, Amended, WithoutEntry};
use crate::bypass::{Begins, Terms, Unsolicited};
use crate::class::{IpVersion, PacketClass, Route};
use crate::evaluate::TooManyWays;
use crate::judgement::{Judgement, Packets, Price, Reason, Safe, Trouble};
use crate::key::Field;
use crate::model::{Effect, Family, Ruleset};
use crate::numbers::{Numbers, Span};
use crate::path::{Outcome, Path, Place};
use crate::requests::requests;
use crate::tracking::{Direction, EntryState, Tracking, Translated};

/// What works with entries beside the ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Destinations that IPVS balances; `None` where that is not known.
    pub balanced: Option<Vec<PacketClass>>,
    /// Whether conntrackd runs; `None` where that is not known.
    pub replicated: Option<bool>,
}

/// How often rules are proposed and all is followed again.
const ROUNDS: usize = 4;

/// Judges whether a ruleset means the same with a bypass.
pub fn judge_bypass(ruleset: &Ruleset, bypass: &Bypass, terms: Terms, beside: &Beside) -> Judgement {
    let asked = &Asked { requests: requests(bypass), terms };
    let mut reasons = from_beside(asked, beside);
    if !ruleset.unknown.is_empty() || knows_bridges(ruleset) {
        reasons.insert(reason(Packets::Requests, Trouble::NotUnderstood));
    }
    let mended = match mend(ruleset, asked) {
        Ok(Ok(safe)) => Some(safe),
        Ok(Err(found)) => {
            reasons.extend(found);
            None
        }
        Err(TooManyWays) => {
            reasons.insert(reason(Packets::Requests, Trouble::TooManyWays));
            None
        }
    };
    if let Some(safe) = mended.filter(|_| reasons.is_empty()) {
        if safe.commands(ruleset).is_some() {
            return Judgement::Safe(safe);
        }
        reasons.insert(reason(Packets::Answers, Trouble::NotWritable));
    }
    let reasons: Vec<_> = reasons.into_iter().collect();
    if reasons.iter().all(|reason| reason.trouble.is_ignorance()) {
        Judgement::Undecided(reasons)
    } else {
        Judgement::Unsafe(reasons)
    }
}

/// What is judged.
struct Asked {
    requests: Vec<PacketClass>,
    terms: Terms,
}

/// The rules that make a bypass safe, no more than it takes; or why none do.
fn mend(ruleset: &Ruleset, asked: &Asked) -> Result<Result<Safe, BTreeSet<Reason>>, TooManyWays> {
    let mut additions: Vec<Addition> = Vec::new();
    for round in 1.. {
        let amended = Amended::of(ruleset, &additions);
        let found = compare(&amended, asked)?;
        if found.is_nothing() {
            break;
        }
        let more: Vec<_> = found.wanted.into_iter().filter(|wanted| !additions.contains(wanted)).collect();
        if more.is_empty() || !found.hopeless.is_empty() || round == ROUNDS {
            let left = if found.hopeless.is_empty() { found.mendable } else { found.hopeless };
            return Ok(Err(left.into_iter().map(|difference| difference.shown(&amended)).collect()));
        }
        additions.extend(more);
    }
    // Two ways may have asked for a rule each where one will do; that which comes later accepts less.
    additions.sort_by_key(|addition| addition.before);
    for addition in additions.clone() {
        let without: Vec<_> = additions.iter().filter(|other| **other != addition).cloned().collect();
        if compare(&Amended::of(ruleset, &without), asked)?.is_nothing() {
            additions = without;
        }
    }
    let mut prices = compare(&Amended::of(ruleset, &additions), asked)?.prices;
    prices.extend(written_by(ruleset));
    if asked.terms.begins == Begins::ClientsOnly {
        prices.insert(Price::ClientsBegin);
    }
    Ok(Ok(Safe { additions, prices: prices.into_iter().collect() }))
}

const fn reason(packets: Packets, trouble: Trouble) -> Reason {
    Reason { packets, trouble, tracked: None, untracked: None }
}

fn from_beside(asked: &Asked, beside: &Beside) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    let met = |class: &PacketClass| asked.requests.iter().any(|request| request.and(class).is_some());
    match &beside.balanced {
        Some(balanced) if balanced.iter().any(met) => {
            reasons.insert(reason(Packets::Requests, Trouble::Balanced));
        }
        Some(_) => {}
        None => {
            reasons.insert(reason(Packets::Requests, Trouble::NotUnderstood));
        }
    }
    match beside.replicated {
        Some(true) => reasons.insert(reason(Packets::Requests, Trouble::Replicated)),
        Some(false) => false,
        None => reasons.insert(reason(Packets::Requests, Trouble::NotUnderstood)),
    };
    reasons
}

/// Whether rules of bridges look at more than frames: their tracking comes before that of IP, whose rules then come too late.
pub(crate) fn knows_bridges(ruleset: &Ruleset) -> bool {
    ruleset
        .tables
        .iter()
        .any(|table| table.family == Family::Bridge && table.chains.iter().any(|chain| !chain.rules.is_empty()))
}

fn written_by(ruleset: &Ruleset) -> Vec<Price> {
    const NAMES: [(&str, &str); 5] = [
        ("DOCKER", "Docker"),
        ("KUBE-", "kube-proxy"),
        ("cali-", "Calico"),
        ("CILIUM_", "Cilium"),
        ("CNI-", "a CNI plugin"),
    ];
    let of_kube = |name: &str| name.starts_with("kube-proxy");
    let has = |prefix: &str| {
        ruleset.tables.iter().flat_map(|table| &table.chains).any(|chain| chain.name.starts_with(prefix))
    };
    let mut found: Vec<_> = NAMES.iter().filter(|(prefix, _)| has(prefix)).map(|(_, program)| *program).collect();
    if ruleset.tables.iter().any(|table| of_kube(&table.name)) {
        found.push("kube-proxy");
    }
    found.dedup();
    found.into_iter().map(|program| Price::WrittenBy { program }).collect()
}

/// What a comparison found.
#[derive(Default)]
struct Found {
    /// What no rule mends.
    hopeless: BTreeSet<Difference>,
    /// What the wanted rules may mend.
    mendable: BTreeSet<Difference>,
    wanted: Vec<Addition>,
    prices: BTreeSet<Price>,
}

impl Found {
    /// Whether all packets fare alike.
    fn is_nothing(&self) -> bool {
        self.hopeless.is_empty() && self.mendable.is_empty()
    }
}

/// A reason, with places in the amended ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    packets: Packets,
    trouble: Trouble,
    tracked: Option<Place>,
    untracked: Option<Place>,
}

impl Difference {
    fn shown(self, amended: &Amended<'_>) -> Reason {
        let Self { packets, trouble, tracked, untracked } = self;
        let show = |place: Option<Place>| place.map(|place| amended.show(place));
        Reason { packets, trouble, tracked: show(tracked), untracked: show(untracked) }
    }
}

fn compare(amended: &Amended<'_>, asked: &Asked) -> Result<Found, TooManyWays> {
    let mut found = Found::default();
    for requests in &asked.requests {
        Comparison {
            amended,
            terms: asked.terms,
            requests: requests.clone(),
            answers: requests.answers(),
            found: &mut found,
        }
        .run()?;
    }
    Ok(found)
}

struct Comparison<'a> {
    amended: &'a Amended<'a>,
    terms: Terms,
    requests: PacketClass,
    answers: PacketClass,
    found: &'a mut Found,
}

impl Comparison<'_> {
    fn run(&mut self) -> Result<(), TooManyWays> {
        let ruleset = &self.amended.ruleset;
        let (requests, answers) = (self.requests.clone(), self.answers.clone());
        let first = ruleset.evaluate(&requests, Tracking::NEW)?;
        let requests_untracked = ruleset.evaluate(&requests, Tracking::Untracked)?;
        let answers_untracked = ruleset.evaluate(&answers, Tracking::Untracked)?;
        let either = self.terms.begins == Begins::Either;

        self.same(Packets::Requests, &first, &requests_untracked, None);
        // A flow has further packets only where its first one passes.
        let begun = passing(&first);
        let established = |class, direction| ruleset.evaluate(class, Tracking::established(direction, Translated::No));
        self.same(Packets::Requests, &established(&requests, Direction::Original)?, &requests_untracked, Some(&begun));
        self.same(
            Packets::Answers,
            &established(&answers, Direction::Reply)?,
            &answers_untracked,
            Some(&mirrored(&begun)),
        );

        let unsolicited = ruleset.evaluate(&answers, Tracking::NEW)?;
        if either {
            self.same(Packets::Answers, &unsolicited, &answers_untracked, None);
            let begun = passing(&unsolicited);
            self.same(Packets::Answers, &established(&answers, Direction::Original)?, &answers_untracked, Some(&begun));
            let begun = mirrored(&begun);
            self.same(Packets::Requests, &established(&requests, Direction::Reply)?, &requests_untracked, Some(&begun));
        } else {
            self.opened(&unsolicited, &answers_untracked);
        }

        // What is INVALID of UDP has a length or checksum that a socket of this host finds wrong, too (`udp_error` in
        // `nf_conntrack_proto_udp.c`, `__udp4_lib_rcv`).
        let is_udp = requests.field(Field::Protocol).single() == Some(Protocol::UDP.0.into());
        if !is_udp || requests.route() == Route::Forwarded {
            for (packets, class, untracked) in
                [(Packets::Requests, &requests, &requests_untracked), (Packets::Answers, &answers, &answers_untracked)]
            {
                let invalid = ruleset.evaluate(class, Tracking::Invalid)?;
                let dropped: Vec<_> = invalid.into_iter().filter(|path| path.outcome != Outcome::Accept).collect();
                if is_udp && self.terms.unsolicited == Unsolicited::Allowed {
                    self.malformed(&dropped, untracked);
                } else {
                    self.same(packets, &dropped, untracked, None);
                }
            }
        }
        if !begun.is_empty() {
            let ends = |field| begun.iter().map(|class: &PacketClass| class.field(field).clone()).collect();
            // About answers, to who sent them; about requests, the same.
            let of_this_host = (requests.route() == Route::Forwarded).then_some(Route::FromHost);
            for (direction, route, to) in [
                (Direction::Original, requests.route(), ends(Field::Destination)),
                (Direction::Reply, answers.route(), ends(Field::Source)),
            ] {
                // What passes through is told by this host, too, that it is too long or late (`ip_forward` in `ip_forward.c`).
                for route in [Some(route), of_this_host].into_iter().flatten() {
                    self.errors(direction, route, &to)?;
                }
            }
        }
        Ok(())
    }

    /// Each packet must fare alike.
    fn same(&mut self, packets: Packets, tracked: &[Path], untracked: &[Path], only: Option<&[PacketClass]>) {
        for now in tracked {
            self.used(packets, now, only);
            for then in untracked.iter().filter(|then| !alike(now, then)) {
                let Some(both) = meet(now, then) else { continue };
                if only.is_some_and(|only| !only.iter().any(|class| class.and(&both).is_some())) {
                    continue;
                }
                self.pair(packets, now, then, &both);
            }
        }
    }

    /// What is done to entries would be missed.
    fn used(&mut self, packets: Packets, now: &Path, only: Option<&[PacketClass]>) {
        if only.is_some_and(|only| !only.iter().any(|class| class.and(&now.class).is_some() || is_translated(now))) {
            return;
        }
        for done in &now.effects {
            let trouble = match done.effect {
                Effect::TranslateDestination(_) | Effect::TranslateSource(_) => Trouble::Translated,
                Effect::EntryMark(_)
                | Effect::MarkFromEntry(_)
                | Effect::Entry(_)
                | Effect::Zone(_)
                | Effect::Offload(_)
                | Effect::Synproxy(_) => Trouble::EntryUsed,
                // By what is written they are others, and so are their answers.
                Effect::Unknown(_) | Effect::Rewritten { .. } => Trouble::NotUnderstood,
                _ => continue,
            };
            let tracked = Some(done.place);
            self.found.hopeless.insert(Difference { packets, trouble, tracked, untracked: None });
        }
    }

    fn pair(&mut self, packets: Packets, now: &Path, then: &Path, both: &PacketClass) {
        let trouble = match (&now.outcome, &then.outcome) {
            (Outcome::Unknown, _) | (_, Outcome::Unknown) | (Outcome::Queue, Outcome::Queue) => Trouble::NotUnderstood,
            (now, then) if now == then => Trouble::OtherEffects,
            // Translation comes after what is compared here, and is refused by itself.
            (Outcome::Accept, Outcome::Drop | Outcome::Reject(_)) => Trouble::Dropped,
            (Outcome::Drop | Outcome::Reject(_), Outcome::Accept) => Trouble::Passes,
            _ => Trouble::OtherOutcome,
        };
        let is_doubtful = !now.doubts.is_empty() || !then.doubts.is_empty();
        let trouble = if is_doubtful { Trouble::NotUnderstood } else { trouble };
        let (tracked, untracked) = (decisive(now, then), decisive(then, now));
        let difference = Difference { packets, trouble, tracked, untracked };
        if (packets, trouble) == (Packets::Requests, Trouble::Passes) && self.is_asked_for(both) {
            self.found.prices.extend(tracked.map(|place| Price::OpensAnswers { before: self.amended.show(place) }));
            return;
        }
        let state = if packets == Packets::Errors { WithoutEntry::Invalid } else { WithoutEntry::Untracked };
        match trouble {
            Trouble::Dropped => {
                let Some(addition) = self.addition(packets, now, then, state) else {
                    self.found.hopeless.insert(difference);
                    return;
                };
                if self.found.mendable.insert(difference) && !self.found.wanted.contains(&addition) {
                    self.found.wanted.push(addition);
                }
            }
            _ => {
                self.found.hopeless.insert(difference);
            }
        }
    }

    /// Whether requests look like answers, too, and such may pass unasked: those from the service's port to the service's port.
    fn is_asked_for(&self, both: &PacketClass) -> bool {
        self.terms.unsolicited == Unsolicited::Allowed && self.answers.and(both).is_some_and(|answers| answers == *both)
    }

    /// The rule that lets untracked packets pass where tracked ones do: before the first rule at which their ways part, in the base
    /// chain that would drop them.
    fn addition(&self, packets: Packets, now: &Path, then: &Path, state: WithoutEntry) -> Option<Addition> {
        let dropping = then.steps.last()?;
        let of_base = |path: &Path| {
            path.steps.iter().filter(|step| step.base == dropping.base).map(|step| step.place).collect::<Vec<_>>()
        };
        let (tracked, untracked) = (of_base(now), of_base(then));
        let common = tracked.iter().zip(&untracked).take_while(|(one, other)| one == other).count();
        let parted = match (tracked.get(common), untracked.get(common)) {
            (Some(one), Some(other)) if (one.table, one.chain) == (other.table, other.chain) => {
                // The policy comes last.
                if one.rule.is_none() || other.rule.is_some_and(|other| one.rule > Some(other)) { *other } else { *one }
            }
            // A way that is in a chain still has not come to what the other finds behind it.
            (Some(one), Some(other)) => {
                let entered = |place: &Place| {
                    let mut before = tracked.iter().take(common);
                    before.position(|step| step.chain == place.chain).unwrap_or(common)
                };
                if entered(other) > entered(one) { *other } else { *one }
            }
            (Some(one), None) => *one,
            (None, Some(other)) => *other,
            // One rule decides both, by a map.
            (None, None) => *tracked.last()?,
        };
        let (table, chain) = dropping.base;
        let base = self.amended.ruleset.tables.get(table)?.chains.get(chain)?.base.as_ref()?;
        let class = match packets {
            Packets::Requests => self.requests.clone(),
            Packets::Answers => self.answers.clone(),
            Packets::Errors => errors(then.class.route(), self.requests.version()?),
        };
        Some(Addition { before: self.amended.before(parted), hook: base.hook, class, state })
    }

    /// Answers that nobody asked for.
    fn opened(&mut self, unsolicited: &[Path], untracked: &[Path]) {
        for now in unsolicited {
            for then in untracked {
                if meet(now, then).is_none() || now.outcome == then.outcome || then.outcome != Outcome::Accept {
                    continue;
                }
                let before = decisive(now, then);
                let is_allowed =
                    self.answers.route() == Route::FromHost || self.terms.unsolicited == Unsolicited::Allowed;
                match before {
                    Some(before) if is_allowed => {
                        self.found.prices.insert(Price::OpensAnswers { before: self.amended.show(before) });
                    }
                    tracked => {
                        let (packets, untracked) = (Packets::Answers, decisive(then, now));
                        let trouble = Trouble::Passes;
                        self.found.hopeless.insert(Difference { packets, trouble, tracked, untracked });
                    }
                }
            }
        }
    }

    /// Malformed packets that the rules drop as INVALID, and pass on when they are not tracked.
    fn malformed(&mut self, invalid: &[Path], untracked: &[Path]) {
        for now in invalid {
            if untracked.iter().any(|then| then.outcome == Outcome::Accept && meet(now, then).is_some())
                && let Some(place) = now.steps.last().map(|step| step.place)
            {
                self.found.prices.insert(Price::OpensMalformed { before: self.amended.show(place) });
            }
        }
    }

    /// ICMP errors about its packets belong to its flows now, and to none when they are not tracked (`nf_conntrack_inet_error`).
    fn errors(&mut self, direction: Direction, route: Route, to: &Numbers) -> Result<(), TooManyWays> {
        let Some(version) = self.requests.version() else { return Ok(()) };
        let class = errors(route, version).with(Field::Destination, to);
        let ruleset = &self.amended.ruleset;
        let related = Tracking::Entry { state: EntryState::Related, direction, translated: Translated::No };
        let now: Vec<_> = ruleset.evaluate(&class, related)?;
        let then = ruleset.evaluate(&class, Tracking::Invalid)?;
        let passing: Vec<_> = now.into_iter().filter(passes).collect();
        self.same(Packets::Errors, &passing, &then, None);
        let opens = self.amended.additions.iter();
        let mut opens =
            opens.filter(|addition| addition.state == WithoutEntry::Invalid && addition.class.and(&class).is_some());
        if opens.next().is_none() {
            return Ok(());
        }
        let is_allowed = route != Route::Forwarded || self.terms.unsolicited == Unsolicited::Allowed;
        for before in self.amended.original.evaluate(&class, Tracking::Invalid)? {
            let opens = |then: &Path| then.outcome == Outcome::Accept && meet(&before, then).is_some();
            if before.outcome == Outcome::Accept || !then.iter().any(opens) {
                continue;
            }
            let Some(place) = before.steps.last().map(|step| step.place) else { continue };
            if is_allowed {
                self.found.prices.insert(Price::OpensErrors { before: self.amended.original.show(place) });
            } else {
                let (packets, trouble) = (Packets::Errors, Trouble::Passes);
                self.found.hopeless.insert(Difference { packets, trouble, tracked: None, untracked: None });
            }
        }
        Ok(())
    }
}

/// ICMP errors that go a way: those by which tracking finds a flow (`nf_conntrack_inet_error`).
fn errors(route: Route, version: IpVersion) -> PacketClass {
    let class = PacketClass::new(route, version);
    match version {
        // Destination unreachable, source quench, redirect, time exceeded, parameter problem.
        IpVersion::V4 => {
            let types = [3, 4, 5, 11, 12].into_iter().map(|kind| Span { first: kind, last: kind }).collect();
            class.of(Protocol::ICMP).with(Field::IcmpType, &types)
        }
        IpVersion::V6 => class.of(Protocol::ICMPV6).with(Field::IcmpType, &Numbers::range(1, 4)),
    }
}

/// Packets that go both ways, and what both ways assume.
fn meet(one: &Path, other: &Path) -> Option<PacketClass> {
    let agree = one.facts.iter().all(|(asked, is)| other.facts.get(asked).is_none_or(|other| other == is));
    // What was translated has left its class; it is refused by itself.
    if !agree || is_translated(one) { None } else { one.class.and(&other.class) }
}

fn is_translated(path: &Path) -> bool {
    path.effects.iter().any(|done| matches!(done.effect, Effect::TranslateDestination(_) | Effect::TranslateSource(_)))
}

/// Whether packets on both ways fare alike. What a program accepts goes on with the next chain (`nf_reinject` in `nf_queue.c`), which is
/// not followed.
fn alike(now: &Path, then: &Path) -> bool {
    let is_known = !matches!(now.outcome, Outcome::Unknown | Outcome::Queue);
    is_known && now.outcome == then.outcome && felt(now).eq(felt(then))
}

/// What is done that somebody could notice.
fn felt(path: &Path) -> impl Iterator<Item = (&Effect, Place)> {
    let felt = path.effects.iter().filter(|done| {
        matches!(
            done.effect,
            Effect::Mark { .. }
                | Effect::MarkUnknown(_)
                | Effect::Log(_)
                | Effect::Copy(_)
                | Effect::Remembered(_)
                | Effect::Changed(_)
                | Effect::Rewritten { .. }
                | Effect::Tproxy(_)
                | Effect::Unknown(_)
        )
    });
    felt.map(|done| (&done.effect, done.place))
}

/// The classes of packets that pass, or may.
fn passing(paths: &[Path]) -> Vec<PacketClass> {
    paths.iter().filter(|path| passes(path)).map(|path| path.class.clone()).collect()
}

/// Whether packets pass, or may.
const fn passes(path: &Path) -> bool {
    !matches!(path.outcome, Outcome::Drop | Outcome::Reject(_))
}

/// The classes of their answers, by whatever devices they go.
fn mirrored(classes: &[PacketClass]) -> Vec<PacketClass> {
    let answers = classes.iter().map(|class| {
        let mut answers = class.answers();
        answers.forget(Field::InInterface);
        answers.forget(Field::OutInterface);
        answers
    });
    answers.collect()
}

/// The rule of one way that the other does not have, the last of them.
fn decisive(of: &Path, other: &Path) -> Option<Place> {
    let is_own = |place: &Place| !other.steps.iter().any(|step| step.place == *place);
    let mut places = of.steps.iter().rev().map(|step| step.place);
    let last = places.clone().next();
    places.find(is_own).or(last)
}
