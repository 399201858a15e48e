//! Metrics, and the two formats that they are written in: Prometheus' text format 0.0.4 and OpenMetrics 1.0. What is written is
//! held against `promtool` in a test.

use std::fmt::Write;

/// What a metric's figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only rises, but for restarts. Its name ends in `_total`.
    Counter,
}

/// Figures of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name, as Prometheus has it.
    pub name: &'static str,
    /// What the figures are.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// The figures.
    pub samples: Vec<Sample>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The figure.
    pub value: f64,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What a client that accepts these gets: OpenMetrics if it asks for that.
    pub fn accepted_by(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The media type of what is written.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes metrics out, to be followed by more or by [`Self::end`]. Families without a figure are left out: what is not known is
    /// not said to be 0.
    pub fn write(self, families: &[Family]) -> String {
        let mut text = String::new();
        for family in families.iter().filter(|family| !family.samples.is_empty()) {
            self.write_family(family, &mut text);
        }
        text
    }

    /// What comes after all metrics.
    pub const fn end(self) -> &'static str {
        match self {
            Self::Prometheus => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }

    fn write_family(self, family: &Family, text: &mut String) {
        // In OpenMetrics a counter's name has no `_total`; its figures' names have.
        let name = match self {
            Self::OpenMetrics => family.name.strip_suffix("_total").unwrap_or(family.name),
            Self::Prometheus => family.name,
        };
        let kind = match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in &family.samples {
            text.push_str(family.name);
            write_labels(&sample.labels, text);
            let _ = writeln!(text, " {}", sample.value);
        }
    }
}

fn write_labels(labels: &[(&'static str, String)], text: &mut String) {
    if labels.is_empty() {
        return;
    }
    text.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let _ = write!(text, "{name}=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                plain => text.push(plain),
            }
        }
        text.push('"');
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_escape_labels_and_openmetrics_ends() {
        let family = Family {
            name: "plimsoll_scrapes_total",
            kind: Kind::Counter,
            help: "Scrapes.",
            samples: vec![Sample { labels: vec![("netns", "a\"b\\c\nd".to_string())], value: 3.0 }],
        };
        let none = Family { name: "plimsoll_none", kind: Kind::Gauge, help: "None.", samples: Vec::new() };
        let families = [family, none];
        assert_eq!(
            Format::Prometheus.write(&families),
            "# HELP plimsoll_scrapes_total Scrapes.\n# TYPE plimsoll_scrapes_total counter\n\
             plimsoll_scrapes_total{netns=\"a\\\"b\\\\c\\nd\"} 3\n"
        );
        assert_eq!(
            Format::OpenMetrics.write(&families) + Format::OpenMetrics.end(),
            "# HELP plimsoll_scrapes Scrapes.\n# TYPE plimsoll_scrapes counter\n\
             plimsoll_scrapes_total{netns=\"a\\\"b\\\\c\\nd\"} 3\n# EOF\n"
        );
    }
}
