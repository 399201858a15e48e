//! What comes to a table, as a scenario.

use std::time::Duration;

use plimsoll_churn::{Fate, Present, Series};
use plimsoll_diagnose::words::rounded;
use plimsoll_model::{NewEntry, Protocol, ProtocolState, Timeout};
use plimsoll_scenario::Scenario;

/// Nobody's addresses (RFC 2544): no entry that was read has the tuple of a flow that comes.
const CLIENTS: &str = "198.18.0.0/15";

/// The flows that come, at their rates in a world that is `scale` times as large; the scenario lasts so long.
pub(crate) fn scenario(
    present: &Present<'_>,
    scale: f64,
    lasts: Duration,
) -> Result<Scenario, plimsoll_scenario::Error> {
    let mut text = format!(
        "name = \"rehearsal\"\ntitle = \"What comes now\"\nabout = \"\"\n[play]\nsecs = {}\n[simulate]\n",
        lasts.as_secs_f64()
    );
    for (number, rate) in present.rates.iter().enumerate() {
        let count = rounded(rate.per_sec.value * scale * lasts.as_secs_f64()).min(u64::from(u32::MAX));
        let Some(packets) = packets(rate.series).filter(|_| count > 0) else { continue };
        // Spread evenly: what is foretold is the mean, and what chance makes of it is told beside it.
        // A network of servers for each, so that no two have a tuple in common.
        text.push_str(&format!(
            "[[traffic]]\nname = \"t{number}\"\ncount = {count}\nuntil_secs = {}\nscript = \"t{number}\"\n\
             clients = {{ in = \"{CLIENTS}\", ports = \"1024-65535\" }}\nservers = {{ in = \"203.0.113.{number}\", ports = 443 }}\n\
             [scripts.t{number}]\npackets = \"\"\"\n{packets}\"\"\"\n",
            lasts.as_secs_f64()
        ));
    }
    Scenario::parse("what comes now", &text)
}

/// What becomes of a flow of the series; `None` where the entries do not tell.
const fn packets(series: Series) -> Option<&'static str> {
    Some(match series {
        Series::Closes => "> syn\n< syn-ack\n> ack\n> data 400\n< data 1200\n> ack\n> fin\n< fin\n> ack\n",
        Series::Resets => "> syn\n< syn-ack\n> ack\n> data 400\n< data 1200\n> rst\n",
        Series::HalfOpen => "> syn\n",
        Series::Answered => "> syn\n< syn-ack\n",
        Series::OneWayUdp => "> udp 50\n",
        Series::UdpExchanges => "> udp 50\n< udp 180\n",
        // They are the sum of all others.
        Series::NewFlows => return None,
    })
}

/// The timeout that holds a flow of a series once it has come to its end.
pub(crate) const fn held_by(series: Series) -> Option<Timeout> {
    use plimsoll_model::TcpState::{Close, SynRecv, SynSent, TimeWait};
    Some(match series {
        Series::Closes => Timeout::Tcp(TimeWait),
        Series::Resets => Timeout::Tcp(Close),
        Series::HalfOpen => Timeout::Tcp(SynSent),
        Series::Answered => Timeout::Tcp(SynRecv),
        Series::OneWayUdp | Series::UdpExchanges => Timeout::Udp,
        Series::NewFlows => return None,
    })
}

/// The drawn entries as they are to be made. Those that packets keep alive are there for all of the rehearsal: how long they
/// will be, one reading cannot tell.
pub(crate) fn standing(present: &Present<'_>, lasts: Duration) -> Vec<NewEntry> {
    let beyond = u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX / 2).saturating_add(3600);
    let entries = present.entries.iter();
    let made = entries.map(|present| NewEntry {
        original: present.entry.original,
        reply: present.entry.reply,
        zone: present.entry.zone,
        status: present.entry.status,
        tcp_state: match present.entry.state {
            ProtocolState::Tcp(state) => Some(state),
            _ if present.entry.original.protocol == Protocol::TCP => Some(plimsoll_model::TcpState::Established),
            _ => None,
        },
        timeout_secs: match (present.fate, present.entry.remaining_secs) {
            (Fate::Expires, Some(secs)) => secs.saturating_add(1),
            _ => beyond,
        },
    });
    made.collect()
}
