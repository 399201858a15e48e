use plimsoll_model::{Drawn, IdleAge, Layer4, Owner, Tuple, Untrusted};

use super::*;

const HERE: Location = Location(0);
const CONTAINER: Location = Location(1);

fn at(end: &str) -> (IpAddr, u16) {
    let socket: std::net::SocketAddr = end.parse().unwrap();
    (socket.ip(), socket.port())
}

fn flow(protocol: Protocol, from: &str, to: &str) -> Entry {
    let ((source, from), (destination, to)) = (at(from), at(to));
    let layer4 = Layer4::Ports { source: from, destination: to };
    Entry::of(Tuple { source, destination, protocol, layer4 })
}

fn own(addresses: &[&str]) -> OwnAddresses {
    let mut own = OwnAddresses::default();
    for address in addresses {
        own.add(address.parse().unwrap(), []);
    }
    own
}

fn census(entries: &[Entry]) -> Census {
    let mut census = plimsoll_census::Counting::new(plimsoll_census::Armings::in_force(
        &plimsoll_model::Timeouts::default(),
        plimsoll_model::Policies::None,
        1,
    ))
    .finish(
        plimsoll_model::Coverage::Complete,
        plimsoll_model::Occupancy(0),
        plimsoll_census::DumpNotes::default(),
    );
    census.drawn = entries.iter().map(|entry| Drawn { entry: *entry, idle: IdleAge::UNKNOWN, ends: None }).collect();
    census
}

fn program(inode: u64, at: Location) -> Option<Program> {
    let command = ["none", "web", "worker", "dns"].get(usize::try_from(inode / 100).unwrap())?;
    let owner = Owner {
        pid: u32::try_from(inode / 100).unwrap(),
        command: Untrusted::from(*command),
        unit: None,
        container: None,
        pod: None,
        called: None,
    };
    Some(Program { owner, namespace: Untrusted::from(if at == HERE { "host" } else { "c" }) })
}

/// One more socket.
fn see(
    question: &mut Question,
    at: Location,
    protocol: Protocol,
    ends: [(IpAddr, u16); 2],
    state: SocketState,
    inode: u64,
) {
    question.look(at, protocol, SocketFamily::V4).sees(ends, state, inode);
}

/// Where it is worth to look again.
fn open(question: &Question, is_known: impl Fn(u64) -> bool) -> BTreeSet<(Location, Protocol)> {
    let over = question.over().into_iter().filter(|over| question.is_open(over, &is_known));
    over.map(|over| over.sockets()).collect()
}

/// The ends of each flow, as `state program`.
fn answered(question: &Question, census: &mut Census) -> Vec<[String; 2]> {
    question.answer(census, &mut program);
    let in_words = |end: End| {
        let by = end.by().map_or("-".to_string(), |id| census.program(id).unwrap().to_string());
        match end {
            End::NotHere => "not here".to_string(),
            End::Open { state, .. } => format!("{state} {by}"),
            End::Closed { .. } => format!("closed {by}"),
            End::Unknown { state, keeper } => {
                let state = state.map_or("closed".to_string(), |state| state.to_string());
                let beside = keeper.map(|keeper| format!(", beside {}", census.program(keeper).unwrap()));
                format!("{state} unknown{}", beside.unwrap_or_default())
            }
        }
    };
    let ends = census.drawn.iter().map(|drawn| drawn.ends.unwrap());
    ends.map(|ends| [in_words(ends.client), in_words(ends.server)]).collect()
}

#[test]
fn a_live_flow_is_its_sockets() {
    let flows =
        [flow(Protocol::TCP, "10.0.0.1:5000", "10.0.0.9:80"), flow(Protocol::TCP, "10.0.0.1:5001", "10.0.0.9:80")];
    let mut census = census(&flows);
    let mut question = Question::of(&census, HERE);
    see(&mut question, HERE, Protocol::TCP, [at("10.0.0.9:80"), at("10.0.0.1:5000")], SocketState::CloseWait, 101);
    see(&mut question, CONTAINER, Protocol::TCP, [at("10.0.0.1:5000"), at("10.0.0.9:80")], SocketState::FinWait2, 201);
    see(&mut question, HERE, Protocol::TCP, [at("10.0.0.9:80"), at("10.0.0.1:5001")], SocketState::TimeWait, 0);
    assert_eq!(question.inodes(), HashSet::from([101, 201]));
    let told = answered(&question, &mut census);
    assert_eq!(told[0], ["FIN_WAIT2 worker (process 2, in c)", "CLOSE_WAIT web (process 1)"]);
    assert_eq!(told[1], ["closed unknown, beside worker (process 2, in c)", "TIME_WAIT -"]);
}

#[test]
fn a_translated_flow_is_looked_for_where_each_end_is() {
    let mut entry = flow(Protocol::TCP, "192.0.2.7:5000", "198.51.100.1:80");
    entry.reply = flow(Protocol::TCP, "10.0.0.2:8080", "192.0.2.7:5000").original;
    let mut census = census(&[entry]);
    let mut question = Question::of(&census, HERE);
    see(
        &mut question,
        CONTAINER,
        Protocol::TCP,
        [at("10.0.0.2:8080"), at("192.0.2.7:5000")],
        SocketState::Established,
        101,
    );
    assert_eq!(answered(&question, &mut census)[0], ["not here", "ESTABLISHED web (process 1, in c)"]);
}

/// A look that sees these connections from 10.0.0.1 to 10.0.0.9:80, by their inode, and no others.
fn look(question: &mut Question, at_location: Location, inodes: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut look = question.look(at_location, Protocol::TCP, SocketFamily::V4);
    let seen = inodes.into_iter().filter_map(|inode| {
        let ends = [at(&format!("10.0.0.1:{}", 6000 + inode)), at("10.0.0.9:80")];
        match look.sees(ends, SocketState::Established, inode) {
            Some(Met::Now(inode)) => Some(inode),
            Some(Met::Before(_)) | None => None,
        }
    });
    let new = seen.collect();
    look.saw_all();
    new
}

fn over(flows: u16) -> Census {
    let flow = |n| flow(Protocol::TCP, &format!("10.0.0.1:{}", 5000 + n), "10.0.0.9:80");
    census(&(0..flows).map(flow).collect::<Vec<_>>())
}

#[test]
fn a_flow_that_is_over_is_told_by_who_listens_and_who_comes_and_goes() {
    let mut census = over(6);
    let mut question = Question::of(&census, HERE);
    question.has_addresses(HERE, &own(&["10.0.0.9"]));
    see(&mut question, HERE, Protocol::TCP, [at("0.0.0.0:80"), at("0.0.0.0:0")], SocketState::Listen, 101);
    // Another namespace's: it has not the address.
    see(&mut question, CONTAINER, Protocol::TCP, [at("[::]:80"), at("[::]:0")], SocketState::Listen, 102);
    // One is kept, one goes, one comes, and one comes whose program nobody has met.
    assert_eq!(look(&mut question, CONTAINER, [110, 201]), [0; 0]);
    assert_eq!(look(&mut question, CONTAINER, [110, 301, 401]), [301, 401]);
    let told = answered(&question, &mut census);
    let clients: Vec<_> = told.iter().map(|ends| ends[0].as_str()).collect();
    let (worker, dns) = ("closed worker (process 2, in c)", "closed dns (process 3, in c)");
    let unknown = "closed unknown, beside web (process 1, in c)";
    let parts = [worker, dns, unknown].map(|who| clients.iter().filter(|client| **client == who).count());
    assert_eq!((parts, clients.len()), ([2; 3], 6), "each gets its part: {clients:?}");
    assert!(told.iter().all(|ends| ends[1] == "closed web (process 1)"), "{told:?}");
}

/// Inodes go by processor and age: of few flows they must not tell whose they are.
#[test]
fn fewer_flows_than_openers_are_of_all_of_them() {
    let mut census = over(10);
    let mut question = Question::of(&census, HERE);
    question.has_addresses(HERE, &own(&["10.0.0.9"]));
    look(&mut question, CONTAINER, [110]);
    look(&mut question, CONTAINER, (201..221).chain(301..321));
    let told = answered(&question, &mut census);
    let of = |who: &str| told.iter().filter(|ends| ends[0].contains(who)).count();
    assert!(of("worker") > 1 && of("dns") > 1 && of("worker") + of("dns") == 10, "{told:?}");
}

#[test]
fn who_keeps_connections_is_not_taken_for_who_opened_others() {
    let mut census = over(32);
    let mut question = Question::of(&census, HERE);
    question.has_addresses(HERE, &own(&["10.0.0.1"]));
    let there = BTreeSet::from([(HERE, Protocol::TCP)]);
    for _ in 0..3 {
        look(&mut question, HERE, 201..280);
    }
    // Those of a look that did not see all are no more gone than before.
    see(&mut question, HERE, Protocol::TCP, [at("10.0.0.1:6201"), at("10.0.0.9:80")], SocketState::Established, 201);
    assert_eq!(open(&question, |_| true), there, "they tell of nothing");
    assert!(question.inodes().len() <= MOST_LINKED);
    let told = answered(&question, &mut census);
    assert!(told.iter().all(|ends| ends[0] == "closed unknown, beside worker (process 2)"), "{told:?}");

    look(&mut question, HERE, (201..280).chain(301..317));
    assert_eq!(open(&question, |inode| inode < 316), there);
    assert_eq!(open(&question, |_| true), BTreeSet::new());
    let told = answered(&question, &mut census);
    assert!(told.iter().all(|ends| ends[0] == "closed dns (process 3)"), "{told:?}");

    // Others, whose program nobody has met, change nothing while they are the fewer.
    look(&mut question, HERE, (201..280).chain(401..416));
    let told = answered(&question, &mut census);
    assert!(told.iter().all(|ends| ends[0] == "closed dns (process 3)"), "{told:?}");
    look(&mut question, HERE, (201..280).chain(416..417));
    assert_eq!(open(&question, |inode| inode < 400), there);
    let told = answered(&question, &mut census);
    let known = told.iter().filter(|ends| ends[0] == "closed dns (process 3)").count();
    assert_eq!((known, told.len()), (16, 32), "each counts: {told:?}");
}

#[test]
fn an_address_that_several_have_tells_of_nobody() {
    const OTHER: Location = Location(2);
    let mut entry = flow(Protocol::TCP, "10.0.0.1:5000", "10.0.0.9:80");
    let ends = [at("10.0.0.9:80"), at("0.0.0.0:0")];
    let server = |entry: Entry, has: &[(Location, &str)]| {
        let mut census = census(&[entry]);
        let mut question = Question::of(&census, HERE);
        for (at, address) in has {
            question.has_addresses(*at, &own(&[address]));
        }
        see(&mut question, CONTAINER, Protocol::TCP, ends, SocketState::Listen, 101);
        see(&mut question, HERE, Protocol::TCP, ends, SocketState::Listen, 201);
        answered(&question, &mut census).remove(0)[1].clone()
    };
    let address = "10.0.0.9";
    assert_eq!(server(entry, &[(CONTAINER, address)]), "closed web (process 1, in c)");
    assert_eq!(server(entry, &[(CONTAINER, address), (OTHER, address)]), "not here");
    let all = [(CONTAINER, address), (OTHER, address), (HERE, address)];
    assert_eq!(server(entry, &all), "closed worker (process 2)");
    entry.zone = Zone(7);
    assert_eq!(server(entry, &all), "not here", "it may be the tenant's");
    assert_eq!(server(entry, &[(CONTAINER, address)]), "closed web (process 1, in c)");
}

#[test]
fn families_are_told_apart() {
    let server = |from: &str, to: &str, listeners: &[(&str, u64)]| {
        let mut census = census(&[flow(Protocol::TCP, from, to)]);
        let mut question = Question::of(&census, HERE);
        question.has_addresses(HERE, &own(&["10.0.0.9", "fd00::9"]));
        for (bound, inode) in listeners {
            let ends = [at(bound), at("0.0.0.0:0")];
            see(&mut question, HERE, Protocol::TCP, ends, SocketState::Listen, *inode);
        }
        answered(&question, &mut census).remove(0)[1].clone()
    };
    let both = [("0.0.0.0:80", 101), ("[::]:80", 201)];
    assert_eq!(server("[fd00::1]:5000", "[fd00::9]:80", &both), "closed worker (process 2)");
    assert_eq!(server("[fd00::1]:5000", "[fd00::9]:80", &both[..1]), "not here");
    assert_eq!(server("10.0.0.1:5000", "10.0.0.9:80", &both), "closed web (process 1)");
    assert_eq!(server("10.0.0.1:5000", "10.0.0.9:80", &both[1..]), "closed worker (process 2)");
}

#[test]
fn a_socket_of_udp_has_all_flows_of_its_port() {
    let mut census = census(&[flow(Protocol::UDP, "10.0.0.1:5000", "10.0.0.9:53")]);
    let mut question = Question::of(&census, HERE);
    question.has_addresses(HERE, &own(&["10.0.0.9"]));
    see(&mut question, HERE, Protocol::UDP, [at("[::]:53"), at("[::]:0")], SocketState::Close, 301);
    assert_eq!(answered(&question, &mut census)[0], ["not here", "CLOSE dns (process 3)"]);
}

#[test]
fn loopback_is_the_tables_own() {
    let mut census = census(&[flow(Protocol::TCP, "127.0.0.1:5000", "127.0.0.1:80")]);
    let mut question = Question::of(&census, HERE);
    question.has_addresses(HERE, &own(&[]));
    see(
        &mut question,
        CONTAINER,
        Protocol::TCP,
        [at("127.0.0.1:80"), at("127.0.0.1:5000")],
        SocketState::Established,
        101,
    );
    see(&mut question, CONTAINER, Protocol::TCP, [at("127.0.0.1:80"), at("0.0.0.0:0")], SocketState::Listen, 102);
    assert_eq!(answered(&question, &mut census)[0], ["closed unknown", "not here"]);
    assert_eq!(open(&question, |_| true), BTreeSet::new(), "nothing was looked at as a whole");
    question.look(HERE, Protocol::TCP, SocketFamily::V4).saw_all();
    assert_eq!(open(&question, |_| true), BTreeSet::from([(HERE, Protocol::TCP)]));
    let own = [at("127.0.0.1:5000"), at("127.0.0.1:80")];
    see(&mut question, HERE, Protocol::TCP, own, SocketState::Established, 201);
    assert_eq!(open(&question, |_| true), BTreeSet::new());
}
