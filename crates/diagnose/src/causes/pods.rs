//! Whose the pods at the ends of a part's entries are, as Kubernetes says: also of flows that only pass through this machine.

use plimsoll_model::{Entry, Evidence, Pod};

use super::part::{Part, tally};
use crate::evidence::number;
use crate::words::percent;

/// Values that are listed.
const LISTED: usize = 3;

/// The entries by Kubernetes' namespaces and by workloads; nothing where no pod is known at an end. An entry between two counts for both.
pub(super) fn evidence(part: &Part<'_>) -> Vec<Evidence> {
    let Some(around) = part.around() else { return Vec::new() };
    let at_ends = |entry: &Entry| {
        let cluster = &around.cluster;
        let backend = || cluster.backend(entry.reply.source_service()?);
        [cluster.pod(entry.original.source), cluster.pod(entry.reply.source).or_else(backend)]
    };
    let ends: Vec<[Option<&Pod>; 2]> = part.drawn.iter().map(|drawn| at_ends(&drawn.entry)).collect();
    let lines = [
        line("kubernetes_namespaces", "by Kubernetes namespace", &ends, |pod| pod.namespace.to_string()),
        line("kubernetes_workloads", "by workload", &ends, workload),
    ];
    lines.into_iter().flatten().collect()
}

/// `Deployment shop/web`; of a pod of another node `pod shop/web-1`.
fn workload(pod: &Pod) -> String {
    match &pod.workload {
        Some(workload) => format!("{} {}/{}", workload.kind, pod.namespace, workload.name),
        None => format!("pod {pod}"),
    }
}

fn line(key: &'static str, what: &str, ends: &[[Option<&Pod>; 2]], name: impl Fn(&Pod) -> String) -> Option<Evidence> {
    let names: Vec<String> = ends
        .iter()
        .flat_map(|[client, server]| {
            let [client, server] = [client.map(&name), server.map(&name)];
            let server = server.filter(|server| client.as_ref() != Some(server));
            [client, server].into_iter().flatten()
        })
        .collect();
    let tally = tally(names.iter().map(String::as_str));
    let share = |seen: usize| percent(seen as f64 / ends.len() as f64);
    let listed: Vec<_> = tally.iter().take(LISTED).map(|(name, seen)| format!("{name} {}", share(*seen))).collect();
    let more = match tally.len() {
        few if few <= LISTED => String::new(),
        many => format!("; {many} in all among the {} looked at", ends.len()),
    };
    (!tally.is_empty()).then(|| number(key, tally.len() as f64, format!("{what}: {}{more}", listed.join(", "))))
}
