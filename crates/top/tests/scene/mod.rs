//! A host whose table fills, as readings tell of it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::Duration;

use plimsoll_diagnose::diagnose;
use plimsoll_model::{
    Answer, Capacity, Census, Counter, CounterReading, End, Ends, Occupancy, Owner, Program, ProgramId, Pulse, Reading,
    Relation, Snapshot, TcpState, Unseen, Untrusted,
};
use plimsoll_top::{App, Checked, Look, Told, Words, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;

use crate::support::entries::{closed, established, table};
use crate::support::{CAPACITY, counters, namespace};

pub(crate) struct Scene {
    pub(crate) app: App,
    size: Size,
}

impl Scene {
    pub(crate) fn new(look: Look, size: Size) -> Self {
        let words = Words {
            explain: |_| vec![("What it is", "What it is, in words."), ("What helps", "What helps, in words.")],
            plain: |markdown, _| format!("  {markdown}\n"),
            outlook: |outlook| format!("{outlook:?}").split_whitespace().next().unwrap_or_default().to_string(),
        };
        Self { app: App::new(look, words, size), size }
    }

    /// Two minutes in which a host comes to what it is.
    pub(crate) fn watch(&mut self, host: Snapshot) {
        for second in (180..=300).step_by(5) {
            let pulses = host.namespaces.iter().map(|ns| Pulse {
                namespace: ns.namespace.clone(),
                at: Duration::from_secs(second.into()),
                occupancy: ns.occupancy.map(|occupancy| Occupancy(occupancy.0 * second / 300)),
                capacity: ns.capacity,
                counters: Some(lost_until(ns.occupancy, second)),
            });
            self.app.take_in(Told::Pulses(pulses.collect()));
        }
        let at = Duration::from_mins(5);
        let findings = diagnose(&host);
        self.app.take_in(Told::Checked(Box::new(Checked { at, snapshot: host, findings })));
        self.app.tick(at + Duration::from_secs(2));
    }

    pub(crate) fn resize(&mut self, size: Size) {
        self.size = size;
        self.app.resize(size);
    }

    pub(crate) fn buffer(&self) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(self.size.width, self.size.height)).unwrap();
        terminal.draw(|frame| draw(frame, &self.app)).unwrap();
        terminal.backend().buffer().clone()
    }

    pub(crate) fn text(&self) -> String {
        let buffer = self.buffer();
        let rows = buffer.content().chunks(usize::from(self.size.width));
        let row = |cells: &[ratatui::buffer::Cell]| {
            let row: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
            row.trim_end().to_string() + "\n"
        };
        rows.map(row).collect()
    }
}

/// What is told of a namespace at a second.
pub(crate) fn pulse(name: &str, second: u64, entries: u32, counted: &[(Counter, u32)]) -> Pulse {
    Pulse {
        namespace: namespace(name, Relation::Own, 0).namespace,
        at: Duration::from_secs(second),
        occupancy: Some(Occupancy(entries)),
        capacity: Some(Capacity(CAPACITY)),
        counters: Some(counters(counted)),
    }
}

/// A table that short connections fill, opened by one program, and that drops since it is full; and two that are well.
pub(crate) fn stormy() -> Snapshot {
    let mut snapshot = table(closed(9000, 40).chain(established(950, 431_000)));
    snapshot.host.name = Some("gw-1".into());
    let ns = &mut snapshot.namespaces[0];
    ns.namespace.name = "web".into();
    ns.namespace.owner = Some(owner(812, "nginx"));
    ns.counters = Some(lost_until(ns.occupancy, 300));
    ns.change = Some(crate::support::change(&[(Counter::Drop, 40), (Counter::EarlyDrop, 5)]));
    give(ns.census.as_mut().unwrap());
    snapshot.namespaces.push(namespace("host", Relation::Own, 120));
    snapshot.namespaces.push(namespace("9f86d081884c", Relation::Other, 3));
    snapshot
}

/// The same, where entries cannot be read.
pub(crate) fn blind() -> Snapshot {
    let mut snapshot = stormy();
    let gap = |reading, namespace: Option<&str>, tried: &str, needs: &str| Unseen {
        reading,
        namespace: namespace.map(Untrusted::from),
        tried: tried.into(),
        answered: "Operation not permitted".into(),
        needs: needs.to_string(),
    };
    let needs = "root, or CAP_NET_ADMIN in the namespace's user namespace";
    snapshot.namespaces[0].census = None;
    snapshot.capabilities.read_entries = Answer::No { needs: needs.to_string() };
    snapshot.unseen = vec![
        gap(Reading::Entries, Some("web"), "dump the conntrack entries", needs),
        gap(Reading::KernelLog, None, "read /dev/kmsg", "CAP_SYSLOG"),
    ];
    snapshot
}

/// The same, called otherwise.
pub(crate) fn hostile(name: &str) -> Snapshot {
    let mut snapshot = stormy();
    snapshot.host.name = Some(name.into());
    let ns = &mut snapshot.namespaces[0];
    ns.namespace.name = name.into();
    for program in &mut ns.census.as_mut().unwrap().programs {
        program.owner.command = name.into();
    }
    snapshot
}

/// What a table lost by some second: only one that is full does, since a while.
fn lost_until(occupancy: Option<Occupancy>, second: u32) -> CounterReading {
    let is_full = occupancy.is_some_and(|occupancy| occupancy.0 > CAPACITY / 2);
    let lost = if is_full { second.saturating_sub(250) * 40 } else { 0 };
    counters(&[(Counter::Drop, lost), (Counter::EarlyDrop, lost / 8)])
}

fn owner(pid: u32, command: &str) -> Owner {
    Owner { pid, command: command.into(), unit: None, container: None, pod: None, called: None }
}

/// Closed connections were opened by one program and answered by another.
fn give(census: &mut Census) {
    let program = |pid, command| Program { owner: owner(pid, command), namespace: "web".into() };
    census.programs = vec![program(4711, "crawler"), program(812, "nginx")];
    for drawn in &mut census.drawn {
        let is_closed = drawn.entry.state == plimsoll_model::ProtocolState::Tcp(TcpState::TimeWait);
        let client = if is_closed { End::Closed { by: ProgramId(0) } } else { End::NotHere };
        drawn.ends = Some(Ends { client, server: End::Closed { by: ProgramId(1) } });
    }
}
