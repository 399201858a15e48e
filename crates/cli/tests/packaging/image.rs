//! The container image, run as a root file system with no more than the daemon set has. Needs root.
//!
//! The image is of the program that the other tests run, with its libraries: to link it anew takes minutes where features differ.
//! The one that is shipped is tried in the same way by `PLIMSOLL_IMAGE=FOLDER`, after `scripts/image FOLDER`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll_lab::{LabNamespace, mixed_entries};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::watching::{ADDRESS, PATIENCE, Running, await_that, figure, get};
use crate::support::{PLIMSOLL, Run, namespace};

const MANIFESTS: &str = include_str!("../../../../packaging/kubernetes/base/plimsoll.yaml");

/// Runs a program in a root file system as the daemon set's container has it: read-only but for the folder that its state is in, with the node's
/// processes and named namespaces, `/proc/sys` read-only, and these capabilities alone.
const CONTAINER: &str = r#"
set -eu
root=$1 keep=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /run/netns "$root/run/netns"
mount -t tmpfs -o mode=1777 tmpfs "$root/var/lib"
drop=$(capsh --print | sed -n 's/^Bounding set =//p' | tr , '\n' | grep -vxF "$(echo "$keep" | tr , '\n')" | paste -sd, -)
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
exec capsh --chroot="$root" --no-new-privs --drop="$drop" --shell=/usr/bin/plimsoll -- "$@"
"#;

/// An image, unpacked; a namespace that is the pod's; and one that is of the node.
struct Scene {
    folder: TempDir,
    pod: LabNamespace,
    other: LabNamespace,
}

impl Scene {
    fn new() -> Self {
        let pod = LabNamespace::create().unwrap();
        let other = LabNamespace::tracking().unwrap();
        other.fill(mixed_entries(500)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let image = std::env::var("PLIMSOLL_IMAGE").map_or_else(|_| made(&folder.path().join("image")), PathBuf::from);
        unpack(&image, &folder.path().join("root"));
        Self { folder, pod, other }
    }

    fn root(&self) -> String {
        self.folder.path().join("root").to_str().unwrap().to_string()
    }

    /// `check --json` of the node's other namespace, and its exit code.
    fn check(&self, capabilities: &[String]) -> (i32, Value) {
        let (root, kept) = (self.root(), capabilities.join(","));
        let arguments = ["check", "--json", "--interval", "0", "--netns", self.other.name()];
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.pod.name()]).args(contained(&root, &kept, &arguments));
        let run = Run::of(command);
        assert!(run.stderr.is_empty(), "{run:?}");
        (run.code, run.json())
    }
}

/// What runs the program in the container.
fn contained<'a>(root: &'a str, capabilities: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["unshare", "--mount", "--propagation", "private", "sh", "-c", CONTAINER, "sh"];
    words.extend([root, capabilities]);
    words.extend(arguments);
    words
}

#[test]
fn the_image_runs_with_the_rights_of_the_daemon_set() {
    let scene = Scene::new();
    each_right_shows_what_is_lost_without_it(&scene);
    it_serves_metrics(&scene);
}

/// As docs/kubernetes.md has it.
fn each_right_shows_what_is_lost_without_it(scene: &Scene) {
    let all = capabilities();
    let (code, document) = scene.check(&all);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(namespace(&document, scene.other.name())["occupancy"], 500, "{document:#}");
    assert!(namespace(&document, scene.other.name())["census"].is_object(), "{document:#}");
    assert_eq!(unseen(&document), ["kernel_log", "lasting"], "{document:#}");

    for (without, lost) in [
        ("cap_net_admin", &["entries", "kernel_log", "lasting"][..]),
        ("cap_sys_admin", &["kernel_log", "lasting", "namespace", "other_trackers", "timeouts"]),
        ("cap_sys_ptrace", &["kernel_log", "lasting", "writers"]),
    ] {
        let fewer: Vec<_> = all.iter().filter(|name| *name != without).cloned().collect();
        assert_eq!(fewer.len() + 1, all.len(), "the daemon set does not add {without}");
        let (_, document) = scene.check(&fewer);
        assert_eq!(unseen(&document), lost, "without {without}: {document:#}");
    }
}

fn it_serves_metrics(scene: &Scene) {
    scene.pod.run(&["ip", "link", "set", "lo", "up"]).unwrap();
    let (root, kept) = (scene.root(), capabilities().join(","));
    let arguments = arguments();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut daemon = Running::begin(&scene.pod, &contained(&root, &kept, &arguments));
    daemon.await_line("reading every", 1);
    let entries = format!("plimsoll_entries{{netns=\"{}\"}}", scene.other.name());
    let shown = || get(&scene.pod, "/metrics").and_then(|metrics| figure(&metrics, &entries));
    await_that(&format!("the node's entries in {PATIENCE:?}"), || shown() == Some(500.0));
    assert!(daemon.end_by("-TERM").success(), "{:#?}", daemon.said());
}

/// An image of the program that is tested, without what is only for debuggers, and of its libraries.
fn made(image: &Path) -> PathBuf {
    let program = image.with_extension("stripped");
    succeeds(Command::new("strip").arg("-o").arg(&program).arg(PLIMSOLL));
    let libraries = succeeds(Command::new("ldd").arg(PLIMSOLL));
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/image");
    succeeds(Command::new(script).arg(image).arg("--of").arg(&program).args(libraries));
    image.to_owned()
}

/// Unpacks an image as its specification says, and holds each hash against what it is of.
fn unpack(image: &Path, root: &Path) {
    let layout = json(&fs::read(image.join("oci-layout")).unwrap());
    assert_eq!(layout["imageLayoutVersion"], "1.0.0");
    let index = json(&fs::read(image.join("index.json")).unwrap());
    let manifest = json(&fs::read(blob(image, &index["manifests"][0])).unwrap());
    let configuration = json(&fs::read(blob(image, &manifest["config"])).unwrap());
    assert_eq!(configuration["config"]["Entrypoint"], serde_json::json!(["/usr/bin/plimsoll"]));
    let [layer] = manifest["layers"].as_array().unwrap().as_slice() else { panic!("{manifest:#}") };
    let layer = blob(image, layer);
    let unpacked = succeeds(Command::new("sh").args(["-c", "gzip -dc \"$1\" | sha256sum", "sh"]).arg(&layer));
    let difference = configuration["rootfs"]["diff_ids"][0].as_str().unwrap();
    assert_eq!(difference.strip_prefix("sha256:"), unpacked.split_whitespace().next());
    succeeds(Command::new("tar").args(["-xzf"]).arg(&layer).arg("-C").arg(root));
}

/// The file of a descriptor, if it is what the descriptor says.
fn blob(image: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let path = image.join("blobs/sha256").join(digest);
    assert_eq!(fs::metadata(&path).unwrap().len(), descriptor["size"].as_u64().unwrap());
    assert!(succeeds(Command::new("sha256sum").arg(&path)).starts_with(digest));
    path
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The capabilities that the daemon set adds.
fn capabilities() -> Vec<String> {
    let added = MANIFESTS.lines().find_map(|line| line.trim().strip_prefix("add: [")?.strip_suffix(']')).unwrap();
    added.split(", ").map(|name| format!("cap_{}", name.to_lowercase())).collect()
}

/// The daemon set's arguments, where the pod's address is that on which tests ask.
fn arguments() -> Vec<String> {
    let lines = MANIFESTS.lines().skip_while(|line| line.trim() != "args:").skip(1);
    let arguments: Vec<_> = lines.map_while(|line| line.trim().strip_prefix("- ")).collect();
    assert_eq!(arguments.first(), Some(&"watch"));
    let address = ADDRESS.split_once(':').unwrap().0;
    arguments.iter().map(|argument| argument.replace("$(POD_IP)", address)).collect()
}

/// What is unseen, by its name in the document.
fn unseen(document: &Value) -> Vec<&str> {
    let mut readings: Vec<_> =
        document["unseen"].as_array().unwrap().iter().map(|gap| gap["reading"].as_str().unwrap()).collect();
    readings.sort_unstable();
    readings.dedup();
    readings
}
