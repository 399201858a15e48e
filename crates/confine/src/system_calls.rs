//! System calls that are refused with EPERM: seccomp(2).

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::error::Error;
use crate::report::Held;

/// Calls by which a process takes over another, the kernel, the clock or the file system. `setns`, `bpf`, `syslog` and
/// `unshare` are not among them: other network namespaces are entered, and what the kernel knows is read.
const REFUSED: &[libc::c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The kernel.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    // Clock and names.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // The file system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_personality,
];

/// Calls that not every architecture has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] =
    &[libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// Installs the filter. Under another architecture's numbers the kernel kills the process.
pub(crate) fn refuse() -> Result<Held, Error> {
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Held::Not(format!("there is no filter for {}", std::env::consts::ARCH)));
    };
    let rules: BTreeMap<i64, _> = numbers().map(|number| (number, Vec::new())).collect();
    let answer = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)
        .and_then(BpfProgram::try_from)
        .map_err(|answer| Error::SystemCalls { answer: answer.into() })?;
    match apply_filter(&filter) {
        Ok(()) => Ok(Held::Wholly),
        Err(seccompiler::Error::Prctl(answer)) if answer.raw_os_error() == Some(libc::EINVAL) => {
            Ok(Held::Not("this kernel has no seccomp filters".to_owned()))
        }
        Err(seccompiler::Error::Seccomp(answer)) if answer.raw_os_error() == Some(libc::EPERM) => {
            Ok(Held::Not("a filter that is in force forbids another one".to_owned()))
        }
        Err(answer) => Err(Error::SystemCalls { answer }),
    }
}

fn numbers() -> impl Iterator<Item = i64> {
    REFUSED.iter().chain(REFUSED_HERE).copied().chain(x32())
}

/// The same calls under the numbers of x32, which on an x86-64 kernel have the same architecture: a bit more, and some of
/// their own from 512 on.
#[cfg(target_arch = "x86_64")]
fn x32() -> impl Iterator<Item = i64> {
    const X32: i64 = 0x4000_0000;
    REFUSED.iter().chain(REFUSED_HERE).copied().chain(512..548).map(|number| number | X32)
}

#[cfg(not(target_arch = "x86_64"))]
fn x32() -> impl Iterator<Item = i64> {
    std::iter::empty()
}
