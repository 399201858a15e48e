//! A daemon set whose init container sets sysctls in the host's network namespace, on every node where it is started.

use plimsoll_model::Sysctl;

use crate::change::{Place, Reasoned, Target, settings};
use crate::quote::{comment, indented};
use crate::rendered::Rendered;

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let mut commands = String::from("set -eu\n");
    for setting in settings(changes) {
        if let Place::Other(name) = &target.place {
            rendered.leave_out(
                setting.sysctl,
                format!("{name} is a namespace of one host's, and a daemon set is for each host"),
            );
            continue;
        }
        let path = setting.sysctl.path();
        commands.push_str(&comment("", setting.why));
        commands.push_str(&format!("echo {} >/proc/sys/{path}\n", setting.to));
        if setting.sysctl != Sysctl::BUCKETS {
            commands.push_str(&format!("[ \"$(cat /proc/sys/{path})\" = {} ]\n", setting.to));
        }
        commands.push_str(&format!("echo '{} = {}'\n", setting.sysctl, setting.to));
    }
    rendered.leave_out_rules(changes);
    if !commands.contains("/proc/sys/") {
        return rendered;
    }
    let mut text = String::new();
    for line in [
        "Sets sysctls on each node when the pod starts there. A node whose kube-proxy is restarted later is set back by it, where \
         kube-proxy sets the same: use its own configuration for those.",
        "The container is privileged: /proc/sys is read-only in any other. Pin both images to what your registry has.",
    ] {
        text.push_str(&comment("", line));
    }
    text.push_str(&HEAD.replace("COMMANDS\n", &indented("          ", &commands)));
    rendered.snippet(text)
}

const HEAD: &str = "\
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: plimsoll-sysctls
  namespace: kube-system
  labels: {app.kubernetes.io/name: plimsoll-sysctls}
spec:
  selector:
    matchLabels: {app.kubernetes.io/name: plimsoll-sysctls}
  template:
    metadata:
      labels: {app.kubernetes.io/name: plimsoll-sysctls}
    spec:
      hostNetwork: true
      automountServiceAccountToken: false
      nodeSelector: {kubernetes.io/os: linux}
      tolerations:
      - operator: Exists
      initContainers:
      - name: set
        image: busybox:stable
        securityContext:
          privileged: true
        command: [sh, -c]
        args:
        - |
COMMANDS
      containers:
      - name: wait
        image: registry.k8s.io/pause:3.10
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
";
