//! kube-proxy's own configuration, `KubeProxyConfiguration` of `kubeproxy.config.k8s.io/v1alpha1` (its
//! `staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go`; what becomes of it: `pkg/proxy/conntrack/sysctls.go`).

use plimsoll_model::{Sysctl, TcpState, Timeout};

use crate::change::{Place, Reasoned, Setting, Target, settings};
use crate::quote::comment;
use crate::rendered::Rendered;

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let mut fields = String::new();
    let mut flags = Vec::new();
    for setting in settings(changes) {
        match said(setting, target) {
            Ok(said) => {
                fields.push_str(&comment("  ", setting.why));
                for field in &said.fields {
                    fields.push_str(&format!("  {field}\n"));
                }
                flags.extend(said.flags);
            }
            Err(why) => rendered.leave_out(setting.sysctl, why),
        }
    }
    rendered.leave_out_rules(changes);
    if fields.is_empty() {
        return rendered;
    }
    let mut text = String::new();
    for line in [
        "Goes into the ConfigMap kube-proxy of the namespace kube-system, key config.conf. kube-proxy sets these values when it starts:",
        "kubectl -n kube-system rollout restart daemonset kube-proxy",
        "It is the last to write. Where files should decide instead: maxPerCore: 0, and 0s for each timeout.",
    ] {
        text.push_str(&comment("", line));
    }
    text.push_str("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nconntrack:\n");
    text.push_str(&fields);
    text.push_str(&comment("", "As flags, which count only without --config:"));
    for flag in &flags {
        text.push_str(&comment("", flag));
    }
    rendered.snippet(text)
}

struct Said {
    fields: Vec<String>,
    flags: Vec<String>,
}

/// How kube-proxy is told to set a value, or why it cannot be.
fn said(setting: Setting<'_>, target: &Target) -> Result<Said, &'static str> {
    if target.place != Place::Host {
        return Err("kube-proxy sets values in the namespace that it runs in, the host's");
    }
    let duration = |field: &str, flag: &str| match setting.to {
        0 => Err("0 tells kube-proxy to leave it as it is"),
        secs => Ok(Said { fields: vec![format!("{field}: {secs}s")], flags: vec![format!("--{flag}={secs}s")] }),
    };
    match setting.sysctl {
        Sysctl::CAPACITY => capacity(setting.to),
        Sysctl::BUCKETS => Err("kube-proxy only raises it, to a quarter of the limit: use modprobe.d or sysctl.d"),
        Sysctl::TCP_BE_LIBERAL if setting.to == 1 => Ok(Said {
            fields: vec!["# 1.29 and later.".to_string(), "tcpBeLiberal: true".to_string()],
            flags: vec!["--conntrack-tcp-be-liberal".to_string()],
        }),
        Sysctl::TCP_BE_LIBERAL => Err("kube-proxy can set it to 1 only; `false` leaves it as it is"),
        sysctl => match sysctl.timeout() {
            Some(Timeout::Tcp(TcpState::Established)) => {
                duration("tcpEstablishedTimeout", "conntrack-tcp-timeout-established")
            }
            Some(Timeout::Tcp(TcpState::CloseWait)) => {
                duration("tcpCloseWaitTimeout", "conntrack-tcp-timeout-close-wait")
            }
            Some(Timeout::Udp) => duration("udpTimeout", "conntrack-udp-timeout"),
            Some(Timeout::UdpStream) => duration("udpStreamTimeout", "conntrack-udp-timeout-stream"),
            _ => Err("kube-proxy has no setting for it, and leaves it alone: use sysctl.d"),
        },
    }
}

/// The limit is `maxPerCore` × processors, recently no more than 1,048,576 of that, or `min` where that is more: with 1 a
/// processor, it is `min`.
fn capacity(to: u32) -> Result<Said, &'static str> {
    if to == 0 {
        return Err("0 tells kube-proxy to leave it as it is");
    }
    if i32::try_from(to).is_err() {
        return Err("kube-proxy takes no number as large as this");
    }
    Ok(Said {
        fields: vec![
            "# The larger of the two: so it is min, on however many processors.".to_string(),
            "maxPerCore: 1".to_string(),
            format!("min: {to}"),
        ],
        flags: vec!["--conntrack-max-per-core=1".to_string(), format!("--conntrack-min={to}")],
    })
}
