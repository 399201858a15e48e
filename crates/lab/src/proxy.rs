//! A reverse proxy as it is run: nginx between clients and a backend, each in a namespace of its own, with real TCP
//! stacks at all ends. The proxy's namespace tracks.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_host::HostFs;
use plimsoll_scenario::{BackendConnections, Proxy, Size};

use crate::namespace::needed;
use crate::player::{Played, wait_until};
use crate::refusal::Refusal;
use crate::{Error, LabNamespace};

const PROXY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 81, 0, 1), 80);
const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 81, 0, 2);
const TO_BACKEND: Ipv4Addr = Ipv4Addr::new(10, 82, 0, 1);
/// Several, because towards a single one there are only as many connections as a host has ports by default: 28,232.
const BACKENDS: [SocketAddrV4; 4] = {
    const fn backend(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 82, 0, last), 8080)
    }
    [backend(2), backend(3), backend(4), backend(5)]
};

/// Clients, a proxy and a backend. All of it goes when dropped, the servers first.
#[derive(Debug)]
pub struct ProxyStage {
    _servers: [Server; 2],
    clients: LabNamespace,
    proxy: LabNamespace,
    _backend: LabNamespace,
    plan: Proxy,
    capacity: u32,
}

impl ProxyStage {
    pub(crate) fn build(plan: Proxy) -> Result<Self, Error> {
        let (clients, backend) = (LabNamespace::create()?, LabNamespace::create()?);
        let proxy = LabNamespace::tracking()?;
        for (other, device, own, addresses) in [
            (&clients, "clients", *PROXY.ip(), vec![CLIENTS]),
            (&backend, "backend", TO_BACKEND, BACKENDS.map(|backend| *backend.ip()).to_vec()),
        ] {
            proxy.ip(&format!(
                "link add {device} type veth peer name proxy netns {}\n\
                 address add {own}/24 dev {device}\n\
                 link set {device} up\n",
                other.name()
            ))?;
            let addresses = addresses.iter().map(|address| format!("address add {address}/24 dev proxy\n"));
            other.ip(&(addresses.collect::<String>() + "link set proxy up\n"))?;
        }
        let capacity = proxy.enter(|| HostFs::new().capacity())?;
        let capacity = capacity.map_err(|error| Refusal::NoTracking { answer: error.to_string() })?.0;
        let servers =
            [Server::start(&backend, &backend_configuration())?, Server::start(&proxy, &proxy_configuration(plan))?];
        let stage = Self { _servers: servers, clients, proxy, _backend: backend, plan, capacity };
        stage.await_an_answer()?;
        Ok(stage)
    }

    pub(crate) fn namespace(&self) -> &LabNamespace {
        &self.proxy
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Sends requests, one after the other by each connection in turn, shared out among a few threads.
    pub(crate) fn play(&self, lasts: Duration, size: Size, stop: &AtomicBool) -> Played {
        const THREADS: u32 = 4;
        let gap = Duration::from_secs_f64(f64::from(THREADS) / self.plan.requests_per_sec(size));
        let begin = Instant::now();
        let work = |number: u32| {
            let share = self.plan.client_connections.get().div_ceil(THREADS).max(1) as usize;
            let mut connections: Vec<Option<TcpStream>> = (0..share).map(|_| None).collect();
            let mut played = Played::default();
            let mut at = gap * number / THREADS;
            for turn in (0..share).cycle() {
                if at >= lasts || !wait_until(begin, at, stop) {
                    break;
                }
                played.latest = played.latest.max(begin.elapsed().saturating_sub(at));
                played.flows += 1;
                let Some(connection) = connections.get_mut(turn) else { continue };
                if self.request(connection).is_err() {
                    *connection = None;
                    played.refused += 1;
                }
                at += gap;
            }
            played
        };
        let shares = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || work(number))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        let mut played = shares.into_iter().fold(Played::default(), |sum, share| Played {
            flows: sum.flows + share.flows,
            refused: sum.refused + share.refused,
            latest: sum.latest.max(share.latest),
            ..sum
        });
        played.took = begin.elapsed();
        played
    }

    fn await_an_answer(&self) -> Result<(), Error> {
        let begin = Instant::now();
        loop {
            match self.request(&mut None) {
                Ok(()) => return Ok(()),
                Err(_) if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
                Err(answer) => {
                    let name = self.proxy.name().to_string();
                    return Err(Error::Namespace {
                        name,
                        answer: format!("nginx at {PROXY} does not answer: {answer}"),
                    });
                }
            }
        }
    }

    /// Sends a request by a connection, which is opened if it is not there, and takes the answer.
    fn request(&self, connection: &mut Option<TcpStream>) -> io::Result<()> {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            // A socket stays in the namespace in which it was made.
            None => self.clients.enter(connect).map_err(io::Error::other)??,
        };
        stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut buffer = [0; 2048];
        while !answer.ends_with(BODY.as_bytes()) {
            let length = stream.read(&mut buffer)?;
            answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
            if length == 0 || answer.len() > 8192 {
                return Err(io::Error::other("no whole answer"));
            }
            // Another answer, a 502 while the backend starts, does not end as this one does: nothing more would come.
            if answer.len() >= OK.len() && !answer.starts_with(OK) {
                return Err(io::Error::other("an answer that is no 200"));
            }
        }
        *connection = Some(stream);
        Ok(())
    }
}

/// How long a server may take to start, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

fn connect() -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::V4(PROXY), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the backend answers; nothing comes behind it.
const BODY: &str = "plimsoll-lab-answers";

/// How its answer begins.
const OK: &[u8] = b"HTTP/1.1 200 ";

fn backend_configuration() -> String {
    let port = BACKENDS[0].port();
    format!("server {{ listen {port}; location / {{ return 200 {BODY}; }} }}\n")
}

fn proxy_configuration(plan: Proxy) -> String {
    let (kept, header) = match plan.backend_connections {
        // nginx's own default: HTTP/1.0, and `Connection: close`.
        BackendConnections::OneARequest => ("", ""),
        BackendConnections::Kept => ("keepalive 64;", "proxy_http_version 1.1; proxy_set_header Connection \"\";"),
    };
    // A backend that was asked before it listened is not left alone for ten seconds, as is nginx's way.
    let backends = BACKENDS.map(|backend| format!("server {backend} max_fails=0;")).join(" ");
    format!(
        "upstream backend {{ {backends} {kept} }}\n\
         server {{ listen {PROXY}; keepalive_requests 10000000; location / {{ proxy_pass http://backend; {header} }} }}\n"
    )
}

/// An nginx in a namespace, in whose folder its files are. It ends when dropped.
#[derive(Debug)]
struct Server {
    child: Child,
}

impl Server {
    fn start(namespace: &LabNamespace, servers: &str) -> Result<Self, Error> {
        let folder = namespace.folder()?;
        let file = folder.join("nginx.conf");
        let failed = |answer: &io::Error| Error::Program {
            command: format!("nginx -c {}", file.display()),
            answer: format!("{answer}{}", needed(&answer.to_string(), "nginx")),
        };
        let place = folder.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|what| format!("{what}_temp_path {place}/{what};")).join(" ");
        // One process, in the foreground, so that there is one to end.
        let configuration = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr crit;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; {temporary}\n{servers}}}\n"
        );
        fs::write(&file, configuration).map_err(|answer| failed(&answer))?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg("stderr").arg("-p").arg(&folder).arg("-c").arg(&file);
        // Ctrl-C is for the lab alone, which ends its servers itself.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = namespace.enter(|| command.spawn())?.map_err(|answer| failed(&answer))?;
        Ok(Self { child })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
