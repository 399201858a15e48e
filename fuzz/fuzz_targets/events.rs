//! Any bytes, taken for a datagram of events: no panic, and every error lies inside the datagram.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_ctnetlink::Unknowns;
use plimsoll_ctnetlink::parse::parse_events;

fuzz_target!(|datagram: &[u8]| {
    let mut unknowns = Unknowns::default();
    for event in parse_events(datagram, &mut unknowns) {
        match event {
            Ok(event) => {
                std::hint::black_box(format!("{event:?}"));
            }
            Err(problem) => {
                assert!(problem.offset <= datagram.len(), "{problem}");
                std::hint::black_box(problem.to_string());
            }
        }
    }
});
