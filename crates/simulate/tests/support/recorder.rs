//! A scenario as a recorder would have followed it: events of every entry, and looks at one of some.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file takes what it needs")]

use std::collections::HashMap;
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_model::{Layer4, Occupancy, Protocol, Timeout, Tuple};
use plimsoll_recording::{Began, End, FlowKey, GapEnd, IdleGap, Life, Sight, Sources, State, Step, TableReading};
use plimsoll_scenario::{Ends, FlowProtocol, Place, Scenario, Schedule, Size, WINDOW};
use plimsoll_simulate::Setup;
use plimsoll_twin::packet::{Content, Packet, Segment};
use plimsoll_twin::{EntryId, NamespaceId, NoRules, Twin, Verdict};

use crate::recording::{at, connection, gap, readings};

/// What is recorded.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) lives: Vec<Life>,
    pub(crate) gaps: Vec<IdleGap>,
    pub(crate) readings: Vec<TableReading>,
}

/// How.
#[derive(Clone, Copy)]
pub(crate) struct Recorder {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) looks_every: Duration,
    /// One of so many entries is looked at.
    pub(crate) one_of: u64,
    pub(crate) sources: Sources,
}

/// An entry that is followed.
struct Seen {
    life: Life,
    is_looked_at: bool,
    /// It was there before, and none of those that are looked at: nothing of it is recorded.
    is_unseen: bool,
    last_packet: Duration,
    armed: Duration,
    /// The silence that a look has followed: its begin, its age then and at the last look, and with what it was armed.
    silence: Option<(Duration, Duration, Duration, Duration, Timeout)>,
    begin: Duration,
}

impl Recorder {
    /// Plays a scenario without translation to a twin, and looks on.
    pub(crate) fn record(&self, scenario: &Scenario, seed: u64, setup: &Setup) -> Recorded {
        let mut twin = Twin::new(setup.host);
        let namespace = twin.add_namespace(setup.settings.clone());
        let mut ends: HashMap<u32, Ends> = HashMap::new();
        let mut followed: HashMap<EntryId, Seen> = HashMap::new();
        let mut recorded = Recorded::default();
        let mut look = Duration::ZERO;
        let mut has_begun = false;
        for event in Schedule::new(scenario, seed, Size::default()) {
            while look <= event.at && look <= self.until {
                twin.advance(look);
                if look >= self.from && !has_begun {
                    has_begun = true;
                    self.begin(&mut followed, &twin, look);
                }
                self.look(look, &twin, namespace, &mut followed, &mut recorded, has_begun);
                look += self.looks_every;
            }
            if event.at > self.until {
                break;
            }
            let own = ends.entry(event.flow.number).or_insert_with(|| Ends::new(&event.flow));
            let sent = own.send(&event.flow, event.packet);
            if event.place == Place::Last {
                ends.remove(&event.flow.number);
            }
            let content = sent.tcp.map_or(Content::Plain, |tcp| {
                let segment = Segment::new(tcp.flags, tcp.sequence, tcp.acknowledgement, WINDOW);
                Content::Tcp(Segment { payload_bytes: sent.payload_bytes.into(), ..segment })
            });
            let protocol = match event.flow.protocol {
                FlowProtocol::Tcp => Protocol::TCP,
                FlowProtocol::Udp => Protocol::UDP,
                FlowProtocol::Icmp => panic!("none of the test's"),
            };
            let layer4 = Layer4::Ports { source: sent.from.port(), destination: sent.to.port() };
            let tuple =
                Tuple { source: (*sent.from.ip()).into(), destination: (*sent.to.ip()).into(), protocol, layer4 };
            let verdict = twin.pass(event.at, namespace.into(), &Packet::Flow { tuple, content }, &mut NoRules);
            if let Verdict::Passed { entry, .. } = verdict {
                self.note(event.at, &twin, entry, &mut followed, has_begun);
            }
        }
        self.end(&mut followed, &mut recorded);
        recorded.lives.sort_by_key(|life| life.key);
        recorded.gaps.sort_by_key(|gap| (gap.began_at, gap.key));
        recorded
    }

    fn rel(&self, time: Duration) -> f64 {
        time.as_secs_f64() - self.from.as_secs_f64()
    }

    fn note(&self, now: Duration, twin: &Twin, id: EntryId, followed: &mut HashMap<EntryId, Seen>, has_begun: bool) {
        let Some(entry) = twin.entry(now, id) else { return };
        let state = State::of(&entry);
        let number = followed.len() as u64 ^ u64::try_from(now.as_micros()).unwrap() << 20;
        let one = followed.entry(id).or_insert_with(|| {
            let is_looked_at = Draw::new(number).next().is_multiple_of(self.one_of);
            let life = Life {
                key: FlowKey(Draw::new(number).next()),
                original: entry.original,
                reply: entry.reply,
                began: Began::At(at(self.rel(now))),
                steps: Vec::new(),
                weight: if self.sources == Sources::Looks || !has_begun { f64::NAN } else { 1.0 },
                sight: if self.sources == Sources::Looks { Sight::Looks } else { Sight::Whole },
                ..connection(1, 0.0)
            };
            Seen {
                life,
                is_looked_at,
                is_unseen: false,
                last_packet: now,
                armed: Duration::ZERO,
                silence: None,
                begin: now,
            }
        });
        one.last_packet = now;
        one.armed = twin.left(now, id).unwrap();
        one.life.status = entry.status;
        if one.life.steps.last().is_none_or(|step| step.state != state) && self.sources == Sources::EventsAndLooks {
            one.life.steps.push(Step { at: at(self.rel(now)), state });
        }
    }

    /// Of what stands only that which is looked at is recorded, each for as many as there are. What has expired is not followed.
    fn begin(&self, followed: &mut HashMap<EntryId, Seen>, twin: &Twin, now: Duration) {
        followed.retain(|id, _| twin.is_alive(now, *id));
        let all = followed.len() as f64;
        let looked_at = followed.values().filter(|one| one.is_looked_at).count() as f64;
        for one in followed.values_mut() {
            one.is_unseen = !one.is_looked_at;
        }
        for one in followed.values_mut() {
            one.life.began = Began::Before(at(self.rel(now)));
            one.life.sight = Sight::Looks;
            one.life.weight = all / looked_at;
            if let Some(last) = one.life.steps.pop() {
                one.life.steps = vec![Step { at: at(self.rel(now)), ..last }];
            }
            one.silence = None;
        }
    }

    fn look(
        &self,
        now: Duration,
        twin: &Twin,
        namespace: NamespaceId,
        followed: &mut HashMap<EntryId, Seen>,
        recorded: &mut Recorded,
        has_begun: bool,
    ) {
        let gone: Vec<_> = followed.keys().copied().filter(|id| twin.left(now, *id).is_none()).collect();
        for id in gone {
            let mut one = followed.remove(&id).unwrap();
            if !has_begun {
                continue;
            }
            one.life.end = End::Expired;
            one.life.ended_at = at(self.rel(now));
            let silence = self.silence(&mut one, now, GapEnd::Expired);
            recorded.gaps.extend(silence);
            self.keep(one, recorded);
        }
        if !has_begun {
            return;
        }
        for (id, one) in followed.iter_mut().filter(|(_, one)| one.is_looked_at) {
            let Some(entry) = twin.entry(now, *id) else { continue };
            let state = State::of(&entry);
            if self.sources == Sources::Looks {
                if one.life.steps.is_empty() && one.begin >= self.from {
                    one.life.began = Began::Before(at(self.rel(now)));
                }
                if one.life.steps.last().is_none_or(|step| step.state != state) {
                    one.life.steps.push(Step { at: at(self.rel(now)), state });
                }
            }
            if one.silence.is_some_and(|(began, ..)| began != one.last_packet) {
                let silence = self.silence(one, now, GapEnd::Packet);
                recorded.gaps.extend(silence);
            }
            let age = now.checked_sub(one.last_packet).unwrap();
            match &mut one.silence {
                Some((_, _, longer, ..)) => *longer = age,
                silence => {
                    let held_by = state.held_by(entry.original.protocol).unwrap();
                    *silence = Some((one.last_packet, age, age, one.armed, held_by));
                }
            }
        }
        let reading = TableReading {
            at: at(self.rel(now)),
            occupancy: Some(Occupancy(twin.occupancy(namespace).0)),
            ..readings()[0].clone()
        };
        recorded.readings.push(reading);
    }

    /// The silence that ends now.
    fn silence(&self, one: &mut Seen, now: Duration, end: GapEnd) -> Option<IdleGap> {
        let (began, seen_from, longer_than, armed, held_by) = one.silence.take()?;
        let at_most = (end == GapEnd::Packet).then(|| one.last_packet.checked_sub(began).unwrap());
        Some(IdleGap {
            armed_secs: u32::try_from(armed.as_secs()).unwrap(),
            began_at: at(self.rel(began)),
            began_within: Duration::ZERO,
            seen_from,
            longer_than,
            at_most,
            end,
            weight: self.one_of as f64,
            ..gap(&one.life, held_by, self.rel(now) - 1.0, self.rel(now))
        })
    }

    fn keep(&self, mut one: Seen, recorded: &mut Recorded) {
        if one.is_unseen {
            return;
        }
        if self.sources == Sources::Looks {
            if !one.is_looked_at || one.life.steps.is_empty() {
                return;
            }
            one.life.weight = self.one_of as f64;
        }
        recorded.lives.push(one.life);
    }

    fn end(&self, followed: &mut HashMap<EntryId, Seen>, recorded: &mut Recorded) {
        for (_, mut one) in std::mem::take(followed) {
            one.life.end = End::Open;
            one.life.ended_at = at(self.rel(self.until));
            let silence = self.silence(&mut one, self.until, GapEnd::StillSilent);
            recorded.gaps.extend(silence);
            self.keep(one, recorded);
        }
    }
}
