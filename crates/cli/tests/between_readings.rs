//! What is lost while a reading is under way is told by the next one. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::num::NonZeroU64;
use std::time::Duration;

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::{Counter, NamespaceSnapshot, TcpState};
use plimsoll_observe::{Depth, Observer, Options, Target};

#[test]
fn drops_between_two_readings_are_in_the_second() {
    let lab = LabNamespace::tracking().unwrap();
    let limit: u32 = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap().trim().parse().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit)).unwrap();
    let mut observer = Observer::default();
    let mut read = || {
        let options = Options {
            target: Target::Named(lab.name().to_string()),
            interval: Duration::from_millis(100),
            depth: Depth::Sample(NonZeroU64::new(100).unwrap()),
            timeout: Duration::from_secs(10),
        };
        observer.observe(&options, &mut |_| {}).unwrap().namespaces.remove(0)
    };
    let dropped = |ns: &NamespaceSnapshot| ns.change.as_ref().unwrap().counters.get(Counter::Drop).unwrap();

    assert_eq!(dropped(&read()), 0);
    let refused = u64::from(lab.send_udp(2000..=2099).unwrap());
    assert!(refused >= 90, "the table was to be full: {refused}");
    let second = read();
    assert_eq!(dropped(&second), refused);
    let change = second.change.unwrap();
    assert!(change.over > change.watched, "{change:?}");
    assert_eq!(dropped(&read()), 0);
}
