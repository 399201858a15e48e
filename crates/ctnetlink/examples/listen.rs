//! What listening to events costs: so many new flows a second for some seconds, in a namespace of its own (root, `ip`, `nft`).
//! `cargo run --release -p plimsoll-ctnetlink --example listen -- MODE [RATE [SECS [BUFFER_BYTES [HALVINGS [PAUSE_MICROS]]]]]`
//!
//! `MODE` is what is done with the events: `none` does not even subscribe, `raw` receives them and no more (the yardstick),
//! `parse` parses and counts them. A `RATE` of 0 makes no flows and listens to the namespace in which it was started.
//! `HALVINGS` samples one entry in 2ⁿ; `PAUSE_MICROS` is slept after each batch that was not full.

use std::error::Error;
use std::hint::black_box;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use plimsoll_ctnetlink::{EventKind, Listener, Received, SampleShare, Unknowns};
use plimsoll_lab::LabNamespace;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    None,
    Raw,
    Parse,
}

#[derive(Clone, Copy)]
struct Setup {
    mode: Mode,
    flows_per_sec: u32,
    secs: u64,
    buffer_bytes: usize,
    share: SampleShare,
    pause: Duration,
}

#[derive(Default)]
struct Heard {
    buffer_bytes: usize,
    datagrams: usize,
    batches: u32,
    new: u64,
    update: u64,
    destroy: u64,
    losses: u32,
    dropped: Option<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let setup = setup()?;
    if setup.flows_per_sec == 0 {
        return listen_and_tell(&setup).map_err(Into::into);
    }
    let namespace = LabNamespace::tracking()?;
    namespace.set("net/netfilter/nf_conntrack_udp_timeout", 1)?;
    thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let listening = scope.spawn(|| namespace.enter(|| listen_and_tell(&setup)));
        thread::sleep(Duration::from_millis(300));
        let (sent, micros) = namespace.enter(|| send(&setup))??;
        println!("sender: {sent} flows, {:.2} µs of its CPU time each", micros as f64 / sent as f64);
        listening.join().map_err(|_| "the listener panicked")???;
        Ok(())
    })
}

fn setup() -> Result<Setup, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = match arguments.next().as_deref() {
        Some("none") => Mode::None,
        Some("raw") => Mode::Raw,
        Some("parse") => Mode::Parse,
        _ => return Err("usage: listen none|raw|parse [RATE [SECS [BUFFER_BYTES [HALVINGS [PAUSE_MICROS]]]]]".into()),
    };
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    Ok(Setup {
        mode,
        flows_per_sec: number(30_000)?.try_into()?,
        secs: number(5)?,
        buffer_bytes: number(8 << 20)?.try_into()?,
        share: SampleShare::halved(number(0)?.try_into()?).ok_or("at most 16 halvings")?,
        pause: Duration::from_micros(number(0)?),
    })
}

/// One packet a flow, each to another port; returns how many, and the thread's CPU time in microseconds.
fn send(setup: &Setup) -> Result<(u64, i64), String> {
    let told = |error: std::io::Error| error.to_string();
    let begin = Instant::now();
    let (from, mut sent) = (cpu_micros(), 0);
    'all: loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(told)?;
        for port in 1024..=u16::MAX {
            while sent as f64 > f64::from(setup.flows_per_sec) * begin.elapsed().as_secs_f64() {
                thread::sleep(Duration::from_micros(200));
            }
            if begin.elapsed().as_secs() >= setup.secs {
                break 'all;
            }
            // Refused by the port before, or by a full table.
            let _ = socket.send_to(b"x", (Ipv4Addr::LOCALHOST, port));
            sent += 1;
        }
    }
    Ok((sent, cpu_micros() - from))
}

fn listen_and_tell(setup: &Setup) -> Result<(), String> {
    if setup.mode == Mode::None {
        return Ok(());
    }
    let from = cpu_micros();
    let heard = listen(setup).map_err(|error| error.to_string())?;
    let micros = cpu_micros() - from;
    let Heard { buffer_bytes, datagrams, batches, new, update, destroy, losses, dropped } = heard;
    println!("listener: {datagrams} datagrams, {new} new, {update} update, {destroy} destroy");
    println!("listener: {losses} losses, {dropped:?} dropped, with a buffer of {buffer_bytes} bytes");
    println!(
        "listener: {:.3} s of CPU time, {:.3} µs a datagram, {:.1} datagrams a batch",
        micros as f64 / 1e6,
        micros as f64 / datagrams as f64,
        datagrams as f64 / f64::from(batches)
    );
    Ok(())
}

fn listen(setup: &Setup) -> Result<Heard, plimsoll_ctnetlink::Error> {
    let mut listener = Listener::subscribe(setup.buffer_bytes)?;
    if setup.share != SampleShare::ALL {
        listener.sample(setup.share)?;
    }
    let mut heard = Heard { buffer_bytes: listener.buffer_bytes(), ..Heard::default() };
    let mut unknowns = Unknowns::default();
    let end = Instant::now() + Duration::from_secs(setup.secs) + Duration::from_millis(500);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match listener.receive(left)? {
            Received::Events(batch) => {
                heard.batches += 1;
                heard.datagrams += batch.datagram_count();
                if setup.mode == Mode::Parse {
                    for event in batch.events(&mut unknowns) {
                        match black_box(event?).kind {
                            EventKind::New => heard.new += 1,
                            EventKind::Update => heard.update += 1,
                            EventKind::Destroy => heard.destroy += 1,
                        }
                    }
                }
                if !setup.pause.is_zero() && batch.datagram_count() < Listener::BATCH {
                    thread::sleep(setup.pause);
                }
            }
            Received::Lost => heard.losses += 1,
            Received::Nothing => {}
        }
    }
    heard.dropped = listener.dropped()?;
    Ok(heard)
}

fn cpu_micros() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD)
        .map_or(0, |usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
}
