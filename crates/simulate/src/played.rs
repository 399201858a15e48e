//! A scenario, played to a twin as the lab plays it to a kernel.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_hints::fetch_at;
use plimsoll_model::{NewEntry, Protocol, Tuple, Zone};
use plimsoll_scenario::{Content, Event, Place, Scenario, Schedule, Segment, Sequences, Side, Size};
use plimsoll_twin::packet::{self, flags};
use plimsoll_twin::{Asked, Direction, EntryId, Expected, NoRules, Settings, Twin, Verdict};

use crate::batch::{self, Plays};
use crate::outcome::{Completeness, Outcome};
use crate::rules::RouterRules;
use crate::sent::{answer, content, question};
use crate::simulation::{Further, Simulation};
use crate::watch::{Tuples, Watch};
use crate::{NotSimulated, Progress, Setup};

/// The class of the SIP helper's expectations of audio.
const SIP_AUDIO: u8 = 1;

pub(crate) fn play(
    standing: &[NewEntry],
    scenario: &Scenario,
    seed: u64,
    size: Size,
    setup: &Setup,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Outcome, NotSimulated> {
    if scenario.proxy.is_some() {
        return Err(NotSimulated::Proxy);
    }
    let settings = Settings { translates: scenario.router.translates(), ..setup.settings.clone() };
    let lasts = scenario.play.lasts;
    let mut simulation = Simulation::new(setup, settings, Some(lasts), observer);
    let mut stopped = standing.iter().try_for_each(|entry| simulation.stand(entry));
    for standing in &scenario.standing {
        let mut entries = standing.entries(seed, size, setup.host.capacity.0)?;
        if stopped.is_continue() {
            stopped = entries.try_for_each(|entry| simulation.stand(&entry.new_entry()));
        }
    }
    if stopped.is_break() {
        return Ok(simulation.finish(Duration::ZERO, Completeness::StoppedAt(Duration::ZERO)));
    }
    let rules = RouterRules::new(&scenario.router, seed, &mut simulation.twin);
    let mut player = Player { simulation, rules, flows: Vec::new() };
    let mut schedule = Schedule::new(scenario, seed, size);
    let mut batch = Vec::with_capacity(batch::PACKETS);
    loop {
        batch.extend(schedule.by_ref().take(batch::PACKETS).map(|event| Coming { event, asked: None }));
        if batch.is_empty() {
            break;
        }
        if let ControlFlow::Break(at) = player.play_batch(&mut batch) {
            return Ok(player.simulation.finish(at, Completeness::StoppedAt(at)));
        }
        batch.clear();
    }
    let mut simulation = player.simulation;
    if let ControlFlow::Break(at) = simulation.until(lasts) {
        return Ok(simulation.finish(at, Completeness::StoppedAt(at)));
    }
    Ok(simulation.finish(lasts, Completeness::Whole))
}

struct Player<'a, 'o> {
    simulation: Simulation<'o>,
    rules: RouterRules<'a>,
    /// Those of which more is to come, by their events' slots.
    flows: Vec<Option<Running>>,
}

/// A flow that was not refused.
#[derive(Clone, Copy)]
struct Running {
    /// The flow's.
    number: u32,
    sequences: Sequences,
    watch: Watch,
    /// By side, the tuples of the client's packets and of the server's, who answers to what it sees behind a translation.
    asked: [Asked; 2],
}

/// A packet that will come.
struct Coming {
    event: Event,
    /// What it asks for, until an entry of its flow is known.
    asked: Option<Asked>,
}

impl Plays for Player<'_, '_> {
    type Packet = Coming;

    fn twin(&self) -> &Twin {
        &self.simulation.twin
    }

    #[inline]
    fn asked(coming: &mut Coming) -> Option<&mut Asked> {
        coming.asked.as_mut()
    }

    #[inline]
    fn ask_for_flow(&self, coming: &Coming) {
        fetch_at(&self.flows, coming.event.slot as usize);
    }

    /// Its tuple is asked for, or its entry, once that is known.
    #[inline]
    fn foresee(&self, Coming { event, asked }: &mut Coming) {
        match self.flows.get(event.slot as usize) {
            // Its slot may have been another's.
            Some(Some(running)) if running.number == event.flow.number => {
                if let Some(entry) = running.watch.entry {
                    self.simulation.twin.ask_for(entry);
                }
            }
            _ => *asked = Some(self.ask_anew(event)),
        }
    }

    #[inline]
    fn take(&mut self, Coming { event, asked }: &Coming) -> ControlFlow<Duration> {
        self.simulation.until(event.at)?;
        self.rules.comes(event.flow.number, event.at);
        match event.place {
            Place::First | Place::Only => self.open(event, asked.as_ref()),
            Place::Between | Place::Last => self.go_on(event),
        }
        ControlFlow::Continue(())
    }
}

impl Player<'_, '_> {
    /// The tuple of a packet of whose flow nothing is known yet.
    #[inline(never)]
    fn ask_anew(&self, event: &Event) -> Asked {
        let tuple = match event.packet.from {
            Side::Client => question(&event.flow),
            Side::Server => answer(&event.flow),
        };
        self.simulation.ask(Zone::default(), &tuple)
    }

    fn open(&mut self, event: &Event, asked: Option<&Asked>) {
        let asked = asked.copied().unwrap_or_else(|| self.ask_anew(event));
        let running = self.begin(event, &asked);
        put(&mut self.flows, event.slot, running);
    }

    /// The first packet of a flow comes; what is known of the flow then, if more is to come.
    fn begin(&mut self, event: &Event, asked: &Asked) -> Option<Running> {
        let &Event { at, ref flow, packet, place, .. } = event;
        let mut sequences = Sequences::new(flow);
        let content = content(sequences.send(flow, packet));
        let verdict = self.simulation.pass(at, asked, &content, &mut self.rules);
        self.simulation.flows += 1;
        if matches!(verdict, Verdict::Dropped(_)) {
            // Nobody has heard of it.
            self.simulation.refused_flows += 1;
            return None;
        }
        let mut watch = Watch::new(None);
        watch.note(&content, packet.from, &verdict);
        self.overhear(event, watch.entry);
        if place == Place::Only {
            return None;
        }
        let translated = watch.entry.filter(|_| self.rules.translate());
        let answers = translated.and_then(|entry| self.simulation.tuples(at, entry)).map(|tuples| tuples.reply);
        let answers = self.simulation.ask(Zone::default(), &answers.unwrap_or_else(|| answer(flow)));
        Some(Running { number: flow.number, sequences, watch, asked: [*asked, answers] })
    }

    #[inline]
    fn go_on(&mut self, event: &Event) {
        let &Event { at, ref flow, packet, place, slot } = event;
        let Some(known) = self.flows.get_mut(slot as usize) else { return };
        // None if it was refused.
        let Some(running) = known else { return };
        let Running { sequences, watch, asked, .. } = running;
        let content = content(sequences.send(flow, packet));
        if let Some(entry) = watch.entry {
            asked[packet.from as usize].found(entry);
        }
        let [asks, answers] = &*asked;
        let tuples = || Tuples { original: asks.tuple(), reply: answers.tuple() };
        let further = Further { at, asked: &asked[packet.from as usize], content: &content, from: packet.from };
        let (verdict, _) = self.simulation.pass_watched(further, watch, tuples, &mut self.rules);
        let opens = matches!(verdict, Verdict::Passed { direction: Direction::Original, .. });
        let opener = (packet.from == Side::Server && opens).then(|| answers.tuple());
        let entry = watch.entry;
        if place == Place::Last {
            *known = None;
        }
        if let Some(tuple) = opener {
            self.answer_in_place_of_a_client(event, &tuple, &content);
        }
        self.overhear(event, entry);
    }

    /// A server's segment opened a flow: one that no entry brings back to a translated client has reached the router itself, which
    /// knows of no such connection (`tcp_v4_send_reset`).
    fn answer_in_place_of_a_client(&mut self, event: &Event, answer: &Tuple, content: &packet::Content<'_>) {
        let packet::Content::Tcp(segment) = content else { return };
        let is_for_the_router = answer.destination != IpAddr::V4(*event.flow.client.ip());
        if !is_for_the_router || segment.has(flags::RST) {
            return;
        }
        let reset = packet::Segment::new(flags::RST, segment.acknowledgement, 0, 0);
        let asked = self.simulation.ask(Zone::default(), &answer.mirrored());
        self.simulation.pass(event.at, &asked, &packet::Content::Tcp(reset), &mut NoRules);
    }

    /// What helpers make of a packet. Whom no helper listens in on, and what has an expectation already, stays as it is.
    #[inline]
    fn overhear(&mut self, event: &Event, entry: Option<EntryId>) {
        if let (Content::Tcp(Segment::Passive(_)) | Content::Announce(_), Some(entry)) = (event.packet.content, entry) {
            self.expect(event, entry);
        }
    }

    #[cold]
    fn expect(&mut self, event: &Event, entry: EntryId) {
        let Event { at, flow, packet, .. } = event;
        let (client, server) = (IpAddr::V4(*flow.client.ip()), IpAddr::V4(*flow.server.ip()));
        match packet.content {
            Content::Tcp(Segment::Passive(port)) => {
                let what =
                    Expected { protocol: Protocol::TCP, source: Some(client), destination: server, port, class: 0 };
                let _ = self.simulation.twin.expect(*at, entry, what);
            }
            Content::Announce(ports) => {
                let (source, destination) = match packet.from {
                    Side::Client => (server, client),
                    Side::Server => (client, server),
                };
                for port in ports.iter() {
                    let source = Some(source);
                    let what = Expected { protocol: Protocol::UDP, source, destination, port, class: SIP_AUDIO };
                    let _ = self.simulation.twin.expect(*at, entry, what);
                }
            }
            _ => {}
        }
    }
}

/// Puts what is known of the flow in a slot where it is looked for.
fn put(known: &mut Vec<Option<Running>>, slot: u32, of_flow: Option<Running>) {
    let slot = slot as usize;
    if known.len() <= slot {
        known.resize(slot + 1, None);
    }
    if let Some(place) = known.get_mut(slot) {
        *place = of_flow;
    }
}
