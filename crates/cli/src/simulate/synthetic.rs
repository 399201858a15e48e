//! A workload from a few numbers, as a scenario.

use std::time::Duration;

use plimsoll_diagnose::words::rate;
use plimsoll_scenario::Scenario;

use super::mix::{Kind, Lifetime, Mix};

/// How long an idle connection is silent if nothing else is said.
const SILENCE: Lifetime = Lifetime::Exponential(Duration::from_mins(10));

/// A workload from a few numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Synthetic {
    pub(super) new_per_sec: f64,
    pub(super) mix: Mix,
    /// How long connections stay open; of requests, not beyond their answer if nothing is said.
    pub(super) lifetime: Option<Lifetime>,
    pub(super) lasts: Duration,
}

impl Synthetic {
    /// The scenario that does so.
    pub(super) fn scenario(&self) -> Result<Scenario, plimsoll_scenario::Error> {
        Scenario::parse("the workload from --new-per-sec", &self.text())
    }

    fn text(&self) -> String {
        let mut text = format!(
            "name = \"synthetic\"\ntitle = \"{} new flows a second: {}\"\nabout = \"\"\n[play]\nsecs = {}\n[simulate]\n",
            in_words(self.new_per_sec),
            self.mix,
            self.lasts.as_secs_f64()
        );
        for (kind, share) in self.mix.shares() {
            let (name, server) = (kind.name(), server(kind));
            let per_sec = self.new_per_sec * share;
            // Drawn anew for each flow, so that no tuple is used again soon, however many flows there are.
            text.push_str(&format!(
                "[[traffic]]\nname = \"{name}\"\nper_sec = {per_sec:?}\nscript = \"{name}\"\n\
                 clients = {{ in = \"10.0.0.0/8\", ports = \"1024-65535\" }}\nservers = {{ {server} }}\n\
                 [scripts.{name}]\nrtt_ms = 20\npackets = \"\"\"\n{}\"\"\"\n",
                script(kind, self.lifetime)
            ));
        }
        text
    }
}

/// What would be rounded to nothing is written as it is.
fn in_words(per_sec: f64) -> String {
    if per_sec < 0.1 { per_sec.to_string() } else { rate(per_sec) }
}

const fn server(kind: Kind) -> &'static str {
    match kind {
        Kind::Http | Kind::Flood => "in = \"192.0.2.10\", ports = 443",
        Kind::Dns => "in = \"192.0.2.53\", ports = 53",
        Kind::Idle => "in = \"192.0.2.20\", ports = 5432",
    }
}

/// docs/simulate.md shows these.
fn script(kind: Kind, lifetime: Option<Lifetime>) -> String {
    let wait = |lifetime: Lifetime| format!("wait {}\n", lifetime.as_wait());
    match kind {
        Kind::Http => format!(
            "> syn\n< syn-ack\n> ack\n> data 400\n< data 1200\n> ack\n{}> fin\n< fin\n> ack\n",
            lifetime.map_or(String::new(), wait)
        ),
        Kind::Dns => "> udp 50\n< udp 180\n".to_string(),
        Kind::Idle => format!(
            "> syn\n< syn-ack\n> ack\n> data 100\n< data 100\n> ack\n{}> data 100\n< data 100\n> fin\n< fin\n> ack\n",
            wait(lifetime.unwrap_or(SILENCE))
        ),
        Kind::Flood => "> syn\n".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_scenario::{Schedule, Size};

    fn synthetic(mix: &str, lifetime: Option<&str>, new_per_sec: f64) -> Synthetic {
        let lifetime = lifetime.map(|lifetime| lifetime.parse().unwrap());
        Synthetic { new_per_sec, mix: mix.parse().unwrap(), lifetime, lasts: Duration::from_secs(100) }
    }

    #[test]
    fn every_kind_makes_a_scenario_with_and_without_a_lifetime() {
        for kind in Kind::ALL {
            for lifetime in [None, Some("0"), Some("0.001"), Some("30s"), Some("~1h")] {
                let scenario = synthetic(kind.name(), lifetime, 0.001).scenario();
                assert!(scenario.is_ok(), "{kind:?} {lifetime:?}: {scenario:?}");
            }
        }
    }

    #[test]
    fn flows_come_at_the_rate_and_in_the_shares_that_were_asked_for() {
        let scenario = synthetic("dns=3,flood=1", None, 100.0).scenario().unwrap();
        assert!((scenario.flows_about(Size::default()) - 10_000.0).abs() < 1.0);
        let (mut dns, mut flood) = (0, 0);
        for event in Schedule::new(&scenario, 1, Size::default()) {
            *(if event.flow.server.port() == 53 { &mut dns } else { &mut flood }) += 1;
        }
        // Two packets a question; within five standard deviations.
        assert!((14_100..15_900).contains(&dns), "{dns}");
        assert!((2_250..2_750).contains(&flood), "{flood}");
    }
}
