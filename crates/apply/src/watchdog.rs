//! The process that undoes what nobody confirms: in a session of its own, with no terminal, whatever becomes of the process
//! that started it.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use plimsoll_host::boottime_now;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal, setsid};

use crate::Error;
use crate::application::{Application, Phase};
use crate::files::Root;
use crate::ground::Footing;
use crate::journal::{self, now_ms};
use crate::place::Place;
use crate::record::{Because, Begun};
use crate::rollback::undo_application;
use crate::shielded::Shielded;
use crate::soak::{Watch, Watched};
use crate::state_dir::{PATIENCE, StateDir};
use crate::vigil::Vigil;

/// The internal command by which a watchdog runs.
pub const COMMAND: &str = "watchdog";

/// How often the journal is looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// How often that of a shield or a governed application is looked at, which goes on for hours. A governing process's end is noticed at once.
const GOVERNED_GLANCE: Duration = Duration::from_secs(2);
/// How long after an undo that was held, or failed, it is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long after the kernel's log was told of it, it is told again.
const SHOUT_AGAIN: Duration = Duration::from_mins(10);

/// How watchdogs are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guardian {
    /// The program that takes [`COMMAND`] and `rollback`: Plimsoll itself.
    pub program: PathBuf,
    /// Whether systemd is there to start a second one.
    pub timer: Timer,
}

/// A timer that undoes what is not confirmed, though every process was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    /// By this program, `systemd-run`.
    SystemdRun(PathBuf),
    /// There is no systemd.
    None,
}

impl Timer {
    /// What this machine has. Where `/run/systemd/system` is, systemd is the system's manager (`sd_booted(3)`).
    pub fn of_this_machine() -> Self {
        if Path::new("/run/systemd/system").is_dir() { Self::SystemdRun("systemd-run".into()) } else { Self::None }
    }
}

impl Guardian {
    /// Has a watchdog go on trying to undo what was held, or failed.
    pub fn go_on(&self, state_dir: &Path, id: u32) -> Result<(), Error> {
        match StateDir::open(state_dir)? {
            Some(folder) if !folder.watchdog_lives(id) => self.launch(&folder, id),
            _ => Ok(()),
        }
    }

    /// Starts a watchdog for an application, and waits until it watches.
    pub(crate) fn launch(&self, folder: &StateDir, id: u32) -> Result<(), Error> {
        // From the first namespace, where that is in reach: in another one its process would keep alive what is removed.
        match Place::initial() {
            Some(initial) => initial.visit(|| self.launch_here(folder, id))?,
            None => self.launch_here(folder, id),
        }
    }

    fn launch_here(&self, folder: &StateDir, id: u32) -> Result<(), Error> {
        let failed =
            |answer: String| Error::Program { command: format!("{} {COMMAND} {id}", self.program.display()), answer };
        let child = Command::new(&self.program)
            .arg(COMMAND)
            .arg(id.to_string())
            .arg("--state-dir")
            .arg(folder.path())
            .arg("--applier")
            .arg(std::process::id().to_string())
            // No folder of the caller's is kept from being unmounted.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.map_err(|error| failed(error.to_string()))?;
        let mut said = String::new();
        let heard = child.stdout.take().map_or(Ok(0), |stdout| BufReader::new(stdout).read_line(&mut said));
        match heard {
            Ok(_) if said.trim_end() == READY => {
                // Whoever lives longer than it, as a governor may, must not leave it a zombie.
                let _ = std::thread::Builder::new().name("watchdog".to_string()).spawn(move || child.wait());
                Ok(())
            }
            Ok(_) => Err(failed("it ended before it watched; nothing is written that nobody would undo".to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Has systemd undo the application too, if it is not confirmed; `None` where there is no systemd.
    pub(crate) fn schedule(&self, folder: &StateDir, begun: &Begun) -> Option<Result<(), Error>> {
        match &self.timer {
            Timer::SystemdRun(systemd_run) => Some(self.schedule_by(systemd_run, folder, begun)),
            Timer::None => None,
        }
    }

    fn schedule_by(&self, systemd_run: &Path, folder: &StateDir, begun: &Begun) -> Result<(), Error> {
        let id = begun.id;
        let failed = |answer: String| Error::Program {
            command: format!("systemd-run plimsoll rollback --if-unconfirmed {id}"),
            answer,
        };
        // After the watchdog, which is exact: this is for the case that it was killed.
        let after_ms = begun.last_deadline_ms.saturating_sub(now_ms()).saturating_add(begun.confirm_within_ms);
        let output = Command::new(systemd_run)
            .arg(format!("--on-active={}s", after_ms / 1000 + 1))
            .arg(format!("--unit=plimsoll-undo-{id}-{}", begun.last_deadline_ms))
            .arg("--collect")
            .arg(&self.program)
            .args(["rollback", "--if-unconfirmed", &id.to_string(), "--state-dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let answer = plimsoll_model::Untrusted::from_bytes(output.stderr.trim_ascii());
        Err(failed(answer.to_string()))
    }
}

const READY: &str = "watching";

/// Watches over an application until it is confirmed or undone. `applier` is the process that makes it; `stop` tells that
/// this one is to end: it undoes first.
pub fn watch(state_dir: &Path, id: u32, applier: u32, stop: &dyn Fn() -> bool) -> Result<(), Error> {
    let applier = parent(applier);
    // It fails only where it is a session's leader already.
    let _ = setsid();
    spare_me();
    let folder = StateDir::open(state_dir)?
        .ok_or_else(|| Error::Unsafe { path: state_dir.to_owned(), problem: "it is not there" })?;
    let _lives = folder.watchdog_lock(id)?;
    // That it can be undone from here.
    Footing::of(&journal::read(&folder, id)?.begun)?;
    say_ready()?;
    let because = Watchdog { folder: &folder, id, applier, stop }.until_undone();
    because.map_or(Ok(()), |because| undo_until_done(&folder, id, &because))
}

/// Asks the kernel not to end this process when memory runs out, as a table that grew may have it: then it is needed most.
fn spare_me() {
    // It takes CAP_SYS_RESOURCE; without it there is the next command, and systemd's timer.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
}

/// The parent, if it is that process still: of one that has ended the children are given to another.
fn parent(applier: u32) -> Option<OwnedFd> {
    let is_applier = |pid: &Pid| u32::try_from(pid.as_raw_pid()) == Ok(applier);
    let file = pidfd_open(getppid().filter(is_applier)?, PidfdFlags::empty()).ok()?;
    // Asked again: it may have ended, and its number been given away, before it was opened.
    getppid().filter(is_applier).map(|_| file)
}

/// Tells whoever started it, and lets go of its pipe.
fn say_ready() -> Result<(), Error> {
    let said = || -> io::Result<()> {
        let mut stdout = io::stdout();
        writeln!(stdout, "{READY}")?;
        stdout.flush()?;
        let null = OpenOptions::new().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(null)?)
    };
    said().map_err(Error::system("write to", Path::new("standard output")))
}

/// A shield that is looked after, and how often in a row a look has failed.
#[derive(Default)]
struct LookedAfter {
    vigil: Option<Vigil>,
    failures: u32,
}

struct Watchdog<'a> {
    folder: &'a StateDir,
    id: u32,
    /// The process that applies; `None` where it has ended.
    applier: Option<OwnedFd>,
    stop: &'a dyn Fn() -> bool,
}

impl Watchdog<'_> {
    /// Why it is to be undone; `None` when it is confirmed, or undone by somebody else.
    fn until_undone(&self) -> Option<Because> {
        let mut told = Told::default();
        let mut shield = LookedAfter::default();
        loop {
            if (self.stop)() {
                return Some(Because::Interrupted);
            }
            let application = match journal::read(self.folder, self.id) {
                Ok(application) => application,
                // It is read again: somebody may put it back. Meanwhile nobody can confirm, and nobody undoes.
                Err(error) => {
                    told.shout(self.id, &error.to_string());
                    // It may come back by any way: no one notification tells of all.
                    thread::sleep(GLANCE);
                    continue;
                }
            };
            match application.phase {
                Phase::Ended | Phase::Confirmed(_) => return None,
                // Others undo it, but may be killed at that: whoever has the lock is waited for.
                Phase::Undoing => return Some(application.undone_because.last().cloned().unwrap_or(Because::Asked)),
                Phase::Applying if self.applier_is_lost(&application) => {
                    return Some(if application.is_governed() { Because::GovernorLost } else { Because::ApplierLost });
                }
                Phase::Applying => {}
                Phase::Awaiting { deadline_ms } if now_ms() >= deadline_ms => return Some(application.when_over()),
                Phase::Awaiting { deadline_ms } => {
                    self.look_after(&application, &mut shield);
                    if let Some(because) = self.soak(&application, deadline_ms) {
                        return Some(because);
                    }
                }
            }
        }
    }

    /// Whether the process that applies has ended. One that is not done long after it should be is ended here: it was
    /// stopped (Ctrl-Z), or hangs.
    fn applier_is_lost(&self, application: &Application) -> bool {
        let Some(applier) = &self.applier else { return true };
        let pause = if application.is_governed() { GOVERNED_GLANCE } else { GLANCE };
        let pause = Timespec::try_from(pause).ok();
        // A signal ends the pause.
        let ended = poll(&mut [PollFd::new(applier, PollFlags::IN)], pause.as_ref()).is_ok_and(|ready| ready > 0);
        if ended {
            // It may have come to its end between the reading of the journal and this.
            return journal::read(self.folder, self.id).is_ok_and(|now| now.phase == Phase::Applying);
        }
        if now_ms() >= application.begun.last_deadline_ms {
            // Where it has ended just now there is nothing to end.
            let _ = pidfd_send_signal(applier, Signal::KILL);
        }
        false
    }

    /// Takes a shield back to shadow where it hits too many, unless the command that has enforced it looks after it.
    fn look_after(&self, application: &Application, after: &mut LookedAfter) {
        let Some(max_collateral) = application.max_collateral else {
            *after = LookedAfter::default();
            return;
        };
        let Some(shielded) = Shielded::of_watchdog(self.folder, application) else { return };
        let Ok(_claim) = shielded.vigil_lock(Duration::ZERO) else { return };
        let mut look = || -> Result<Option<String>, Error> {
            let vigil = match &mut after.vigil {
                Some(vigil) => vigil,
                none => none.insert(Vigil::begin(&shielded)?),
            };
            Ok(vigil.look_again(max_collateral)?.why_withdrawn(max_collateral).map(|why| why.to_string()))
        };
        let why = match look() {
            Ok(why) => {
                after.failures = 0;
                why
            }
            Err(error) => {
                after.failures += 1;
                (after.failures > Vigil::MOST_FAILURES)
                    .then(|| format!("whom it hits could not be seen any more: {error}"))
            }
        };
        if let Some(why) = why {
            // What fails is tried again at the next look.
            let _ = shielded.to_shadow(Some(why), &|_, _| {});
        }
    }

    /// Watches for a while what the changes do, until something else is to be looked at.
    fn soak(&self, application: &Application, deadline_ms: u64) -> Option<Because> {
        let left = Duration::from_millis(deadline_ms.saturating_sub(now_ms()));
        let begun = &application.begun;
        // Found anew each time: what is held open meanwhile cannot be removed.
        let footing = begun.baseline.as_ref().and_then(|_| Footing::of(begun).ok());
        let (Some(baseline), Some(live)) = (&begun.baseline, footing.as_ref().and_then(Footing::live)) else {
            // Nothing can be watched; the journal is looked at again, and the deadline comes.
            let glance = if application.is_shield() { GOVERNED_GLANCE } else { GLANCE };
            thread::sleep(glance.min(left));
            return None;
        };
        let probe = begun.probe.as_deref();
        let watch = Watch { live, probe, baseline: Some(baseline), harm: &|| Ok(None) };
        let over = || {
            let phase = journal::read(self.folder, self.id).map(|application| application.phase);
            (self.stop)() || phase.is_ok_and(|phase| !matches!(phase, Phase::Awaiting { .. }))
        };
        match watch.run(Duration::from_millis(begun.soak_ms).min(left), &over) {
            Ok(Watched::Worse(worse)) => Some(Because::Worse(worse)),
            Ok(Watched::Fine(_) | Watched::Stopped) => None,
            // What cannot be read for the moment is no reason to undo; the deadline comes.
            Err(_) => {
                thread::sleep(GLANCE.min(left));
                None
            }
        }
    }
}

/// Undoes, again and again until nothing is left that is ours.
fn undo_until_done(folder: &StateDir, id: u32, because: &Because) -> Result<(), Error> {
    let mut told = Told::default();
    loop {
        let left = match once_more(folder, id, because) {
            Ok(None) => return Ok(()),
            Ok(Some(left)) => left,
            // Somebody else undoes it, confirms it, or is at something else.
            Err(Error::Busy { .. }) => continue,
            Err(error) => error.to_string(),
        };
        told.shout(id, &left);
        // What holds it (entries above the old limit, a disk that is full) tells nobody when it is over.
        thread::sleep(RETRY);
    }
}

/// Tries to undo what is left, and says what is left then, if anything is.
fn once_more(folder: &StateDir, id: u32, because: &Because) -> Result<Option<String>, Error> {
    let _lock = folder.lock(PATIENCE)?;
    // Confirmed or undone while the lock was waited for.
    if matches!(journal::read(folder, id)?.phase, Phase::Ended | Phase::Confirmed(_)) {
        return Ok(None);
    }
    let done = undo_application(folder, &Root::default(), id, because.clone(), &|_, _| {})?.application;
    if done.phase == Phase::Ended {
        return Ok(None);
    }
    let left: Vec<_> = done.remaining().into_iter().map(ToString::to_string).collect();
    Ok(Some(left.join("; ")))
}

/// When the kernel's log, which everybody keeps, was told what is not undone: there is no terminal.
#[derive(Default)]
struct Told(Option<Duration>);

impl Told {
    /// Tells it, unless it was told a while ago: by the time and not by the words, which hold counts that change with every attempt.
    fn shout(&mut self, id: u32, left: &str) {
        if self.0.is_some_and(|told| boottime_now().saturating_sub(told) < SHOUT_AGAIN) {
            return;
        }
        self.0 = Some(boottime_now());
        // <4> is a warning. The kernel cuts lines at about a thousand bytes; who may not write there is not heard.
        let line = format!("<4>plimsoll: application {id} is not wholly undone, and tried again: {left}\n");
        let _ = OpenOptions::new().write(true).open("/dev/kmsg").and_then(|mut log| log.write_all(line.as_bytes()));
    }
}
