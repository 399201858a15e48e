//! What a shield is worth, and what it costs, on this machine's kernel. `scripts/bench shield` runs it; `docs/performance.md` says what
//! the figures mean.
//!
//! A server's namespace holds so many assured entries that under a flood the stock host loses new connections; a client's namespace
//! floods it by a raw socket, as fast as it can, and opens connections like anybody. Namespaces, entries and sockets are the bench's
//! own.

mod flood;
mod load;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use plimsoll_apply::StateDir;
use plimsoll_ctnetlink::{Counter, TcpState, cpu_statistics};
use plimsoll_lab::{Kind, LabNamespace, entries};
use serde_json::Value;

use crate::flood::{Flood, Sources};
use crate::load::{Load, Served};

const PLIMSOLL: &str = env!("CARGO_BIN_EXE_plimsoll");

#[derive(Parser)]
struct Arguments {
    /// Share of the limit that assured entries take
    #[arg(long, default_value_t = 0.95)]
    assured: f64,
    /// Connections a second that mean well
    #[arg(long, default_value_t = 150)]
    rate: u32,
    /// How long each stage is loaded
    #[arg(long, default_value_t = 20)]
    secs: u32,
    /// Packets by which the cost of one is measured
    #[arg(long, default_value_t = 100_000)]
    packets: u32,
    /// How often that is measured
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// What `cargo bench` adds and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
}

/// What stands before the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    ShadowOfSets,
    Sets,
    ShadowOfSynproxy,
    Synproxy,
    /// The limits of the sets before an skb.
    ShadowOfXdp,
    Xdp,
    /// The network of the spoofed sources is listed.
    XdpListed,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("nothing is tested here: scripts/bench shield measures");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "| flood | stage | SYNs/s | served | at the first try | median | 99th of 100 | entries | lost by a full table | dropped by XDP |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    loaded(arguments, None, Stage::Nothing)?;
    for stage in [Stage::Nothing, Stage::ShadowOfSets, Stage::Sets, Stage::ShadowOfXdp, Stage::Xdp] {
        loaded(arguments, Some(Sources::Few), stage)?;
    }
    for stage in [Stage::Nothing, Stage::ShadowOfSynproxy, Stage::Sets, Stage::Synproxy, Stage::XdpListed] {
        loaded(arguments, Some(Sources::Spoofed), stage)?;
    }
    println!();
    costs(arguments)
}

/// One stage under one flood.
fn loaded(arguments: &Arguments, sources: Option<Sources>, stage: Stage) -> anyhow::Result<()> {
    let ground = Ground::new()?;
    let limit = plimsoll_host::HostFs::new().sysctl(plimsoll_model::Sysctl::CAPACITY)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 32 bits")]
    let assured = (f64::from(limit) * arguments.assured) as u32;
    ground.server.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, assured))?;
    let load = Load::new(&ground.server, &ground.client)?;
    ground.stand(stage)?;
    let before = ground.drops()?;
    let flood = sources.map(|sources| Flood::begin(&ground.client, sources)).transpose()?;
    // Until the table is full, and what the sets do has set in.
    std::thread::sleep(Duration::from_secs(2));
    let served = load.run(arguments.rate, Duration::from_secs(arguments.secs.into()));
    let occupancy = ground.server.enter(|| plimsoll_host::HostFs::new().occupancy())??;
    let per_sec = flood.map_or(Ok(0), Flood::end)?;
    let lost = ground.drops()?.saturating_sub(before);
    let early = ground.by_xdp(stage, "dropped")?.map_or_else(|| "-".to_string(), |packets| packets.to_string());
    let Served { of, in_time, at_first_try, median, late } = served;
    let share = |part: usize| 100.0 * part as f64 / of as f64;
    println!(
        "| {} | {} | {per_sec} | {:.2} % of {of} | {:.2} % | {:.2} ms | {:.1} ms | {} | {lost} | {early} |",
        sources.map_or("none", Sources::name),
        stage.name(),
        share(in_time),
        share(at_first_try),
        median.as_secs_f64() * 1e3,
        late.as_secs_f64() * 1e3,
        occupancy.0,
    );
    Ok(())
}

/// What a packet costs at each place, sending it included; each is measured in turn, over and over.
fn costs(arguments: &Arguments) -> anyhow::Result<()> {
    let places = [
        ("tracked and answered by the listener, as stock", Place::Stock),
        ("dropped by the filter chain of input, after tracking", Place::Filter),
        ("in shadow, then as stock", Place::Shadow),
        ("over its source's limit, dropped", Place::Limited),
        ("listed, dropped", Place::Listed),
        ("answered by SYNPROXY", Place::Proxied),
        ("over its source's limit, dropped by XDP", Place::XdpLimited),
        ("listed, dropped by XDP", Place::XdpListed),
        ("dropped at netdev ingress (the least that nft can do)", Place::Ingress),
    ];
    let mut figures = vec![Vec::new(); places.len()];
    for _ in 0..arguments.rounds {
        for ((_, place), figures) in places.iter().zip(&mut figures) {
            figures.push(cost(*place, arguments.packets)?);
        }
    }
    println!("| a SYN that is | µs, sending included | of the stock path's |");
    println!("|---|---|---|");
    let median = |figures: &[f64]| {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let stock = figures.first().cloned().unwrap_or_default();
    for ((name, _), figures) in places.iter().zip(&figures) {
        let ratios: Vec<f64> = figures.iter().zip(&stock).map(|(one, stock)| one / stock).collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        println!("| {name} | {:.2} | {:.2} ({least:.2} to {most:.2}) |", median(figures), median(&ratios));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Stock,
    Filter,
    Shadow,
    Limited,
    Listed,
    Proxied,
    XdpLimited,
    XdpListed,
    Ingress,
}

/// Microseconds a packet.
fn cost(place: Place, packets: u32) -> anyhow::Result<f64> {
    let ground = Ground::new()?;
    let _load = Load::new(&ground.server, &ground.client)?;
    // SYNPROXY is put up where something is tracked.
    ground.server.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, 1))?;
    let sources = match place {
        Place::Limited | Place::XdpLimited => Sources::Few,
        _ => Sources::Spoofed,
    };
    match place {
        Place::Stock => {}
        Place::Filter => ground
            .server
            .nft("table inet bench { chain in { type filter hook input priority 0; tcp dport 443 drop; }; }\n")?,
        Place::Shadow => ground.stand(Stage::ShadowOfSets)?,
        Place::Limited => ground.stand(Stage::Sets)?,
        Place::Listed => {
            ground.shield(&["--per-source", "100000000", "--drop", "11.0.0.0/8"])?;
            ground.enforce()?;
        }
        Place::Proxied => ground.stand(Stage::Synproxy)?,
        Place::XdpLimited => ground.stand(Stage::Xdp)?,
        Place::XdpListed => ground.stand(Stage::XdpListed)?,
        Place::Ingress => ground.server.nft(
            "table netdev bench { chain in { type filter hook ingress device s0 priority 0; tcp dport 443 drop; }; }\n",
        )?,
    }
    let cost = flood::cost_micros(&ground.client, sources, packets)?;
    if let Place::XdpLimited | Place::XdpListed = place {
        // With a program veth hands packets on by a queue: those that it had no room for cost nothing.
        let seen = ground.by_xdp(Stage::Xdp, "seen")?.unwrap_or(0);
        ensure!(seen >= u64::from(packets), "XDP has seen {seen} of {packets} packets: the rest was lost before");
    }
    Ok(cost)
}

/// The two namespaces.
struct Ground {
    server: LabNamespace,
    client: LabNamespace,
    folder: std::path::PathBuf,
}

impl Ground {
    fn new() -> anyhow::Result<Self> {
        let (server, client) = (LabNamespace::tracking()?, LabNamespace::create()?);
        let folder = server.folder()?.join("journals");
        let ground = Self { server, client, folder };
        let ip = |lab: &LabNamespace, arguments: &str| {
            lab.run(&["ip"].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>()).map(drop)
        };
        ip(&ground.client, &format!("link add c0 type veth peer name s0 netns {}", ground.server.name()))?;
        ip(&ground.server, "addr add 10.8.255.1/16 dev s0")?;
        for address in load::clients() {
            ip(&ground.client, &format!("addr add {address}/16 dev c0"))?;
        }
        ip(&ground.server, "link set s0 up")?;
        ip(&ground.client, "link set c0 up")?;
        // The answers to a flood go back to where it comes from, and end there.
        for network in ["10.9.0.0/16", "11.0.0.0/8"] {
            ip(&ground.server, &format!("route add {network} via {}", load::clients().next().context("an address")?))?;
        }
        Ok(ground)
    }

    fn stand(&self, stage: Stage) -> anyhow::Result<()> {
        match stage {
            Stage::Nothing => return Ok(()),
            Stage::ShadowOfSets | Stage::Sets => self.shield(&[])?,
            Stage::ShadowOfSynproxy | Stage::Synproxy => self.shield(&["--synproxy"])?,
            Stage::ShadowOfXdp | Stage::Xdp => self.shield(&["--xdp", "s0"])?,
            Stage::XdpListed => self.shield(&["--drop", "11.0.0.0/8", "--xdp", "s0"])?,
        }
        match stage {
            Stage::Nothing | Stage::ShadowOfSets | Stage::ShadowOfSynproxy | Stage::ShadowOfXdp => Ok(()),
            Stage::Sets | Stage::Synproxy | Stage::Xdp | Stage::XdpListed => self.enforce(),
        }
    }

    /// What XDP has counted; `None` where there is none.
    fn by_xdp(&self, stage: Stage, counter: &str) -> anyhow::Result<Option<u64>> {
        if !matches!(stage, Stage::ShadowOfXdp | Stage::Xdp | Stage::XdpListed) {
            return Ok(None);
        }
        let status: Value = serde_json::from_str(&self.plimsoll(&["--status", "--json"])?)?;
        let stage = &status["xdp"][0];
        ensure!(stage["runs"] == "generic", "XDP in the driver of veth, whose queue loses packets: {stage}");
        Ok(stage["counters"][counter].as_u64())
    }

    fn shield(&self, how: &[&str]) -> anyhow::Result<()> {
        self.plimsoll(&[&["--for", "syn-flood", "--port", "443", "--shadow", "0"], how].concat()).map(drop)
    }

    fn enforce(&self) -> anyhow::Result<()> {
        self.plimsoll(&["--enforce", "--shadow", "0", "--max-collateral", "100%", "--no-watch"]).map(drop)
    }

    fn plimsoll(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(PLIMSOLL);
        command.args(["shield", "--netns", self.server.name()]).args(arguments).env("PLIMSOLL_STATE_DIR", &self.folder);
        let output = command.output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn drops(&self) -> anyhow::Result<u64> {
        Ok(self.server.enter(cpu_statistics)??.total(Counter::Drop).unwrap_or(0))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Nothing is there where there was no shield.
        let _ = self.plimsoll(&["--stop"]);
        // A watchdog looks at its journal every other second, and waits for one that has vanished.
        let until = Instant::now() + Duration::from_secs(30);
        let lives = || matches!(StateDir::open(&self.folder), Ok(Some(folder)) if folder.watchdog_lives(1));
        while lives() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::ShadowOfSets => "sets, in shadow",
            Self::Sets => "sets",
            Self::ShadowOfSynproxy => "SYNPROXY, in shadow",
            Self::Synproxy => "SYNPROXY",
            Self::ShadowOfXdp => "XDP and sets, in shadow",
            Self::Xdp => "XDP and sets",
            Self::XdpListed => "XDP and sets, 11.0.0.0/8 listed",
        }
    }
}
