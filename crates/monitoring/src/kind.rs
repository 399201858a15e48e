//! The files by name.

use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $path:literal $description:literal,)*) => {
        /// A file for a monitoring system.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every file.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Where it stands in `packaging`.
            pub const fn path(self) -> &'static str {
                match self {
                    $(Self::$kind => $path,)*
                }
            }

            /// What it is, in a sentence.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$kind => $description,)*
                }
            }

            /// All of it.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$kind => include_str!(concat!("../../../packaging/", $path)),)*
                }
            }
        }
    };
}

kinds! {
    /// Rules for Prometheus.
    Prometheus "prometheus" "prometheus/plimsoll.rules.yml"
        "Recording and alerting rules for Prometheus, by Plimsoll's metrics, node_exporter's, or both.",
    /// Tests of those rules.
    PrometheusTests "prometheus-tests" "prometheus/plimsoll.rules.test.yml"
        "Tests of these rules for promtool, for whoever changes them.",
    /// A dashboard for Grafana.
    Grafana "grafana" "grafana/plimsoll.json"
        "A dashboard for Grafana 10 and newer, by Plimsoll's metrics or node_exporter's.",
    /// A monitor for node-problem-detector.
    NodeProblemDetector "node-problem-detector" "node-problem-detector/plimsoll-monitor.json"
        "A custom plugin monitor for Kubernetes' node-problem-detector: two conditions of a node.",
    /// The plugin that the monitor runs.
    NodeProblemDetectorPlugin "node-problem-detector-plugin" "node-problem-detector/plimsoll-check"
        "The shell script that this monitor runs.",
    /// Manifests for Kubernetes.
    Kubernetes "kubernetes" "kubernetes/base/plimsoll.yaml"
        "Manifests for Kubernetes: `plimsoll watch` on each node, which reads and changes nothing.",
    /// Objects of the Prometheus operator.
    PrometheusOperator "prometheus-operator" "kubernetes/monitoring/plimsoll.yaml"
        "A ServiceMonitor, and the rules for Prometheus as a PrometheusRule.",
    /// A plugin for kubectl.
    KubectlPlugin "kubectl-plugin" "kubernetes/kubectl-plimsoll"
        "A plugin for kubectl, a shell script: plimsoll check on a node of a cluster.",
    /// A command for NRPE.
    Nrpe "nrpe" "nagios/nrpe.cfg"
        "A command for NRPE, on the host that is watched.",
    /// Objects for Nagios.
    Nagios "nagios" "nagios/plimsoll.cfg"
        "A command and a service template for Nagios, which asks NRPE.",
    /// Objects for Icinga 2.
    Icinga "icinga" "icinga/plimsoll.conf"
        "A check command and a service for Icinga 2, run by its agent.",
    /// A template for Zabbix.
    Zabbix "zabbix" "zabbix/plimsoll.yaml"
        "A template for Zabbix 6.0 and newer: items of each network namespace, with triggers.",
}

/// Not the name of such a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchKind;

impl fmt::Display for NoSuchKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        write!(f, "there are no rules for that; there are {}", names.join(", "))
    }
}

impl std::error::Error for NoSuchKind {}

impl FromStr for Kind {
    type Err = NoSuchKind;

    fn from_str(text: &str) -> Result<Self, NoSuchKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(NoSuchKind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
        assert!("cacti".parse::<Kind>().unwrap_err().to_string().ends_with("nagios, icinga, zabbix"));
    }

    #[test]
    fn each_is_described_in_a_sentence_and_ends_with_a_line() {
        for kind in Kind::ALL {
            assert!(kind.description().ends_with('.'), "{kind}");
            assert!(kind.text().len() > 100 && kind.text().ends_with('\n'), "{kind}");
        }
    }
}
