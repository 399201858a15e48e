//! Small scenarios, simulated.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::ops::ControlFlow;

use plimsoll_scenario::{Scenario, Size};
use plimsoll_simulate::{Outcome, Setup, Workload, run};
use plimsoll_twin::Capabilities;

pub(crate) fn scenario(traffic: &str, router: &str, script: &str) -> Scenario {
    let text = format!(
        r#"
name = "test"
title = "Test"
about = "A test."
[play]
secs = 60
{router}
[[traffic]]
name = "flows"
{traffic}
clients = {{ in = "10.1.0.0/16", hosts = 50 }}
servers = {{ in = "192.0.2.1", ports = 443 }}
script = "script"
[scripts.script]
packets = """
{script}
"""
[simulate]
"#
    );
    Scenario::parse("test.toml", &text).unwrap()
}

pub(crate) fn setup(sysctls: &[(&str, u32)]) -> Setup {
    let mut setup = Setup::stock(Capabilities::LINUX_6_18, 7);
    for (name, value) in sysctls {
        setup.set(&format!("net.netfilter.nf_conntrack_{name}"), *value).unwrap();
    }
    setup
}

pub(crate) fn workload(scenario: &Scenario, seed: u64) -> Workload<'_> {
    Workload::Scenario { scenario, seed, size: Size::default() }
}

pub(crate) fn simulated(scenario: &Scenario, sysctls: &[(&str, u32)]) -> Outcome {
    run(workload(scenario, 1), &setup(sysctls), &mut |_| ControlFlow::Continue(())).unwrap()
}
