//! A shield with a program before the rules, on the interface.

use super::*;

#[test]
fn xdp_drops_what_is_too_many_before_the_rules_see_it() {
    let joined = Joined::new();
    let (allowed, listed) = (client(3).to_string(), client(5).to_string());
    let how = ["--xdp", "s0", "--allow", &allowed, "--drop", "10.8.0.3", "--drop", &listed, "--shadow", "0", "--json"];
    let shadow = joined.shield(&LIMITED, &how).json();
    let stage = &shadow["xdp"][0];
    assert_eq!((stage["state"].as_str(), stage["runs"].as_str()), (Some("attached"), Some("generic")), "{shadow:#}");
    assert_eq!(joined.xdp().as_deref(), Some("plimsoll_xdp"));
    assert_eq!(joined.connect(client(1), 30), 30);
    let status = joined.status();
    let (stage, rules) = (&status["xdp"][0], &status["counters"]);
    assert_eq!((stage["action"].as_str(), &stage["counters"]["dropped"]), (Some("shadow"), &0.into()), "{status:#}");
    assert!(stage["counters"]["over_source"].as_u64().unwrap() >= 15, "{status:#}");
    assert!(rules["over_source"].as_u64().unwrap() >= 15, "in shadow the rules see what XDP sees: {status:#}");

    joined.enforce_whatever_it_hits();
    let before = number(&joined.status()["counters"]["seen"]);
    joined.half_open(client(9), 300);
    let status = joined.status();
    assert!(
        number(&status["counters"]["seen"]) - before < 50,
        "of 300 the rules see what is within the limit: {status:#}"
    );
    assert!(number(&status["xdp"][0]["counters"]["dropped"]) >= 250, "{status:#}");
    let hits = status["hits"].as_array().unwrap();
    let flooder = hits.iter().find(|hit| hit["source"] == client(9).to_string()).unwrap();
    assert!(number(&flooder["packets"]) >= 250 && status["counters"]["unrecorded"] == 0, "{status:#}");
    assert_eq!(joined.connect(client(3), 40), 40, "who is allowed, though listed");
    assert_eq!(joined.connect(client(2), 8), 8, "another address has a limit of its own");
    assert_eq!(joined.connect(client6(2), 8), 8);
    assert_eq!(joined.connect(client(5), 2), 0, "who is listed");
    assert!(number(&joined.status()["xdp"][0]["counters"]["listed"]) >= 2);

    let told = joined.on_server(&["--status"]);
    assert!(told.stdout.contains("XDP on s0, behind the driver (generic), enforced"), "{told:?}");
    assert!(told.stdout.contains("switched LRO and rx-gro-hw off on s0"), "{told:?}");
    let stopped = joined.stop();
    assert_eq!((stopped.code, joined.xdp()), (0, None), "{stopped:?}");
    assert_eq!(joined.connect(client(1), 30), 30);
}

#[test]
fn of_whom_the_rules_see_no_more_it_is_known_whether_they_mean_well() {
    let joined = Joined::new();
    assert_eq!(joined.shield(&LIMITED, &["--xdp", "s0", "--shadow", "0"]).code, 0);
    for number in 1..=8 {
        assert_eq!(joined.connect(client(number), 4), 4);
    }
    let mut command = joined.scene.command(&["shield", "--netns", joined.scene.lab.name()]);
    command.args(["--enforce", "--shadow", "0", "--json"]);
    let watching = thread::spawn(move || Run::of(command));
    await_that("it is enforced", || joined.status()["xdp"][0]["action"] == "enforce");
    joined.connect(client(1), 12);
    let watched = watching.join().unwrap();
    let document = watched.json();
    assert_eq!((watched.code, &document["outcome"]), (1, &"withdrawn".into()), "{watched:?}");
    let of_xdp = number(&document["xdp"][0]["counters"]["dropped"]);
    assert!(of_xdp > 0 && number(&document["counters"]["dropped"]) < of_xdp, "{document:#}");
    assert_eq!(joined.status()["xdp"][0]["action"], "shadow");
    assert_eq!(joined.connect(client(1), 20), 20);
}

#[test]
fn a_known_peer_passes_xdp_unless_it_is_listed() {
    let joined = Joined::new();
    let echo = joined.udp_server();
    assert_eq!((joined.ask(client(1), &echo, 5), joined.ask(client(4), &echo, 5)), (5, 5));
    let limited = ["--for", "udp-unreplied", "--port", "53", "--per-source", "1/5"];
    let listed = client(4).to_string();
    assert_eq!(joined.shield(&limited, &["--xdp", "s0", "--drop", &listed, "--shadow", "0"]).code, 0);
    joined.enforce_whatever_it_hits();
    assert_eq!(joined.ask(client(1), &echo, 20), 20, "who had an answer before is known");
    assert!(joined.ask(client(2), &echo, 8) < 8);
    assert_eq!(joined.ask(client(4), &echo, 1), 0);
    let counters = joined.status()["xdp"][0]["counters"].clone();
    assert!(number(&counters["over_source"]) > 0 && number(&counters["listed"]) == 1, "{counters:#}");
}

#[test]
fn an_xdp_program_of_somebody_else_is_left_and_the_rules_go_on() {
    let joined = Joined::new();
    let foreign = joined.scene.lab.folder().unwrap().join("foreign.o");
    std::fs::write(&foreign, of_somebody(include_bytes!("../../../xdp/bpf/filter.o"))).unwrap();
    let attached = joined.scene.lab.run(&[
        "ip",
        "link",
        "set",
        "dev",
        "s0",
        "xdpgeneric",
        "obj",
        foreign.to_str().unwrap(),
        "sec",
        "xdp",
    ]);
    attached.unwrap();
    for how in [&["--xdp", "s0", "--dry-run"][..], &["--xdp", "s0", "--shadow", "0"]] {
        let run = joined.shield(&LIMITED, how);
        assert!(run.code == 0 && run.stdout.contains("No XDP on s0") && run.stdout.contains("somebody_xdp"), "{run:?}");
    }
    joined.enforce_whatever_it_hits();
    assert!(joined.connect(client(1), 20) < 20, "the rules do it");
    let status = joined.status();
    assert_eq!(status["xdp"][0]["state"], "absent", "{status:#}");
    let stopped = joined.stop();
    assert_eq!((stopped.code, joined.xdp().as_deref()), (0, Some("somebody_xdp")), "{stopped:?}");
    let nowhere = joined.shield(&LIMITED, &["--xdp", "nope", "--shadow", "0"]);
    assert!(nowhere.code == 3 && nowhere.stderr.contains("no network interface nope"), "{nowhere:?}");
    assert!(!joined.table_is_there());
}

#[test]
fn an_interface_that_was_moved_away_is_waited_for_and_one_that_was_deleted_is_not() {
    let joined = Joined::new();
    let there = LabNamespace::create().unwrap();
    let server = &joined.scene.lab;
    let put_up = || assert_eq!(joined.shield(&LIMITED, &["--shadow", "0", "--xdp", "s0"]).code, 0);
    put_up();
    server.run(&["ip", "link", "set", "s0", "netns", there.name()]).unwrap();
    let status = joined.status();
    assert_eq!(status["xdp"][0]["state"], "absent", "{status:#}");
    let stopped = joined.stop();
    assert!(stopped.code == 2 && stopped.stdout.contains("attached in another one"), "{stopped:?}");
    there.run(&["ip", "link", "set", "s0", "netns", server.name()]).unwrap();
    let stopped = joined.stop();
    assert_eq!((stopped.code, joined.xdp()), (0, None), "{stopped:?}");

    put_up();
    server.run(&["ip", "link", "delete", "s0"]).unwrap();
    assert_eq!(joined.stop().code, 0);
}

/// The same program by another name.
fn of_somebody(object: &[u8]) -> Vec<u8> {
    let (ours, theirs) = (b"plimsoll_xdp", b"somebody_xdp");
    let mut object = object.to_vec();
    let places: Vec<usize> = (0..object.len()).filter(|at| object[*at..].starts_with(ours)).collect();
    for at in places {
        object[at..at + ours.len()].copy_from_slice(theirs);
    }
    object
}
