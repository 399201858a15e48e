//! A scenario, played to a twin as the lab plays it to a kernel.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::{NewEntry, Protocol, Tuple, Zone};
use plimsoll_scenario::{Content, Ends, Event, Place, Scenario, Schedule, Segment, Side, Size};
use plimsoll_twin::packet::{self, flags};
use plimsoll_twin::{Asked, Coming, Direction, EntryId, Expected, NoRules, Outlook, Settings, Verdict};

use crate::outcome::{Completeness, Outcome};
use crate::rules::RouterRules;
use crate::sent::{answer, content, question};
use crate::simulation::Simulation;
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
    let mut player = Player { simulation, rules, translates: scenario.router.translates(), flows: Vec::new() };
    let mut schedule = Schedule::new(scenario, seed, size);
    let here = player.simulation.place(Zone::default());
    let mut outlook = Outlook::new();
    loop {
        let next = outlook.next(&player.simulation.twin, || {
            let event = schedule.next()?;
            Some(Coming { flow: Some((here, player.foreseen_tuple(&event))), packet: event })
        });
        let Some((event, Some(asked))) = next else { break };
        if let ControlFlow::Break(at) = player.simulation.until(event.at) {
            return Ok(player.simulation.finish(at, Completeness::StoppedAt(at)));
        }
        player.take(event, asked);
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
    translates: bool,
    /// Those of which more is to come, by their events' slots.
    flows: Vec<Option<Running>>,
}

#[derive(Clone, Copy)]
struct Running {
    /// The flow's.
    number: u32,
    ends: Ends,
    watch: Watch,
    /// The tuple of the server's packets, where something translates: it answers to what it sees behind the translation.
    answer: Option<Tuple>,
}

impl Player<'_, '_> {
    /// The tuple of a packet that will come, as far as is known yet.
    #[inline]
    fn foreseen_tuple(&self, event: &Event) -> Tuple {
        match event.packet.from {
            Side::Client => question(&event.flow),
            Side::Server => self.known_answer(event).unwrap_or_else(|| answer(&event.flow)),
        }
    }

    #[inline]
    fn known_answer(&self, event: &Event) -> Option<Tuple> {
        let running = self.flows.get(event.slot as usize).filter(|_| self.translates)?.as_ref()?;
        // Its slot may be another's still.
        running.answer.filter(|_| running.number == event.flow.number)
    }

    #[inline]
    fn take(&mut self, event: &Event, asked: &Asked) {
        self.rules.comes(event.flow.number, event.at);
        match event.place {
            Place::First | Place::Only => self.open(event, asked),
            Place::Between | Place::Last => self.go_on(event, asked),
        }
    }

    fn open(&mut self, event: &Event, asked: &Asked) {
        let running = self.begin(event, asked);
        let slot = event.slot as usize;
        if self.flows.len() <= slot {
            self.flows.resize(slot + 1, None);
        }
        if let Some(place) = self.flows.get_mut(slot) {
            *place = running;
        }
    }

    /// The first packet of a flow comes; what is known of the flow then, if more is to come.
    fn begin(&mut self, event: &Event, asked: &Asked) -> Option<Running> {
        let &Event { at, flow, packet, place, .. } = event;
        let mut ends = Ends::new(&flow);
        let content = content(&ends.send(&flow, packet));
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
        let tuples = watch.entry.filter(|_| self.translates).and_then(|entry| self.simulation.tuples(at, entry));
        Some(Running { number: flow.number, ends, watch, answer: tuples.map(|tuples| tuples.reply) })
    }

    #[inline]
    fn go_on(&mut self, event: &Event, asked: &Asked) {
        let Event { at, flow, packet, place, slot } = event;
        let Some(known) = self.flows.get_mut(*slot as usize) else { return };
        // None if it was refused.
        let Some(Running { ends, watch, answer: translated, .. }) = known else { return };
        let content = content(&ends.send(flow, *packet));
        let asked = match translated {
            // It was not known when this one was made.
            Some(answer) if packet.from == Side::Server && *answer != asked.tuple() => {
                &self.simulation.ask(Zone::default(), answer)
            }
            _ => asked,
        };
        let tuples = || Tuples { original: question(flow), reply: translated.unwrap_or_else(|| answer(flow)) };
        let rules = &mut self.rules;
        let (verdict, _) = self.simulation.pass_watched(*at, asked, &content, packet.from, watch, tuples, rules);
        let entry = watch.entry;
        if let Some(answer) = translated.filter(|_| packet.from == Side::Server) {
            self.answer_in_place_of_a_client(event, &answer, &content, &verdict);
        }
        if *place == Place::Last
            && let Some(known) = self.flows.get_mut(*slot as usize)
        {
            *known = None;
        }
        self.overhear(event, entry);
    }

    /// A server's segment that no entry brings back to a translated client has reached the router itself, which knows of no
    /// such connection (`tcp_v4_send_reset`).
    fn answer_in_place_of_a_client(
        &mut self,
        event: &Event,
        answer: &Tuple,
        content: &packet::Content<'_>,
        verdict: &Verdict,
    ) {
        let packet::Content::Tcp(segment) = content else { return };
        let is_for_the_router = answer.destination != IpAddr::V4(*event.flow.client.ip())
            && matches!(verdict, Verdict::Passed { direction: Direction::Original, .. });
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
