//! Any bytes, taken for a datagram of a dump: no panic, and every error lies inside the datagram.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_ctnetlink::Unknowns;
use plimsoll_ctnetlink::parse::parse_datagram;

fuzz_target!(|datagram: &[u8]| {
    let mut unknowns = Unknowns::default();
    for dumped in parse_datagram(datagram, &mut unknowns) {
        match dumped {
            Ok(dumped) => {
                std::hint::black_box(format!("{dumped:?}"));
            }
            Err(problem) => {
                assert!(problem.offset <= datagram.len(), "{problem}");
                std::hint::black_box(problem.to_string());
            }
        }
    }
});
