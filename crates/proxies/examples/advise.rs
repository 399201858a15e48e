//! Reads a proxy's configuration and says what is to be done about new connections towards a server:
//!
//! ```text
//! cargo run -p plimsoll-proxies --example advise -- nginx /etc/nginx/nginx.conf 192.0.2.10:8080 800
//! ```
//!
//! The last argument is their number a second; `TIME_WAIT` is taken to be two minutes.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;

use plimsoll_model::{Interval, Protocol, Service};
use plimsoll_proxies::{Bounded, Churn, Files, Limits, advise, envoy, haproxy, nginx};

struct Disk;

impl Files for Disk {
    fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(file)?.take(at_most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn names(&self, folder: &Path, _: usize) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, file, towards, per_sec] = arguments.as_slice() else {
        return Err("give a program (nginx, haproxy, envoy), a file, ADDRESS:PORT, and new connections a second".into());
    };
    let file = Path::new(file);
    let bounded = |limits| Bounded::new(&Disk, limits, &|| false);
    let configuration = match program.as_str() {
        "nginx" => nginx::read(file, &mut bounded(Limits::ONCE), None)?,
        "haproxy" => haproxy::read([file], &mut bounded(Limits::ONCE), None)?,
        "envoy" => envoy::read(file, &mut bounded(Limits::DUMP))?,
        other => return Err(format!("{other}: there are nginx, haproxy and envoy").into()),
    };
    let towards: SocketAddr = towards.parse()?;
    let towards = Service { address: towards.ip(), protocol: Protocol::TCP, port: towards.port() };
    let churn = Churn { towards, new_per_sec: Interval::exact(per_sec.parse()?), time_wait_secs: 120 };
    for gap in &configuration.gaps {
        println!("not understood: {gap}");
    }
    for advice in advise(&[configuration], &[churn], &resolve) {
        println!("{advice}");
    }
    Ok(())
}

/// The addresses of a name, as this host finds them.
fn resolve(name: &str) -> Vec<IpAddr> {
    (name, 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect()).unwrap_or_default()
}
