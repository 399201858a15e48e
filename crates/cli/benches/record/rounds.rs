//! Rounds in which everybody listens to the same flows, one after the other, and what follows from them.

use std::time::Duration;

use crate::figures::Spread;
use crate::listeners::{Listener, Outcome};
use crate::report::{Goal, Row};
use crate::traffic::{Kind, Stay, Traffic};

/// What each listener of each round came to.
pub(crate) struct Rounds {
    kind: Kind,
    per_sec: u64,
    secs: u64,
    events: u64,
    each: Vec<Vec<(Listener, Outcome)>>,
}

impl Rounds {
    pub(crate) fn measure(kind: Kind, per_sec: u64, secs: u64, rounds: u32) -> anyhow::Result<Self> {
        let traffic = Traffic::new(kind, Stay::Short, per_sec, secs)?;
        let all = || Listener::ALL.into_iter().map(|listener| Ok((listener, listener.run(&traffic)?))).collect();
        let rounds = (0..rounds).map(|_| all()).collect::<anyhow::Result<_>>()?;
        Ok(Self { kind, per_sec, secs, events: traffic.events(), each: rounds })
    }

    pub(crate) fn print(&self) {
        println!("{}: {} a second for {} s, {} events", self.kind, self.per_sec, self.secs, self.events);
        self.of_the_generator().print();
        self.lost().print();
        self.against("1. record, against a bare loop", Listener::Record, Listener::Restless, 1.5).print();
        self.against("   against one that rests as it does", Listener::Record, Listener::Bare, 1.5).print();
        self.against("2. record, against conntrack -E", Listener::Record, Listener::Conntrack, 0.5).print();
        self.against("3. record --anonymize, against a bare loop", Listener::Anonymize, Listener::Restless, 1.5)
            .print();
        self.against("   against one that rests as it does", Listener::Anonymize, Listener::Bare, 1.5).print();
        self.looks().print();
        for listener in [Listener::Restless, Listener::Bare, Listener::Conntrack] {
            let lost: u64 = self.of(listener).map(|outcome| outcome.lost).sum();
            println!("   {listener:?} lost {lost} events");
        }
        println!();
    }

    fn of(&self, listener: Listener) -> impl Iterator<Item = Outcome> {
        let all = self.each.iter().flatten();
        all.filter(move |(of, _)| *of == listener).map(|(_, outcome)| *outcome)
    }

    /// Microseconds of CPU for each event that was received.
    fn micros(&self, outcome: Outcome) -> f64 {
        outcome.usage.cpu.as_secs_f64() * 1e6 / (self.events - outcome.lost) as f64
    }

    fn per_event(&self, listener: Listener) -> String {
        format!("{} µs an event", Spread::of(self.of(listener).map(|outcome| self.micros(outcome))))
    }

    fn against(&self, what: &str, measured: Listener, yardstick: Listener, goal: f64) -> Row {
        let ratios = self.of(measured).zip(self.of(yardstick));
        Row {
            what: what.to_string(),
            unit: "times the CPU",
            figure: Spread::of(ratios.map(|(ours, theirs)| self.micros(ours) / self.micros(theirs))),
            goal: Goal::AtMost(goal),
            from: format!("{} against {}", self.per_event(measured), self.per_event(yardstick)),
        }
    }

    fn of_the_generator(&self) -> Row {
        let all = || self.each.iter().flatten().map(|(_, outcome)| *outcome);
        let latest = all().map(|outcome| outcome.latest).max().unwrap_or(Duration::ZERO);
        Row {
            what: "   flows".to_string(),
            unit: "a second",
            figure: Spread::of(all().map(|outcome| outcome.flows_per_sec)),
            // The last packets come behind the last flow.
            goal: Goal::AtLeast(self.per_sec as f64 * 0.98),
            from: format!("whoever listens; a packet was {} ms late at most", latest.as_millis()),
        }
    }

    fn lost(&self) -> Row {
        let ours = [Listener::Record, Listener::Anonymize];
        Row {
            what: "   events lost by record".to_string(),
            unit: "",
            figure: Spread::of(ours.into_iter().flat_map(|ours| self.of(ours)).map(|outcome| outcome.lost as f64)),
            goal: Goal::AtMost(0.0),
            from: "of what it says that it received; of what conntrack lost the kernel tells".to_string(),
        }
    }

    /// Of one CPU.
    fn looks(&self) -> Row {
        let share = |outcome: Outcome| outcome.usage.cpu.as_secs_f64() * 100.0 / outcome.lasted.as_secs_f64();
        Row {
            what: "4. record --no-events".to_string(),
            unit: "% of a CPU",
            figure: Spread::of(self.of(Listener::Looks).map(share)),
            goal: Goal::AtMost(1.0),
            from: "10,000 entries every 5 s, and its start and end".to_string(),
        }
    }
}

/// The memory of flows that are followed: what twice as many take more, since much of it does not depend on their number.
pub(crate) fn memory(per_sec: u64, secs: u64) -> anyhow::Result<Row> {
    let peak = |secs| -> anyhow::Result<(u64, u64)> {
        let traffic = Traffic::new(Kind::Udp, Stay::Long, per_sec, secs)?;
        Ok((traffic.flows(), Listener::peak_bytes(&traffic)?))
    };
    let ((few, less), (many, more)) = (peak(secs / 2)?, peak(secs)?);
    Ok(Row {
        what: "5. peak memory of record".to_string(),
        unit: "bytes a flow",
        figure: Spread::of([more.saturating_sub(less) as f64 / (many - few) as f64]),
        goal: Goal::AtMost(300.0),
        from: format!("{} KiB with {few} flows open, {} KiB with {many}", less >> 10, more >> 10),
    })
}
