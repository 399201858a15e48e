//! Timeouts of one service alone, as `plimsoll apply` makes them, on the real kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::applying::{POLICY, Scene, UDP, kill_watchdogs, write_plan};

#[test]
fn a_policy_stops_matching_though_every_process_is_killed() {
    let scene = Scene::new();
    let plan = write_plan(&scene, POLICY);
    let name = scene.lab.name();
    let run = scene.plimsoll(&["apply", &plan, "--netns", name, "--soak", "0", "--confirm-within", "8s"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(remaining(&scene, 9999) > 200 && remaining(&scene, 9998) <= 30, "the service's flows alone");
    kill_watchdogs(&scene.folder);
    let until = Instant::now() + Duration::from_mins(1);
    while remaining(&scene, 9999) > 200 {
        assert!(Instant::now() < until, "it matches for ever");
        scene.lab.run(&["conntrack", "-F"]).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    assert!(tables(&scene).contains("inet plimsoll"), "the rules are there, and match nothing");
    let late = scene.plimsoll(&["confirm"]);
    assert!(late.code == 3 && late.stderr.contains("too late"), "{late:?}");
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
    assert!(!tables(&scene).contains("inet plimsoll"));
}

#[test]
fn a_policy_that_is_confirmed_matches_for_good_and_others_are_left() {
    let scene = Scene::new();
    let plan = write_plan(&scene, POLICY);
    let name = scene.lab.name();
    let applied = ["apply", &plan, "--netns", name, "--soak", "0"];
    assert_eq!(scene.plimsoll(&applied).code, 0);
    assert_eq!(scene.plimsoll(&["confirm", "--no-persist"]).code, 0);
    let set = scene.lab.run(&["nft", "list", "set", "inet", "plimsoll", "armed_timeouts_udp_9999_1"]).unwrap();
    assert!(set.contains("elements = { udp }"), "{set}");
    let again = scene.plimsoll(&applied);
    assert!(again.code == 3 && again.stderr.contains("are in force already"), "{again:?}");
    // Somebody else puts something into the table: it stays, and with it the table.
    scene.lab.nft("add chain inet plimsoll theirs\n").unwrap();
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
    let left = scene.lab.run(&["nft", "list", "table", "inet", "plimsoll"]).unwrap();
    assert!(left.contains("chain theirs") && !left.contains("9999"), "{left}");
}

/// As a firewall does that loads all its rules anew.
#[test]
fn a_policy_that_somebody_has_removed_keeps_nothing_else_from_being_confirmed() {
    let scene = Scene::new();
    let both = POLICY.replacen(
        "\"changes\":[",
        "\"changes\":[{\"edit\":{\"kind\":\"sysctl\",\"sysctl\":\"net.netfilter.nf_conntrack_udp_timeout\",\"from\":30,\"to\":20}},",
        1,
    );
    let plan = write_plan(&scene, &both);
    assert_eq!(scene.plimsoll(&["apply", &plan, "--netns", scene.lab.name(), "--soak", "0"]).code, 0);
    scene.lab.nft("delete table inet plimsoll\n").unwrap();
    let confirmed = scene.plimsoll(&["confirm", "--no-persist"]);
    assert!(confirmed.code == 0 && confirmed.stdout.contains("removed the rules timeouts_udp_9999_1"), "{confirmed:?}");
    assert_eq!(scene.sysctl(UDP), 20);
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
    assert_eq!(scene.sysctl(UDP), 30);
}

/// Seconds that the entry of a packet to a port has left.
fn remaining(scene: &Scene, port: u16) -> u32 {
    assert_eq!(scene.lab.send_udp(port..=port).unwrap(), 0);
    let listed = scene.lab.run(&["conntrack", "-L", "-p", "udp", "--dport", &port.to_string()]).unwrap();
    listed.split_whitespace().nth(2).expect("an entry").parse().unwrap()
}

fn tables(scene: &Scene) -> String {
    scene.lab.run(&["nft", "list", "tables"]).unwrap()
}
