//! Guests in which `plimsoll` runs.

use std::fmt::Write;
use std::time::Duration;

use plimsoll_guest::{Guest, Transcript};

/// For a machine much slower than any it was tried on.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Sends one UDP packet to each of some ports, so that each asks for an entry of its own, and says how many the kernel
/// refused to send: `send-udp ADDRESS FIRST-PORT LAST-PORT`.
const SEND_UDP: &str = r#"#!/bin/perl
my ($address, $first, $last) = @ARGV;
my ($AF_INET, $SOCK_DGRAM) = (2, 2);
socket(my $socket, $AF_INET, $SOCK_DGRAM, 0) or die $!;
my $refused = 0;
for my $port ($first .. $last) {
    my $to = pack("S n C4 x8", $AF_INET, $port, split(/\./, $address));
    send($socket, "plimsoll", 0, $to) or $refused++;
}
print "$refused\n";
"#;

/// What the scripts share.
const COMMON: &str = r#"
set_max() { echo "$1" >/proc/sys/net/netfilter/nf_conntrack_max; }
set_buckets() { echo "$1" >/sys/module/nf_conntrack/parameters/hashsize; }
count() { cat /proc/sys/net/netfilter/nf_conntrack_count; }
check() { plimsoll check --json "$@"; }

# await COMMAND…: returns when it succeeds.
await() (
    set +x
    until "$@" >/dev/null 2>&1; do sleep 0.2; done
)
# is VALUE COMMAND…: whether a command says that.
is() (
    wanted=$1
    shift
    [ "$("$@")" = "$wanted" ]
)

# Tracks what is sent, for an hour, so that nothing expires meanwhile.
track() {
    ip link set lo up
    nft 'table inet lab { chain out { type filter hook output priority 0; ct state invalid counter; }; }'
    echo 3600 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
}

# Returns when there is much to receive at a socket of netfilter's.
await_dump() (
    set +x
    until awk '$2 == 12 && $5 > 16000 { found = 1 } END { exit !found }' /proc/net/netlink; do :; done
)

# Takes a step while new flows come, a thousand to each of many addresses.
step_under_fire() {
    rm -f /tmp/cease
    for host in $(seq 1 250); do
        [ -e /tmp/cease ] || send-udp "127.0.1.$host" 1 1000
    done &
    step "$@"
    touch /tmp/cease
    wait $!
}
"#;

pub(crate) fn guest() -> Guest {
    let guest = Guest::new().program(super::PLIMSOLL).file("/bin/send-udp", SEND_UDP);
    let guest = ["nft", "conntrack", "perl"].into_iter().fold(guest, Guest::program);
    ["nf_conntrack", "nf_conntrack_netlink", "nft_ct"].into_iter().fold(guest, Guest::module)
}

pub(crate) fn run(guest: &Guest, script: &str) -> Transcript {
    guest.run(&format!("{COMMON}\n{script}"), TIMEOUT).unwrap_or_else(|error| panic!("{error}"))
}

/// Assured TCP entries in a state, as `conntrack --load-file` takes them.
pub(crate) fn entries(numbers: std::ops::Range<u32>, state: &str) -> String {
    numbers.fold(String::new(), |mut lines, number| {
        let client = std::net::Ipv4Addr::from_bits(0x0a00_0000 | number);
        writeln!(
            lines,
            "-A -t 3600 -u SEEN_REPLY,ASSURED -p tcp --state {state} -s {client} -d 192.0.2.1 --sport 1024 --dport 443 \
             -r 192.0.2.1 -q {client} --reply-port-src 443 --reply-port-dst 1024"
        )
        .unwrap();
        lines
    })
}

/// What a step of a guest's script wrote.
pub(crate) fn output<'a>(transcript: &'a Transcript, step: &str) -> &'a str {
    transcript.step(step).unwrap().output.trim()
}
