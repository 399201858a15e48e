//! What is going to be played, for a person.

use std::time::Duration;

use plimsoll_diagnose::words::{duration, grouped, percent};
use plimsoll_scenario::{Amount, Arrivals, BackendConnections, Clients, Hosts, Scenario, Servers, Size};

/// The scenario's own words, and its numbers at a size.
pub(crate) fn introduction(scenario: &Scenario, seed: u64, size: Size) -> String {
    let mut text = format!("{}: {} (seed {seed}, size {size})\n", scenario.name, scenario.title);
    for line in &scenario.about {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(proxy) = &scenario.proxy {
        let behind = match proxy.backend_connections {
            BackendConnections::OneARequest => "one to its backend for each request",
            BackendConnections::Kept => "a few to its backend that it keeps",
        };
        text.push_str(&format!(
            "  - {} requests a second, by {} connections to an nginx, which opens {behind}\n",
            whole(proxy.requests_per_sec(size)),
            proxy.client_connections
        ));
    }
    for standing in &scenario.standing {
        let amount = match standing.amount {
            Amount::Count(count) => format!("{} entries", whole(f64::from(count) * size.factor())),
            Amount::OfCapacity(share) => format!("{} of the limit", percent(share)),
        };
        text.push_str(&format!(
            "  - {}, there from the start: {amount}, silent for {} to {}, {} to {}\n",
            standing.name,
            duration(standing.idle_from.as_secs()),
            duration(standing.idle_until.as_secs()),
            clients(&standing.clients),
            servers(&standing.servers)
        ));
    }
    for traffic in &scenario.traffic {
        let amount = match traffic.arrivals {
            Arrivals::Random { per_sec, from, until } => {
                let until =
                    if until < scenario.play.lasts { format!(" until {} s", secs(until)) } else { String::new() };
                let from = if from.is_zero() { String::new() } else { format!(" from {} s", secs(from)) };
                format!("{} flows a second{from}{until}", whole(per_sec * size.factor()))
            }
            Arrivals::Spread { count, from, until } => {
                let over = if until > from {
                    format!(" within {} s", secs(until.saturating_sub(from)))
                } else {
                    String::new()
                };
                format!("{} flows{over}", whole(f64::from(count) * size.factor()))
            }
        };
        text.push_str(&format!(
            "  - {}: {amount}, {} to {}\n",
            traffic.name,
            clients(&traffic.clients),
            servers(&traffic.servers)
        ));
    }
    text
}

fn clients(clients: &Clients) -> String {
    match clients.hosts {
        Hosts::First(_) if clients.network.addresses() == 1 => format!("from {}", clients.network),
        Hosts::First(count) => format!("from {} hosts in {}", grouped(count.get().into()), clients.network),
        Hosts::Any => format!("from addresses drawn in {}", clients.network),
    }
}

fn servers(servers: &Servers) -> String {
    let ports = servers.ports.map_or(String::new(), |ports| format!(", port {ports}"));
    match servers.hosts {
        Hosts::First(_) if servers.network.addresses() == 1 => format!("{}{ports}", servers.network),
        Hosts::First(count) => format!("{} hosts in {}{ports}", grouped(count.get().into()), servers.network),
        Hosts::Any => format!("addresses drawn in {}{ports}", servers.network),
    }
}

fn secs(span: Duration) -> f64 {
    span.as_secs_f64()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of flows")]
fn whole(number: f64) -> String {
    if number < 10.0 { format!("{number:.1}") } else { grouped(number.round() as u64) }
}
