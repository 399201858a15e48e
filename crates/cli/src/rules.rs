//! `plimsoll rules`: what monitoring systems need to use Plimsoll.

use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use plimsoll_monitoring::Kind;

use crate::arguments::Color;
use crate::output;

#[derive(Args, Debug)]
#[command(after_long_help = "\
Without more it writes rules for Prometheus. They work with Plimsoll's metrics, with node_exporter's alone,
and with both. docs/monitoring.md says of each alert when it fires and what to do.

EXAMPLES
  plimsoll rules >/etc/prometheus/plimsoll.rules.yml
  plimsoll rules --list
  plimsoll rules --for grafana >plimsoll.json
")]
pub(crate) struct RulesArguments {
    /// For which system
    #[arg(long = "for", value_name = "KIND", default_value = "prometheus", value_parser = kind())]
    kind: Kind,

    /// List what there is
    #[arg(long, conflicts_with = "kind")]
    list: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.as_str())).try_map(|name| name.parse::<Kind>())
}

pub(crate) fn run(arguments: &RulesArguments) -> anyhow::Result<ExitCode> {
    let text = if arguments.list { list() } else { arguments.kind.text().to_string() };
    output::write(&text, arguments.color)?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> String {
    let width = Kind::ALL.iter().map(|kind| kind.as_str().len()).max().unwrap_or(0);
    let lines = Kind::ALL.iter().map(|kind| format!("{:width$}  {}", kind.as_str(), kind.description()));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
