//! `plimsoll plan` on the real kernel: what it foretells comes true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::num::NonZeroUsize;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_model::{Snapshot, Sysctl};
use plimsoll_observe::{Depth, Options, Target, observe};
use plimsoll_plan::{Bypasses, Course, FOUNDING_SHARE, Moment, Plan, Profile, Request, Situation, TimeoutsBy, plan};
use plimsoll_twin::Capabilities;
use support::{Playing, ScenarioFile, plimsoll};

/// What is played, and the profile whose timeouts are set.
struct Foretold {
    name: &'static str,
    profile: Profile,
    traffic: &'static [(&'static str, u32, &'static str)],
}

const CLOSES: &str = "> syn\n< syn-ack\n> ack\n> data 100\n< data 500\n> fin\n< fin\n> ack\n";
const HALF_OPEN: &str = "> syn\n";
const ANSWERED: &str = "> syn\n< syn-ack\n";
const UNANSWERED_UDP: &str = "> udp 60\n";
const UDP: &str = "> udp 60\n< udp 120\n";
const RESETS: &str = "> syn\n< syn-ack\n> ack\n> data 100\n> rst\n";

const FORETOLD: [Foretold; 5] = [
    Foretold { name: "closes", profile: Profile::General, traffic: &[("tcp", 1500, CLOSES)] },
    Foretold { name: "half-open", profile: Profile::General, traffic: &[("tcp", 1500, HALF_OPEN)] },
    Foretold { name: "answered", profile: Profile::ApiGateway, traffic: &[("tcp", 1500, ANSWERED)] },
    Foretold { name: "dns", profile: Profile::Dns, traffic: &[("udp", 800, UDP), ("udp", 700, UNANSWERED_UDP)] },
    Foretold {
        name: "mixed",
        profile: Profile::Kubernetes,
        traffic: &[("tcp", 700, CLOSES), ("udp", 500, UDP), ("tcp", 300, RESETS), ("tcp", 200, HALF_OPEN)],
    },
];

/// When the host is read, and how far ahead the plan's word is held against the truth.
const READ_AFTER: Duration = Duration::from_secs(10);
const AHEAD: Duration = Duration::from_mins(1);

impl Foretold {
    fn scenario(&self) -> String {
        let mut text = format!(
            "name = \"{}\"\ntitle = \"{0}\"\nabout = \"\"\n[play]\nsecs = 110\ncheck_at_secs = 100\n[expect]\nmust = []\n",
            self.name
        );
        for (number, (_, per_sec, packets)) in self.traffic.iter().enumerate() {
            text.push_str(&format!(
                "[[traffic]]\nname = \"t{number}\"\nper_sec = {per_sec}\nscript = \"t{number}\"\n\
                 clients = {{ in = \"10.{number}.0.0/16\", hosts = 5000 }}\n\
                 servers = {{ in = \"192.0.2.{number}\", ports = 443 }}\n\
                 [scripts.t{number}]\nrtt_ms = 5\npackets = \"\"\"\n{packets}\"\"\"\n"
            ));
        }
        text
    }

    /// Plays it, reads it, sets the timeouts at once, and waits: what was foretold, what is there, and what was foretold of
    /// the settings as they were.
    fn held_against_the_truth(&self) -> (f64, f64, f64) {
        let file = ScenarioFile::new(&self.scenario());
        let playing = Playing::begin(file.path());
        thread::sleep(READ_AFTER);
        let netns = &playing.namespace;
        let options = Options {
            target: Target::Named(netns.clone()),
            interval: Duration::from_secs(1),
            depth: Depth::Exact,
            timeout: Duration::from_mins(1),
        };
        let snapshot = observe(&options, &mut |_| {}).unwrap();
        let read = Instant::now();
        for (timeout, secs) in self.profile.timeouts() {
            set(netns, Sysctl::of_timeout(*timeout).unwrap(), *secs);
        }
        let forecast = self.plan(&snapshot).together.unwrap();
        thread::sleep(AHEAD.saturating_sub(read.elapsed()));
        let checked = plimsoll(&["check", "--netns", netns, "--exact", "--interval", "0", "--json"]).json();
        let live = support::namespace(&checked, netns)["census"]["read"].as_f64().unwrap();
        let moment = |course: &Course| {
            let is_it = |moment: &&Moment| (moment.at_secs - AHEAD.as_secs_f64()).abs() < 2.0;
            course.moments.iter().find(is_it).unwrap().live.value
        };
        (moment(&forecast.then), live, moment(&forecast.as_is))
    }

    fn plan(&self, snapshot: &Snapshot) -> Plan {
        let situation = Situation {
            snapshot,
            namespace: &snapshot.namespaces[0],
            findings: &[],
            capabilities: Capabilities::LINUX_6_18,
            is_replicated: None,
            bypass: Err("not asked"),
            measured: None,
        };
        let request = Request {
            growth: 1.0,
            memory_share: FOUNDING_SHARE,
            timeouts: TimeoutsBy::Profile(self.profile),
            bypasses: Bypasses::WhereShort,
            seed: 1,
            threads: NonZeroUsize::MIN,
        };
        plan(situation, request)
    }
}

fn set(netns: &str, sysctl: Sysctl, secs: u32) {
    let written = format!("{sysctl}={secs}");
    let output = Command::new("ip").args(["netns", "exec", netns, "sysctl", "-q", "-w", &written]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_a_plan_foretells_comes_true_within_a_twentieth() {
    let found: Vec<_> = thread::scope(|scope| {
        let played: Vec<_> = FORETOLD.iter().map(|of| (of.name, scope.spawn(|| of.held_against_the_truth()))).collect();
        played.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect()
    });
    for (name, (foretold, live, as_is)) in &found {
        println!("{name}: foretold {foretold:.0}, there are {live:.0}; without the change {as_is:.0}");
    }
    for (name, (foretold, live, as_is)) in found {
        assert!((foretold - live).abs() <= 0.05 * live, "{name}: foretold {foretold}, there are {live}");
        assert!(as_is > 1.3 * live, "{name}: the change must matter, or nothing is shown: {as_is}");
    }
}
