//! The running kernel, in namespaces of the tests' own: needs root, `ip`, `nft` and `conntrack`, and fails without.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests, too, fail by panicking")]

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};

use plimsoll_ctnetlink::{
    Counter, Dump, Entry, Error, Layer4, NewEntry, PolicyKeeper, Protocol, ProtocolState, Side, Status, TcpState,
    Tuple, Unknowns, Zone, conntrack_is_hooked, cpu_statistics, own_addresses, table_statistics, timeout_policies,
};
use plimsoll_lab::{Kind, LabNamespace, entries, mixed_entries};
use rustix::thread::set_thread_res_uid;

#[path = "common/kinds.rs"]
mod kinds;
#[path = "common/listing.rs"]
mod listing;

use kinds::every_kind;
use listing::Line;

#[test]
fn what_is_created_is_dumped_exactly_and_counted() {
    let namespace = LabNamespace::create().unwrap();
    let inserted = || namespace.enter(cpu_statistics).unwrap().unwrap().total(Counter::Insert).unwrap();
    let before = inserted();
    let made = every_kind();
    let count = made.len();
    assert_eq!(namespace.fill(made.clone()).unwrap(), count as u64);

    let (dumped, unknowns) = dump(&namespace);
    assert_eq!(dumped.len(), count);
    let mut by_tuple: HashMap<(Zone, Tuple), Entry> =
        dumped.into_iter().map(|entry| ((entry.zone, entry.original), entry)).collect();
    for new in made {
        let entry = by_tuple.remove(&(new.zone, new.original)).unwrap_or_else(|| panic!("{new:?} is not dumped"));
        assert_eq!(entry.reply, new.reply);
        assert_eq!(entry.status, new.status.and(Status::CONFIRMED));
        match (new.tcp_state, entry.original.protocol) {
            (Some(state), _) => assert_eq!(entry.state, ProtocolState::Tcp(state)),
            (None, Protocol::SCTP) => assert!(matches!(entry.state, ProtocolState::Sctp(_)), "{entry:?}"),
            (None, _) => assert_eq!(entry.state, ProtocolState::None),
        }
        let left = new.timeout_secs - 60..=new.timeout_secs;
        assert!(entry.remaining_secs.is_some_and(|secs| left.contains(&secs)), "{entry:?} of {new:?}");
        assert_eq!(entry.mark, 0);
    }
    assert!(by_tuple.is_empty(), "{by_tuple:?} was never made");
    assert!(unknowns.attributes.is_empty() && unknowns.states.is_empty(), "{unknowns:?}");

    assert_eq!(namespace.enter(table_statistics).unwrap().unwrap().occupancy.0 as usize, count);
    assert_eq!(inserted() - before, count as u64);
}

/// Where anything can be bound to, and routes take whole networks in.
#[test]
fn own_addresses_are_those_of_interfaces_alone() {
    let namespace = LabNamespace::create().unwrap();
    namespace.set("net/ipv4/ip_nonlocal_bind", 1).unwrap();
    namespace.set("net/ipv6/ip_nonlocal_bind", 1).unwrap();
    for command in [
        "ip address add 192.0.2.1/24 dev lo",
        "ip address add 198.51.100.1 peer 198.51.100.2/32 dev lo",
        "ip address add 2001:db8::1/64 dev lo nodad",
        "ip route add local 203.0.113.0/24 dev lo",
    ] {
        namespace.run(&command.split(' ').collect::<Vec<_>>()).unwrap();
    }
    let bound = namespace.enter(|| UdpSocket::bind("203.0.113.9:0").and(UdpSocket::bind("[2001:db8::9]:0")));
    assert!(bound.unwrap().is_ok(), "otherwise this shows nothing");
    let own = namespace.enter(own_addresses).unwrap().unwrap();
    for address in ["192.0.2.1", "198.51.100.1", "2001:db8::1", "127.0.0.53", "::1"] {
        assert!(own.contains(address.parse().unwrap()), "{address}");
    }
    for address in ["203.0.113.9", "198.51.100.2", "192.0.2.9", "192.0.2.255", "2001:db8::9"] {
        assert!(!own.contains(address.parse().unwrap()), "{address}");
    }
    assert!(own.is_for_many("192.0.2.255".parse().unwrap()));
}

#[test]
fn who_closed_first_is_told_of_real_connections() {
    let namespace = LabNamespace::tracking().unwrap();
    for first in [Side::Client, Side::Server] {
        // Both ends are kept open: only one half of the connection is shut down.
        let _ends = namespace
            .enter(|| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (server, _) = listener.accept().unwrap();
                let closer = if first == Side::Client { &client } else { &server };
                closer.shutdown(Shutdown::Write).unwrap();
                // The other end has read the FIN; its acknowledgement has passed the table then, or will with the next.
                assert_eq!((if first == Side::Client { &server } else { &client }).read(&mut [0]).unwrap(), 0);
                (client, server)
            })
            .unwrap();
        let closed: Vec<_> = dump(&namespace).0.into_iter().filter_map(|entry| entry.closed_first).collect();
        assert!(closed.contains(&first), "{first:?}: {closed:?}");
    }
}

/// A few of everything that can be made.
fn dump(namespace: &LabNamespace) -> (Vec<Entry>, Unknowns) {
    let dump = || -> Result<_, Error> {
        let (mut entries, mut unknowns) = (Vec::new(), Unknowns::default());
        let mut dump = Dump::start()?;
        while let Some(batch) = dump.next_batch()? {
            for dumped in batch.entries(&mut unknowns) {
                entries.push(dumped?.entry);
            }
        }
        assert!(dump.next_batch()?.is_none(), "an ended dump stays ended");
        Ok((entries, unknowns))
    };
    namespace.enter(dump).unwrap().unwrap()
}

#[test]
fn an_empty_namespace_gives_an_empty_dump() {
    let namespace = LabNamespace::create().unwrap();
    let (dumped, unknowns) = dump(&namespace);
    assert!(dumped.is_empty() && unknowns.is_empty());
    assert_eq!(namespace.enter(table_statistics).unwrap().unwrap().occupancy.0, 0);
}

#[test]
fn there_are_counters_of_every_possible_cpu() {
    let possible = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap();
    // Such as "0-1", or "0".
    let last = possible.trim().rsplit(['-', ',']).next().unwrap();
    let count = last.parse::<usize>().unwrap() + 1;
    let namespace = LabNamespace::create().unwrap();
    assert_eq!(namespace.enter(cpu_statistics).unwrap().unwrap().cpus.len(), count);
}

#[test]
fn a_dump_agrees_with_conntracks_listing() {
    let namespace = LabNamespace::tracking().unwrap();
    namespace.fill(every_kind()).unwrap();
    namespace.send_udp(7000..=7019).unwrap();
    let list = |family| namespace.run(&["conntrack", "-L", "-f", family, "-o", "id"]).unwrap();
    let listed = listing::read(&(list("ipv4") + &list("ipv6")));
    let (dumped, _) = dump(&namespace);
    let mut lines: Vec<Line> = dumped.iter().map(Line::of).collect();
    lines.sort();
    assert!(lines.len() > 500);
    assert_eq!(lines, listed);
}

#[test]
fn a_dump_left_half_way_does_no_harm() {
    let namespace = LabNamespace::create().unwrap();
    namespace.fill(mixed_entries(5000)).unwrap();
    for _ in 0..3 {
        let some = namespace.enter(|| {
            let mut dump = Dump::start().unwrap();
            let batch = dump.next_batch().unwrap().unwrap();
            batch.entries(&mut Unknowns::default()).count()
        });
        assert!((1..5000).contains(&some.unwrap()));
        assert_eq!(dump(&namespace).0.len(), 5000);
    }
}

#[test]
fn a_duplicate_is_refused_in_words() {
    let namespace = LabNamespace::create().unwrap();
    // In the second batch of requests, to see that the count goes over batches.
    let twice = entries(Kind::UdpUnreplied, 0, 150).chain(entries(Kind::UdpUnreplied, 7, 1));
    let refused = namespace.enter(|| plimsoll_ctnetlink::create(twice)).unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "cannot create conntrack entries: the kernel answered: File exists (os error 17)");
    assert!(!refused.is_permission() && !refused.is_unsupported());
    assert_eq!(dump(&namespace).0.len(), 150);
}

#[test]
fn what_cannot_be_is_refused_and_what_is_not_ours_to_set_is_passed_over() {
    let namespace = LabNamespace::create().unwrap();
    let udp = entries(Kind::UdpUnreplied, 0, 1).next().unwrap();
    let reply = |change: fn(&mut Tuple)| {
        let mut new = udp;
        change(&mut new.reply);
        new
    };
    let status = |status| NewEntry { status, ..udp };
    for (what, new) in [
        ("two families in a tuple", reply(|tuple| tuple.source = "2001:db8::1".parse().unwrap())),
        ("two protocols", reply(|tuple| tuple.protocol = Protocol::TCP)),
        ("UDP without ports", reply(|tuple| tuple.layer4 = Layer4::None)),
        ("an expectation's status", status(Status::EXPECTED)),
        ("an end's status", status(Status::DYING)),
    ] {
        assert!(namespace.fill([new]).is_err(), "{what} was made");
    }
    assert!(dump(&namespace).0.is_empty());

    let nat = Status::DST_NAT.and(Status::OFFLOAD);
    namespace.fill([NewEntry { tcp_state: Some(TcpState::Established), ..status(nat) }]).unwrap();
    let [entry] = dump(&namespace).0[..] else { panic!("one entry") };
    assert_eq!((entry.status, entry.state), (Status::CONFIRMED, ProtocolState::None));
}

#[test]
fn without_the_right_the_error_says_so() {
    let namespace = LabNamespace::create().unwrap();
    let as_nobody = || {
        // Of this thread alone, which ends with the closure.
        let nobody = rustix::fs::Uid::from_raw(65_534);
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let created = plimsoll_ctnetlink::create(entries(Kind::UdpUnreplied, 0, 1));
        let dumped = Dump::start().and_then(|mut dump| dump.next_batch().map(|batch| assert!(batch.is_none())));
        [
            ("create conntrack entries", created.map(drop)),
            ("dump the conntrack entries", dumped),
            ("read the conntrack table's statistics", table_statistics().map(drop)),
            ("read conntrack's per-CPU counters", cpu_statistics().map(drop)),
            ("list conntrack timeout policies", timeout_policies(PolicyKeeper::Nftables).map(drop)),
            ("list conntrack timeout policies", timeout_policies(PolicyKeeper::Cttimeout).map(drop)),
        ]
    };
    for (tried, answer) in namespace.enter(as_nobody).unwrap() {
        let refused = answer.unwrap_err();
        assert!(refused.is_permission() && !refused.is_unsupported(), "{refused}");
        let text = format!("cannot {tried}: the kernel answered: Operation not permitted (os error 1)");
        assert!(refused.to_string().starts_with(&text), "{refused}");
    }
    assert!(dump(&namespace).0.is_empty());
}

#[test]
fn timeout_policies_are_counted_and_other_objects_are_not() {
    let namespace = LabNamespace::create().unwrap();
    let count = |keeper| namespace.enter(|| timeout_policies(keeper)).unwrap().unwrap();
    assert_eq!((count(PolicyKeeper::Nftables), count(PolicyKeeper::Cttimeout)), (0, 0));
    namespace
        .nft(
            r#"table inet first {
                counter seen { }
                quota volume { over 1 mbytes }
                ct helper ftp { type "ftp" protocol tcp; }
            }
            "#,
        )
        .unwrap();
    assert_eq!(count(PolicyKeeper::Nftables), 0);
    namespace
        .nft(
            "table inet first { ct timeout web { protocol tcp; l3proto ip; policy = { established: 600 }; }; }
            table ip second { ct timeout dns { protocol udp; l3proto ip; policy = { unreplied: 5, replied: 10 }; }; }
            ",
        )
        .unwrap();
    assert_eq!((count(PolicyKeeper::Nftables), count(PolicyKeeper::Cttimeout)), (2, 0));
}

#[test]
fn whether_packets_are_tracked_is_told_where_the_kernel_can() {
    for (namespace, tracks) in [(LabNamespace::create().unwrap(), false), (LabNamespace::tracking().unwrap(), true)] {
        match namespace.enter(conntrack_is_hooked).unwrap() {
            Ok(hooked) => assert_eq!(hooked, tracks),
            Err(error) => assert!(error.is_unsupported() && !error.is_permission(), "{error}"),
        }
    }
}
