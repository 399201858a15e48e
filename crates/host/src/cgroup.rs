//! What a control group's path says about whose a process is.

use plimsoll_model::Untrusted;

/// The container's id in `/proc/<pid>/cgroup`, as Docker, containerd, CRI-O and Podman write it: a run of exactly 64 hexadecimal digits.
pub(crate) fn container(cgroup: &[u8]) -> Option<Untrusted> {
    paths(cgroup).find_map(|path| believed(path).find_map(container_id)).map(Untrusted::from_bytes)
}

/// The Kubernetes pod's uid: what follows `pod` at the end of a segment of the path. In the names of systemd slices its
/// dashes are underscores (`kubepods-burstable-pod<uid>.slice`).
pub(crate) fn pod(cgroup: &[u8]) -> Option<Untrusted> {
    paths(cgroup).find_map(|path| believed(path).find_map(pod_uid)).map(|uid| {
        let dashed: Vec<u8> = uid.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect();
        Untrusted::from_bytes(&dashed)
    })
}

/// The systemd unit: the first segment that is named as one of a service or a scope. In a slice alone there is nothing that somebody
/// would know it by.
pub(crate) fn unit(cgroup: &[u8]) -> Option<Untrusted> {
    paths(cgroup).find_map(|path| believed(path).find(|segment| is_delegable(segment))).map(Untrusted::from_bytes)
}

/// The segments of a path whose names are the system's own. A service, a scope or a container may be given the folders below it
/// (systemd calls it delegation; each user's manager has it) and then calls them what it likes, also after another's container.
/// Services that run containers are believed what they call theirs.
fn believed(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_below = false;
    path.split(|byte| *byte == b'/').take_while(move |segment| {
        let is_believed = !is_below;
        is_below |= container_id(segment).is_some() || is_delegable(segment) && !RUNTIMES.contains(segment);
        is_believed
    })
}

/// systemd delegates services and scopes, never slices (systemd.resource-control(5)).
fn is_delegable(segment: &[u8]) -> bool {
    segment.ends_with(b".service") || segment.ends_with(b".scope")
}

const RUNTIMES: [&[u8]; 9] = [
    b"containerd.service",
    b"docker.service",
    b"crio.service",
    b"kubelet.service",
    b"k3s.service",
    b"k3s-agent.service",
    b"rke2-server.service",
    b"rke2-agent.service",
    b"k0scontroller.service",
];

fn container_id(segment: &[u8]) -> Option<&[u8]> {
    segment.split(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')).rev().find(|run| run.len() == 64)
}

/// A line is `hierarchy:controllers:path` (cgroups(7)); one line for version 2, one for each hierarchy of version 1.
/// The path may hold colons.
fn paths(cgroup: &[u8]) -> impl Iterator<Item = &[u8]> {
    cgroup.split(|byte| *byte == b'\n').filter_map(|line| line.splitn(3, |byte| *byte == b':').nth(2))
}

fn pod_uid(segment: &[u8]) -> Option<&[u8]> {
    let stem = segment.split(|byte| matches!(byte, b'.' | b':')).next()?;
    let at = stem.windows(3).rposition(|window| window == b"pod")?;
    let uid = stem.get(at + 3..)?;
    is_uid(uid).then_some(uid)
}

/// A UUID, or, for the pods that a node's own manifests make, 32 hexadecimal digits.
fn is_uid(uid: &[u8]) -> bool {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    match uid.len() {
        32 => uid.iter().all(u8::is_ascii_hexdigit),
        36 => uid.iter().enumerate().all(|(at, byte)| match byte {
            b'-' | b'_' => is_dash(at),
            digit => !is_dash(at) && digit.is_ascii_hexdigit(),
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1f0c3d5e7a9b2c4d6e8f0a1b3c5d7e9f1a2b3c4d5e6f708192a3b4c5d6e7f809";
    const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const UID: &str = "0d9f2c1e-6a3b-4c5d-8e7f-112233445566";

    fn read(cgroup: &str) -> (Option<String>, Option<String>) {
        let text = |found: Option<Untrusted>| found.map(|untrusted| untrusted.to_string());
        (text(container(cgroup.as_bytes())), text(pod(cgroup.as_bytes())))
    }

    #[test]
    fn every_runtime_is_understood() {
        let underscored = UID.replace('-', "_");
        for (cgroup, has_pod) in [
            (format!("0::/system.slice/docker-{ID}.scope\n"), false),
            (format!("12:pids:/docker/{ID}\n11:memory:/docker/{ID}\n0::/\n"), false),
            (format!("0::/machine.slice/libpod-{ID}.scope/container\n"), false),
            (format!("0::/docker/{ID}/docker/{OTHER}/init.scope\n"), false),
            (format!("4:memory:/kubepods/burstable/pod{UID}/{ID}\n"), true),
            (format!("0::/kubepods.slice/kubepods-pod{underscored}.slice/crio-{ID}.scope\n"), true),
            (
                format!(
                    "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{underscored}.slice/\
                     cri-containerd-{ID}.scope\n"
                ),
                true,
            ),
            (
                format!(
                    "1:name=systemd:/system.slice/containerd.service/kubepods-pod{underscored}.slice:cri-containerd:{ID}\n"
                ),
                true,
            ),
            (format!("0::/../../pod{UID}/{ID}"), true),
        ] {
            assert_eq!(read(&cgroup), (Some(ID.to_owned()), has_pod.then(|| UID.to_owned())), "{cgroup}");
        }
    }

    #[test]
    fn pods_of_manifests_have_a_uid_without_dashes() {
        let cgroup = format!("0::/kubepods/podd0f1e2d3c4b5a69788796a5b4c3d2e1f/{ID}\n");
        assert_eq!(read(&cgroup).1.as_deref(), Some("d0f1e2d3c4b5a69788796a5b4c3d2e1f"));
    }

    #[test]
    fn units_are_services_and_scopes() {
        let read = |cgroup: &[u8]| unit(cgroup).map(|unit| unit.to_string());
        assert_eq!(read(b"0::/system.slice/nginx.service\n").as_deref(), Some("nginx.service"));
        assert_eq!(read(b"3:pids:/\n0::/user.slice/user-0.slice/session-3.scope").as_deref(), Some("session-3.scope"));
        assert_eq!(read(b"0::/system.slice/x.service/inner").as_deref(), Some("x.service"));
        assert_eq!(read(b"0::/system.slice\n0::/"), None);
        let user = "0::/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(read(format!("{user}/app.slice/nginx.service\n").as_bytes()).as_deref(), Some("user@1000.service"));
    }

    /// Below what may be delegated, names are whoever's it is.
    #[test]
    fn another_containers_id_cannot_be_taken() {
        let user = "user.slice/user-1000.slice/user@1000.service";
        for cgroup in [
            format!("0::/{user}/docker-{ID}.scope\n"),
            format!("0::/{user}/system.slice/kubepods.slice/kubepods-pod{UID}.slice/crio-{ID}.scope\n"),
            format!("0::/system.slice/evil.service/docker/{ID}\n"),
            format!("0::/{user}/containerd.service/{ID}\n"),
        ] {
            assert_eq!(read(&cgroup), (None, None), "{cgroup}");
        }
        let inner = format!("0::/docker/{ID}/kubepods.slice/kubepods-pod{UID}.slice/crio-{OTHER}.scope\n");
        assert_eq!(read(&inner), (Some(ID.to_owned()), None), "the outer one");
    }

    #[test]
    fn what_only_resembles_an_id_is_none() {
        for cgroup in [
            String::new(),
            "\n::\n:".to_owned(),
            ID.to_owned(),
            format!("0:{ID}"),
            format!("0::/a{ID}"),
            format!("0::/{}", ID.replace('f', "F")),
            "0::/user.slice/user-1000.slice/pod/podium/kubepods.slice/pod\n".to_owned(),
            format!("0::/pod{}\n", UID.replace('9', "g")),
            format!("0::/pod{}\n", UID.replace('-', "0")),
        ] {
            assert_eq!(read(&cgroup), (None, None), "{cgroup:?}");
        }
        assert_eq!(container(b"0::/\xff\xfe"), None);
    }
}
