//! Entries that come and go: insertion into memory that was used before, and expiry.

use crate::flows::Handshake;
use crate::growth::Size;
use crate::rounds::Rates;
use crate::tracked::Tracked;

/// Of a hundred entries, so many go unanswered and expire; the others are established and stay.
const DUE: [u32; 3] = [100, 50, 1];

/// Beside what was measured of a table of that size.
pub(crate) fn measure(beside: &Size, rounds: u32) {
    let flows = beside.flows;
    let mut inserts = [Rates::default(), Rates::default()];
    let mut expiry: [Rates; DUE.len()] = Default::default();
    for _ in 0..rounds.min(3) {
        let mut tracked = Tracked::with_room_for(flows);
        inserts[0].note(flows.into(), tracked.open(0..flows, Handshake::Syn));
        for (due, expiry) in DUE.into_iter().zip(&mut expiry) {
            let unanswered = u32::try_from(u64::from(flows) * u64::from(due) / 100).unwrap_or(flows);
            if due < 100 {
                tracked = Tracked::with_room_for(flows);
                tracked.open(0..flows, Handshake::Syn);
            }
            tracked.establish(unanswered..flows);
            let expired = tracked.expire();
            assert_eq!(expired.entries, unanswered.into(), "what was not answered has not expired");
            expiry.note(expired.entries, expired.took);
            if due == 100 {
                inserts[1].note(flows.into(), tracked.open(0..flows, Handshake::Syn));
            }
        }
    }
    for (inserts, into) in inserts.iter().zip(["new memory", "memory used before"]) {
        let (of_memory, of_map) = (inserts.over(&beside.memory), inserts.over(&beside.plain_inserts));
        println!("inserts into {into:<23}{inserts}, {of_memory:.2} of memory, {of_map:.2} of map's");
    }
    for (due, expiry) in DUE.into_iter().zip(&expiry) {
        let nanos = 1e9 / expiry.best();
        println!("expiry, {due:>3} % of the entries due    {nanos:.0} ns an expired entry");
    }
}
