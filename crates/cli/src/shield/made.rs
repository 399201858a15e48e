//! The shield that is meant: from what the table shows, from the command line, or from both.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::{Context, bail};
use plimsoll_apply::{Place, connected_to, own_addresses_of, peers, refuse_handshakes};
use plimsoll_diagnose::diagnose;
use plimsoll_model::{Class, FindingId, Network, Occupancy, Ports, Shield, SourceLimits, Untrusted, Way};
use plimsoll_observe::{Depth, Options, Target, observe};
use plimsoll_shield::{Because, Proposal, propose};

use super::arguments::{Against, ShieldArguments, network};
use crate::files::read_small;

/// UDP peers that are not limited; those with the most flows first.
const MOST_KNOWN: usize = 4096;

/// A shield, and where it comes from.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) shield: Shield,
    /// What it is against.
    pub(super) against: FindingId,
    /// What the table shows, where it was asked.
    pub(super) because: Option<Because>,
    /// Why SYNPROXY, which would fit what the table shows, is not put up; sources are limited instead.
    pub(super) not_proxied: Option<String>,
    /// Those logged in by SSH, who are spared.
    pub(super) logged_in: BTreeSet<IpAddr>,
}

/// The shield; `None` where nothing calls for one.
pub(super) fn made(arguments: &ShieldArguments, place: &Place) -> anyhow::Result<Option<Made>> {
    let (mut shield, against, because) = match (arguments.against, arguments.ports()?) {
        (Some(against), Some(ports)) => (by_hand(against, ports, arguments), against, None),
        (against, _) => match from_table(against, place)? {
            Some((proposal, against)) => (proposal.shield, against, Some(proposal.because)),
            None => return Ok(None),
        },
    };
    over(&mut shield, arguments)?;
    let logged_in = logged_in(place)?;
    shield.allow.extend(arguments.allow.iter().copied().chain(from_file(arguments)?));
    shield.allow.extend(logged_in.iter().copied().map(Network::host));
    shield.allow.sort_unstable();
    shield.allow.dedup();
    know_peers(&mut shield, place)?;
    let not_proxied = if arguments.synproxy { None } else { refuse_handshakes(place, &shield).err() };
    if not_proxied.is_some() {
        limit_instead(&mut shield);
    }
    let not_proxied = not_proxied.map(|why| why.to_string());
    Ok(Some(Made { shield, against: against.finding(), because, not_proxied, logged_in }))
}

/// Whoever asked for no SYNPROXY is not left without a shield where it has no place.
fn limit_instead(shield: &mut Shield) {
    if let Class::Handshakes { ports } = &shield.class {
        shield.class = Class::Syns { way: Way::Incoming, ports: Some(ports.clone()) };
        shield.limits = shield.limits.or(Some(Proposal::usual_limits(&shield.class)));
    }
}

fn by_hand(against: Against, ports: Ports, arguments: &ShieldArguments) -> Shield {
    let way = if arguments.outgoing { Way::Outgoing } else { Way::Incoming };
    let class = match against {
        Against::UdpUnreplied => Class::Datagrams { way, ports, known: Vec::new() },
        Against::SynFlood | Against::OutboundScan => Class::Syns { way, ports: Some(ports) },
    };
    let limits = Some(Proposal::usual_limits(&class));
    Shield { class, limits, drop: Vec::new(), allow: Vec::new() }
}

/// What fits what the table shows: of the finding that is named, or of the worst.
fn from_table(against: Option<Against>, place: &Place) -> anyhow::Result<Option<(Proposal, Against)>> {
    const ENTRIES: NonZeroU64 = NonZeroU64::new(20_000).unwrap();
    let options = Options {
        target: Target::Named(place.at().inode.to_string()),
        interval: Duration::from_secs(1),
        depth: Depth::Sample(ENTRIES),
        timeout: Duration::from_secs(10),
    };
    let snapshot = observe(&options, &mut |_| {}).context("reading this host")?;
    let namespace = snapshot.namespaces.first();
    if namespace.is_some_and(|namespace| namespace.occupancy == Some(Occupancy(0))) {
        return Ok(None);
    }
    let Some(census) = namespace.and_then(|namespace| namespace.census.as_ref()) else {
        bail!("the entries of the table cannot be read, so that nothing can be made of them: name --for and --port")
    };
    let findings = diagnose(&snapshot);
    let of = |id: FindingId| Against::ALL.into_iter().find(|against| against.finding() == id);
    let named = against.or_else(|| findings.iter().find_map(|finding| of(finding.id)));
    let Some(against) = named else { return Ok(None) };
    let own = own_addresses_of(place)?;
    let proposal = propose(against.finding(), census, &|address| own.contains(address));
    Ok(proposal.map(|proposal| (proposal, against)))
}

/// What was said on the command line is said over what the table shows.
fn over(shield: &mut Shield, arguments: &ShieldArguments) -> anyhow::Result<()> {
    if arguments.synproxy {
        shield.class = match &shield.class {
            Class::Syns { way: Way::Incoming, ports: Some(ports) } | Class::Handshakes { ports } => {
                Class::Handshakes { ports: ports.clone() }
            }
            _ => bail!(
                "--synproxy takes a shield of TCP that comes in, and --port: SYNPROXY does the handshakes of these services"
            ),
        };
        // Limits by source are beside the point where sources are spoofed; who wants them names them.
        shield.limits = None;
    }
    let usual = Proposal::usual_limits(&shield.class);
    let asked = arguments.per_source.is_some()
        || arguments.per_prefix.is_some()
        || arguments.without_room.is_some()
        || arguments.most_sources.is_some();
    if let Some(limits) = shield.limits.or(asked.then_some(usual)) {
        shield.limits = Some(SourceLimits {
            per_source: arguments.per_source.unwrap_or(limits.per_source),
            per_prefix: arguments.per_prefix.or(limits.per_prefix),
            without_room: arguments.without_room.or(limits.without_room),
            most_sources: arguments.most_sources().unwrap_or(limits.most_sources),
        });
    }
    shield.drop.extend(arguments.drop.iter().copied());
    shield.drop.sort_unstable();
    shield.drop.dedup();
    Ok(())
}

fn from_file(arguments: &ShieldArguments) -> anyhow::Result<Vec<Network>> {
    let Some(name) = &arguments.allow_file else { return Ok(Vec::new()) };
    let text = read_small(name).with_context(|| format!("--allow-file {}", Untrusted::from(name.as_str())))?;
    let mut networks = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let read = network(line).map_err(anyhow::Error::msg);
            networks.push(read.with_context(|| format!("{}, line {}", Untrusted::from(name.as_str()), index + 1))?);
        }
    }
    Ok(networks)
}

/// Whoever is logged in by SSH, here and in the namespace: nobody is to lock themselves out.
fn logged_in(place: &Place) -> anyhow::Result<BTreeSet<IpAddr>> {
    const SSH: u16 = 22;
    let connection = std::env::var("SSH_CONNECTION").unwrap_or_default();
    let words: Vec<_> = connection.split(' ').collect();
    let (peer, port) = match words.as_slice() {
        [peer, _, _, port] => (peer.parse::<IpAddr>().ok(), port.parse::<u16>().ok()),
        _ => (None, None),
    };
    let mut logged_in = connected_to(place, SSH)?;
    if let Some(port) = port.filter(|port| *port != SSH) {
        logged_in.extend(connected_to(place, port)?);
    }
    logged_in.extend(peer.map(|peer| peer.to_canonical()));
    logged_in.retain(|address| !address.is_loopback());
    Ok(logged_in)
}

fn know_peers(shield: &mut Shield, place: &Place) -> anyhow::Result<()> {
    if !matches!(shield.class, Class::Datagrams { way: Way::Incoming, .. }) {
        return Ok(());
    }
    let mut done: Vec<_> = peers(place, shield)?
        .iter()
        .filter(|(_, flows)| flows.done > 0)
        .map(|(peer, flows)| (Reverse(flows.done), peer))
        .collect();
    done.sort_unstable();
    if let Class::Datagrams { known, .. } = &mut shield.class {
        *known = done.into_iter().take(MOST_KNOWN).map(|(_, peer)| peer).collect();
    }
    Ok(())
}
