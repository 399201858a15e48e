//! What the resolvers of programs are told that look up names.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use plimsoll_host::HostFs;
use plimsoll_model::{Census, ProgramId, Reading, Resolver, Service, Unseen, Untrusted};

/// Programs whose files are read, those with the most look-ups first.
const MOST_PROGRAMS: usize = 16;
/// A pod's file has some two hundred bytes.
const MOST_BYTES: usize = 16 << 10;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Reads the file of each program that asks for names, as that program sees it; and what refused to be read first.
pub(crate) fn resolvers(host: &HostFs, census: &Census) -> (HashMap<ProgramId, Resolver>, Option<Unseen>) {
    let mut askers = HashMap::<ProgramId, usize>::new();
    for drawn in &census.drawn {
        let asks = drawn.entry.original.service().is_some_and(Service::is_dns);
        if let Some(by) = drawn.ends.and_then(|ends| ends.client.by()).filter(|_| asks) {
            *askers.entry(by).or_default() += 1;
        }
    }
    let mut askers: Vec<_> = askers.into_iter().collect();
    askers.sort_by_key(|(by, seen)| (std::cmp::Reverse(*seen), *by));
    let mut gap = None;
    let mut told = HashMap::new();
    for (by, _) in askers.into_iter().take(MOST_PROGRAMS) {
        let Some(program) = census.program(by) else { continue };
        match read(host, program.owner.pid) {
            Ok(Some(text)) => {
                told.insert(by, plimsoll_attribute::resolver(&text));
            }
            Ok(None) => {}
            Err(unseen) => gap = gap.or(Some(unseen)),
        }
    }
    (told, gap)
}

/// `None` where there is no such file, or the process has ended.
fn read(host: &HostFs, pid: u32) -> Result<Option<String>, Unseen> {
    let started = match host.started(pid) {
        Ok(started) => started,
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(Unseen { needs: NEEDS.to_string(), ..error.unseen(Reading::Programs) }),
    };
    match started.read(Path::new(RESOLV_CONF), MOST_BYTES) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(answered) if answered.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(answered) => Err(Unseen {
            reading: Reading::Programs,
            namespace: None,
            tried: Untrusted::from_escaped(format!("read {RESOLV_CONF} of process {pid}")),
            answered: Untrusted::from(answered.to_string().as_str()),
            needs: NEEDS.to_string(),
        }),
    }
}

const NEEDS: &str = "root, or CAP_SYS_PTRACE";
