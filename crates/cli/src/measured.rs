//! What a recording says of timeouts, for people.

use anstyle::Style;
use plimsoll_diagnose::words::{duration, grouped, rounded};
use plimsoll_model::Timeout;
use plimsoll_plan::{Compared, Measured, MeasuredService, MeasuredTimeout, Rails, Value};

use crate::columns::Columns;
use crate::wrap::paragraph;

/// Which values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Those that decide, and some beside them.
    Chosen,
    /// All.
    All,
}

/// Timeouts of which fewer entries at a time could be saved are told in a line.
const WORTH_A_TABLE: f64 = 1.0;

/// What a recording says of timeouts.
pub(crate) fn text(measured: &Measured, detail: Detail) -> String {
    let bold = Style::new().bold();
    let mut text = format!("\n{bold}Timeouts, measured{bold:#}\n");
    let mut basis = format!(
        "By {} silences within {}. \"Killed\" is the share, of those flows that ever idle beyond the guard, whose next packet \
         would find no entry: fitted on the first two thirds of the time, counted again in the last (\"later\"). \"Not known\" is the share \
         of which the recording does not tell; it counts as killed. \"At most\" holds at 95 % for \
         each service, whatever the others are; {} % are borne, which takes about {} such flows of different peers without a kill. \
         Nothing is known of silences longer than the timeout in force.",
        grouped(measured.silences as u64),
        duration(rounded(measured.lasted_secs)),
        measured.most_false_kills * 100.0,
        grouped(measured.flows_that_suffice)
    );
    if measured.rails == Rails::AreCrossed {
        basis.push_str(
            " Guard rails are crossed: for a value below the guard, those flows count that idle beyond the value.",
        );
    }
    if measured.one_in > 1 {
        basis.push_str(&format!(" Of all flows one in {} was looked at.", measured.one_in));
    }
    text.push_str(&paragraph("  ", &basis));
    let (worth, others): (Vec<_>, Vec<_>) = measured.timeouts.iter().partition(|timeout| is_worth_a_table(timeout));
    for timeout in worth {
        text.push_str(&of_timeout(timeout, detail));
    }
    let (below, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|timeout| timeout.guard.secs >= timeout.in_force_secs);
    for timeout in below {
        let words = format!(
            "{} of {} is not judged: {} is the least that is recommended.",
            short(timeout.timeout),
            duration(timeout.in_force_secs.into()),
            duration(timeout.guard.secs.into())
        );
        text.push_str(&paragraph("\n  ", &words));
    }
    if !others.is_empty() {
        let names: Vec<_> = others.iter().map(|timeout| short(timeout.timeout)).collect();
        text.push_str(&paragraph("\n  ", &format!("No entry would be saved by a lower {}.", names.join(", "))));
    }
    text.push_str(&side_by_side(&measured.compared));
    text
}

fn is_worth_a_table(timeout: &MeasuredTimeout) -> bool {
    timeout.values.iter().any(|value| value.saved_entries >= WORTH_A_TABLE)
}

fn of_timeout(timeout: &MeasuredTimeout, detail: Detail) -> String {
    let bold = Style::new().bold();
    let guard = match &timeout.guard.rail {
        Some(rail) => format!("guard {} ({})", duration(timeout.guard.secs.into()), rail.source),
        None => format!("no guard rail binds; flows count that idle beyond {} s", timeout.guard.secs),
    };
    let mut text = format!(
        "\n  {bold}{}{bold:#}: {} in force; {guard}\n",
        short(timeout.timeout),
        duration(timeout.in_force_secs.into())
    );
    let shown: Vec<_> = timeout.values.iter().filter(|value| is_shown(value, timeout, detail)).collect();
    let mut columns = Columns::new(shown.len());
    let mut column =
        |head: &str, cell: &dyn Fn(&Value) -> String| columns.push(head, shown.iter().map(|value| cell(value)));
    column("at", &|value| {
        let mark = if Some(value.secs) == timeout.recommended.secs { "* " } else { "" };
        format!("{mark}{}", duration(value.secs.into()))
    });
    column("entries fewer", &|value| grouped(rounded(value.saved_entries)));
    column("killed", &|value| share(value.seen_rate()));
    column("not known", &|value| share(value.not_known_rate));
    column("at most", &|value| share(value.worst_upper));
    column("later", &|value| share(value.later_rate));
    column("worst", &|value| value.worst_service.map_or("-".to_string(), |service| service.to_string()));
    column("replayed: entries", &|value| {
        value.replayed.map_or("-".to_string(), |replayed| grouped(rounded(replayed.mean_entries)))
    });
    column("picked up", &|value| {
        value.replayed.map_or("-".to_string(), |replayed| grouped(replayed.false_kills.picked_up))
    });
    column("reset", &|value| value.replayed.map_or("-".to_string(), |replayed| grouped(replayed.false_kills.reset)));
    column("stalled", &|value| {
        value.replayed.map_or("-".to_string(), |replayed| grouped(replayed.false_kills.black_holed))
    });
    text.push_str(&columns.text("  "));
    let recommended = &timeout.recommended;
    let verdict = match recommended.secs {
        Some(secs) => format!("{}: {}", duration(secs.into()), recommended.because),
        None => format!("stay at {}: {}", duration(timeout.in_force_secs.into()), recommended.because),
    };
    text.push_str(&paragraph("    recommended: ", &verdict));
    for policy in &recommended.policies {
        let words = format!(
            "{} ({} entries fewer): {}",
            duration(policy.secs.into()),
            grouped(rounded(policy.saved_entries)),
            policy.because
        );
        text.push_str(&paragraph(&format!("    for {} alone: ", policy.service), &words));
    }
    text.push_str(&by_service(&timeout.services));
    text
}

/// Below the guard nothing is recommended; what profiles have is shown side by side.
fn is_shown(value: &Value, timeout: &MeasuredTimeout, detail: Detail) -> bool {
    let recommended = &timeout.recommended;
    detail == Detail::All
        || value.replayed.is_some()
        || Some(value.secs) == recommended.secs
        || Some(value.secs) == recommended.lowest_secs
}

fn by_service(services: &[MeasuredService]) -> String {
    let mut columns = Columns::new(services.len());
    let mut column =
        |head: &str, cell: &dyn Fn(&MeasuredService) -> String| columns.push(head, services.iter().map(cell));
    column("service", &|service| service.service.to_string());
    column("silences", &|service| grouped(service.silences as u64));
    column("flows", &|service| grouped(service.flows as u64));
    column("peers", &|service| grouped(service.peers as u64));
    let kills = |service: &MeasuredService| service.values.iter().find_map(|value| value.fitted);
    column("idle for long", &|service| kills(service).map_or("0".to_string(), |of| grouped(rounded(of.long_flows))));
    column("silences so long", &|service| kills(service).map_or("0".to_string(), |of| grouped(rounded(of.long_gaps))));
    column("count as", &|service| kills(service).map_or("0".to_string(), |of| grouped(rounded(of.effective_flows))));
    column("known up to", &|service| duration(rounded(service.known_until_secs)));
    columns.text("  ")
}

fn side_by_side(compared: &[Compared]) -> String {
    if compared.is_empty() {
        return String::new();
    }
    let bold = Style::new().bold();
    let mut columns = Columns::new(compared.len());
    let mut column = |head: &str, cell: &dyn Fn(&Compared) -> String| columns.push(head, compared.iter().map(cell));
    column("timeouts", &|of| of.name.clone());
    column("entries, mean", &|of| grouped(rounded(of.replayed.mean_entries)));
    column("peak", &|of| grouped(rounded(of.replayed.peak_entries)));
    column("picked up", &|of| grouped(of.replayed.false_kills.picked_up));
    column("reset", &|of| grouped(of.replayed.false_kills.reset));
    column("stalled", &|of| grouped(of.replayed.false_kills.black_holed));
    format!("\n{bold}Side by side, the recording replayed{bold:#}\n{}", columns.text(""))
}

/// A share that may be far below a hundredth.
fn share(share: Option<f64>) -> String {
    match share {
        None => "not known".to_string(),
        Some(0.0) => "0%".to_string(),
        Some(share) if share < 0.0001 => format!("{:.4}%", share * 100.0),
        Some(share) if share < 0.01 => format!("{:.3}%", share * 100.0),
        Some(share) => format!("{:.1}%", share * 100.0),
    }
}

/// A timeout's name without what all have in common.
pub(crate) fn short(timeout: Timeout) -> &'static str {
    timeout.sysctl().map_or("a timeout", |name| name.trim_start_matches("nf_conntrack_"))
}
