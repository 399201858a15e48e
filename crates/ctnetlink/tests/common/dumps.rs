//! The captured dumps.

pub(crate) const MIXED: &[u8] = include_bytes!("../dumps/mixed.bin");
pub(crate) const ODD: &[u8] = include_bytes!("../dumps/odd.bin");
pub(crate) const EVENTS: &[u8] = include_bytes!("../dumps/events.bin");

/// The datagrams of a file that the examples `make_dumps` and `make_events` wrote.
pub(crate) fn datagrams(mut file: &[u8]) -> Vec<&[u8]> {
    let mut datagrams = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk() {
        let (datagram, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        datagrams.push(datagram);
        file = rest;
    }
    assert!(file.is_empty());
    datagrams
}
