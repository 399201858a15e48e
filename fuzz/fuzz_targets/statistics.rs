//! Any bytes, taken for statistics of the table, of the CPUs, of zones, of interfaces: no panic, and every error lies inside the datagram.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_ctnetlink::parse::{
    parse_addresses, parse_cpu_statistics, parse_links, parse_table_statistics, parse_zone_limits,
};

fuzz_target!(|datagram: &[u8]| {
    let problems = [
        parse_table_statistics(datagram).err(),
        parse_cpu_statistics(datagram).err(),
        parse_zone_limits(datagram).err(),
        parse_addresses(datagram).err(),
        parse_links(datagram).err(),
    ];
    for problem in problems.into_iter().flatten() {
        assert!(problem.offset <= datagram.len(), "{problem}");
        std::hint::black_box(problem.to_string());
    }
});
