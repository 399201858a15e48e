//! Packets that tell how long they were under way.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::in_words;
use crate::launch::pin_to;

/// Time between packets. They leave on time even while others are late, so a long delay is seen by all that it hits.
/// More of them would overflow the socket's buffer where a delay is longest.
const PACE: Duration = Duration::from_millis(1);

/// How long the last ones are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the sender that it is enough.
#[derive(Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long packets were under way, shortest first.
pub(crate) struct Delays {
    sorted: Vec<Duration>,
    lost: u64,
}

impl Delays {
    pub(crate) fn print(&self, beside: &str) {
        let [median, p99, longest] = [self.quantile(0.5), self.p99(), self.quantile(1.0)].map(in_words);
        let lost = if self.lost > 0 { format!(", {} lost", self.lost) } else { String::new() };
        println!("  {beside:42} {median:>10} {p99:>10} {longest:>10} {:>8}{lost}", self.sorted.len());
    }

    pub(crate) fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    fn quantile(&self, share: f64) -> Duration {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
        let index = (share * self.sorted.len().saturating_sub(1) as f64) as usize;
        self.sorted.get(index).copied().unwrap_or_default()
    }
}

/// Sends packets to itself over loopback, on one CPU, until it is told to stop.
pub(crate) fn send_on(cpu: usize, stop: &Stop) -> anyhow::Result<Delays> {
    pin_to(cpu)?;
    let mut flow = Flow::open()?;
    let mut due = Instant::now();
    while !stop.is_wanted() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        flow.send()?;
        due += PACE;
        flow.receive_until(due)?;
    }
    flow.receive_until(Instant::now() + PATIENCE)?;
    flow.delays.sort_unstable();
    Ok(Delays { sorted: flow.delays, lost: flow.under_way })
}

struct Flow {
    socket: UdpSocket,
    began: Instant,
    under_way: u64,
    delays: Vec<Duration>,
}

impl Flow {
    fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, began: Instant::now(), under_way: 0, delays: Vec::new() })
    }

    /// Sends a packet that carries its time.
    fn send(&mut self) -> io::Result<()> {
        self.under_way += 1;
        self.socket.send(&self.began.elapsed().as_nanos().to_ne_bytes()).map(drop)
    }

    /// Receives what is under way, or as much of it as comes in time. Asks without sleeping: a wake-up takes longer
    /// than a packet.
    fn receive_until(&mut self, end: Instant) -> io::Result<()> {
        let mut sent = [0; size_of::<u128>()];
        while self.under_way > 0 {
            match self.socket.recv(&mut sent) {
                Ok(_) => {
                    let sent = Duration::from_nanos(u64::try_from(u128::from_ne_bytes(sent)).unwrap_or(u64::MAX));
                    self.delays.push(self.began.elapsed().saturating_sub(sent));
                    self.under_way -= 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => std::hint::spin_loop(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
