//! What holds in a section: its own lines over those of the defaults that it inherits.

use super::lines::{Line, Word};
use super::sections::Sections;

/// Why a line is unclear that stands between `.if` and `.endif`.
pub(super) const CONDITIONAL: &str = "stands in a conditional block, of which is not known whether it holds";

/// Those of a section's settings that decide whether connections to servers are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings<'s> {
    pub(super) mode: Option<&'s Line>,
    pub(super) reuse: Option<&'s Line>,
    /// The option in force of those that close connections, which exclude each other.
    pub(super) closing: Option<&'s Line>,
    /// Parameters of `default-server`, the later ones over the earlier ones.
    pub(super) server: ServerSettings<'s>,
    /// A line of which is not known whether it holds, or what it says; and why.
    pub(super) unclear: Option<(&'s Line, &'static str)>,
}

/// Parameters of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerSettings<'s> {
    pub(super) pool_max_conn: Option<Parameter<'s>>,
    pub(super) pool_purge_delay: Option<Parameter<'s>>,
    /// What ties a connection to one client: the PROXY protocol, or the client's address as the source.
    pub(super) tied: Option<Parameter<'s>>,
}

/// A parameter: its line, and the word that is its value, or itself if it takes none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter<'s> {
    pub(super) line: &'s Line,
    pub(super) word: &'s Word,
}

/// The settings of each section, in the order of the sections.
pub(super) fn of_all(sections: &Sections) -> Vec<Settings<'_>> {
    let mut all: Vec<Settings<'_>> = Vec::with_capacity(sections.list.len());
    for section in &sections.list {
        // Defaults are only found when they are there already.
        let inherited = section.defaults.and_then(|number| all.get(number)).cloned();
        let mut settings = inherited.unwrap_or_default();
        section.lines.iter().for_each(|line| settings.take(line));
        all.push(settings);
    }
    all
}

impl<'s> Settings<'s> {
    fn take(&mut self, line: &'s Line) {
        let (is_no, words) = match line.word(0) {
            // `default` before an option makes it what it is by default.
            "no" | "default" => (true, line.from(1)),
            _ => (false, line.from(0)),
        };
        let word = |number: usize| words.get(number).map_or("", |word| word.text.as_str());
        let decides = match (word(0), word(1)) {
            ("mode", "tcp" | "http" | "log" | "spop" | "health") => {
                self.mode = Some(line);
                true
            }
            ("http-reuse", "never" | "safe" | "aggressive" | "always") => {
                self.reuse = Some(line);
                true
            }
            ("mode" | "http-reuse", _) => {
                self.unclear = Some((line, "has a value that is not understood"));
                true
            }
            ("option", option @ ("http-server-close" | "httpclose" | "forceclose" | "http-keep-alive")) => {
                // To take one back changes nothing where another is in force.
                let is_in_force = self.closing.is_some_and(|closing| closing.word(1) == option);
                if !is_no {
                    self.closing = (option != "http-keep-alive").then_some(line);
                } else if is_in_force {
                    self.closing = None;
                }
                true
            }
            ("default-server" | "source", _) => {
                self.server.take(line, line.from(1));
                true
            }
            _ => false,
        };
        if decides && line.is_conditional {
            self.unclear = Some((line, CONDITIONAL));
        }
    }

    /// What holds for a server of the section.
    pub(super) fn of_server(&self, line: &'s Line, parameters: usize) -> ServerSettings<'s> {
        let mut settings = self.server;
        settings.take(line, line.from(parameters));
        settings
    }
}

impl<'s> ServerSettings<'s> {
    fn take(&mut self, line: &'s Line, words: &'s [Word]) {
        for (number, word) in words.iter().enumerate() {
            let value = words.get(number + 1).map(|word| Parameter { line, word });
            match word.text.as_str() {
                "pool-max-conn" => self.pool_max_conn = value,
                "pool-purge-delay" => self.pool_purge_delay = value,
                name if name == "usesrc" || name.starts_with("send-proxy") => {
                    self.tied = Some(Parameter { line, word });
                }
                name if name.starts_with("no-send-proxy") => self.tied = None,
                _ => {}
            }
        }
    }
}
