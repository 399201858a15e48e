//! Whether `HAProxy` keeps connections to its servers.

use std::collections::{BTreeMap, BTreeSet};

use super::lines::Line;
use super::sections::{Section, Sections};
use super::settings::{CONDITIONAL, Settings, of_all};
use crate::budget::{Budget, Short};
use crate::configuration::said;
use crate::rewrite::Source;
use crate::{
    Configuration, Gap, Keeping, Opens, Place, Pool, Program, Reason, Remedy, Rewrite, Target, Upstream, Version, Write,
};

/// Since this version connections are used again unless told otherwise.
const REUSES_BY_DEFAULT: Version = Version(2, 0, 0);
/// Since when it can at all: before, it does not start with `http-reuse`.
const REUSES: Version = Version(1, 6, 0);

struct Judge<'s> {
    sources: &'s [Source],
    sections: &'s Sections,
    settings: Vec<Settings<'s>>,
    version: Option<Version>,
    /// Each section may take a look at all others: so each looks at the clock.
    budget: &'s Budget<'s>,
}

pub(super) fn judged(
    sources: &[Source],
    sections: &Sections,
    version: Option<Version>,
    budget: &Budget<'_>,
) -> Result<Configuration, Short> {
    let judge = Judge { sources, sections, settings: of_all(sections), version, budget };
    let mut gaps = Vec::new();
    let fronts = judge.fronts(&mut gaps);
    let mut upstreams = Vec::new();
    for (number, section) in sections.list.iter().enumerate() {
        if section.unknown_defaults {
            gaps.push(judge.place(&section.head).gap("the defaults that are named here are not there"));
        }
        if section.has_backend() {
            let targets = judge.targets(section, &mut gaps);
            if !targets.is_empty() {
                let name = section.name().into();
                let keeping = judge.keeping(number, section, &fronts)?;
                upstreams.push(Upstream { name, place: judge.place(&section.head), targets, keeping });
            }
        }
    }
    let files = sources.iter().map(|source| source.path.clone()).collect();
    Ok(Configuration { program: Program::Haproxy, files, upstreams, gaps })
}

/// Which frontends lead to which backends.
struct Fronts<'s> {
    by_backend: BTreeMap<&'s str, BTreeSet<usize>>,
    /// Frontends with a rule that names the backend only when a request comes, and the rule.
    anywhere: Vec<(usize, &'s Line)>,
}

impl<'s> Judge<'s> {
    fn source(&self, line: &Line) -> &'s Source {
        // Lines are made with the number of a source that is there.
        #[expect(clippy::indexing_slicing, reason = "lines are numbered by the sources that are read")]
        &self.sources[line.source]
    }

    fn place(&self, line: &Line) -> Place {
        Place::new(&self.source(line).path, line.number)
    }

    fn fronts(&self, gaps: &mut Vec<Gap>) -> Fronts<'s> {
        let mut fronts = Fronts { by_backend: BTreeMap::new(), anywhere: Vec::new() };
        for (number, section) in self.sections.list.iter().enumerate().filter(|(_, section)| section.has_frontend()) {
            if section.has_backend() {
                fronts.by_backend.entry(section.name()).or_default().insert(number);
            }
            for line in &section.lines {
                let (true, Some(backend)) =
                    (matches!(line.word(0), "use_backend" | "default_backend"), line.words.get(1))
                else {
                    continue;
                };
                if backend.has_variable || backend.text.contains("%[") || backend.text.contains("%{") {
                    gaps.push(
                        self.place(line).gap(format!(
                            "{} leads to a backend that is told only when a request comes",
                            backend.shown()
                        )),
                    );
                    fronts.anywhere.push((number, line));
                } else {
                    fronts.by_backend.entry(&backend.text).or_default().insert(number);
                }
            }
        }
        fronts
    }

    fn targets(&self, section: &Section, gaps: &mut Vec<Gap>) -> Vec<Target> {
        let mut targets = Vec::new();
        for line in &section.lines {
            let Some(address) = server_address(line) else { continue };
            let Some(word) = line.words.get(address) else { continue };
            match target(&word.text).filter(|_| !word.has_variable) {
                Some(target) => targets.push(target),
                None => gaps.push(self.place(line).gap(format!("{} is not understood as an address", word.shown()))),
            }
        }
        targets
    }

    fn keeping(&self, number: usize, section: &'s Section, fronts: &Fronts<'s>) -> Result<Keeping, Short> {
        self.budget.look()?;
        let Some(own) = self.settings.get(number) else {
            return Ok(Keeping::Unknown { because: Vec::new() });
        };
        let server = section.lines.iter().find(|line| line.is_conditional && server_address(line).is_some());
        if let Some((line, says)) = own.unclear.or(server.map(|line| (line, CONDITIONAL))) {
            return Ok(Keeping::Unknown { because: vec![self.place(line).says(says)] });
        }
        if own.mode.is_none_or(|mode| mode.word(1) != "http") {
            let says = "connections are passed on, not requests (`mode tcp`, the default): each has one of its own";
            let because = self.place(own.mode.unwrap_or(&section.head)).says(says);
            return Ok(Keeping::ByNature { opens: Opens::EachClientConnection, because });
        }
        if self.version.is_some_and(|version| version < REUSES) {
            let because = self.place(&section.head).says(TOO_OLD);
            return Ok(Keeping::ByNature { opens: Opens::EachClientConnection, because });
        }
        let of_line = |line: &'s Line| Some((own.of_server(line, server_address(line)? + 1), number_of_servers(line)));
        let (servers, numbers): (Vec<_>, Vec<_>) = section.lines.iter().filter_map(of_line).unzip();
        if let Some(tied) = servers.iter().find_map(|server| server.tied) {
            let says = format!(
                "`{}` tells the client's address once a connection, so none serves two clients; let `option forwardfor` tell it \
                 instead",
                tied.word.shown()
            );
            let because = self.place(tied.line).says(says);
            return Ok(Keeping::ByNature { opens: Opens::EachClientConnection, because });
        }
        let mut verdict = Verdict { opens: Opens::EachClientConnection, because: Vec::new(), rewrites: Vec::new() };
        let mut cautions = self.closing(number, own, fronts, &mut verdict);
        for server in &servers {
            self.budget.look()?;
            for (name, parameter, instead) in
                [("pool-max-conn", server.pool_max_conn, "-1"), ("pool-purge-delay", server.pool_purge_delay, "5s")]
            {
                let Some(parameter) = parameter.filter(|parameter| is_zero(&parameter.word.text)) else { continue };
                let rewrite = self.source(parameter.line).replace(parameter.word.at.clone(), instead);
                let says = format!("`{name} 0` keeps no idle connection");
                verdict.not_kept(Opens::EachRequest, self.place(parameter.line).says(says), rewrite);
            }
        }
        cautions.extend(self.reuse(section, own, &mut verdict));
        let idle = servers.iter().zip(numbers).try_fold(0_u64, |sum, (server, number)| {
            let each: u64 = server.pool_max_conn?.word.text.parse().ok()?;
            sum.checked_add(each.checked_mul(number?)?)
        });
        let pool = Pool { idle_at_most: idle.filter(|idle| *idle > 0), requests_a_connection: None };
        let Verdict { opens, because, rewrites } = verdict;
        if because.is_empty() {
            let unknown = self.perhaps_closing(fronts);
            return Ok(if unknown.is_empty() { Keeping::Kept(pool) } else { Keeping::Unknown { because: unknown } });
        }
        let cautions = cautions.iter().map(|words| said(words)).collect();
        let remedy = Remedy { write: Write::Rewrites(rewrites), then: pool, cautions };
        Ok(Keeping::NotKept { opens, because, remedy })
    }

    /// Options that close connections: one of either side is enough (section 4 of the manual).
    fn closing(&self, number: usize, own: &Settings<'s>, fronts: &Fronts<'s>, verdict: &mut Verdict) -> Vec<String> {
        let name = self.sections.list.get(number).map_or("", Section::name);
        let fronts = fronts.by_backend.get(name).into_iter().flatten();
        let fronts = fronts.filter(|front| **front != number).filter_map(|front| self.settings.get(*front)?.closing);
        let mut cautions = Vec::new();
        for line in own.closing.into_iter().chain(fronts) {
            let Some(word) = line.words.get(1) else { continue };
            let says = format!("`option {}` closes the server's connection after each answer", word.shown());
            let rewrite = self.source(line).replace(word.at.clone(), "http-keep-alive");
            verdict.not_kept(Opens::EachRequest, self.place(line).says(says), rewrite);
            let caution = "`option http-keep-alive` keeps clients' connections, too, where `httpclose` closed them; \
                           `timeout http-keep-alive` bounds how long they are idle"
                .to_string();
            if word.text != "http-server-close" && !cautions.contains(&caution) {
                cautions.push(caution);
            }
            if self.is_in_defaults(line) {
                cautions.push(format!("{} is in `defaults`, and holds for all that inherit it", self.place(line)));
            }
        }
        cautions.dedup();
        cautions
    }

    fn is_in_defaults(&self, line: &Line) -> bool {
        let sections = &self.sections.list;
        let last = sections
            .partition_point(|section| (section.head.source, section.head.number) <= (line.source, line.number));
        let section = last.checked_sub(1).and_then(|last| sections.get(last));
        section.is_some_and(|section| section.kind == super::sections::Kind::Defaults)
    }

    /// Frontends that close connections, and may lead here.
    fn perhaps_closing(&self, fronts: &Fronts<'s>) -> Vec<Reason> {
        let closing = fronts
            .anywhere
            .iter()
            .filter(|(front, _)| self.settings.get(*front).is_some_and(|settings| settings.closing.is_some()));
        closing.map(|(_, line)| self.place(line).says("a frontend that closes connections may lead here")).collect()
    }

    /// Which requests may go by a connection that is idle.
    fn reuse(&self, section: &'s Section, own: &Settings<'s>, verdict: &mut Verdict) -> Vec<String> {
        let (place, says, rewrite) = match own.reuse.and_then(|line| Some((line, line.words.get(1)?))) {
            Some((_, word)) if word.text == "always" => return Vec::new(),
            Some((line, word)) => {
                let says = match word.text.as_str() {
                    "never" => "`http-reuse never`: each connection of a client has one of its own",
                    "aggressive" => {
                        "`http-reuse aggressive`: the first request of a client's connection goes only by one that has \
                         been used a second time; where clients send one request a connection there is none"
                    }
                    _ => SAFE,
                };
                let own = section.lines.iter().any(|inner| inner.number == line.number && inner.source == line.source);
                // What is in the defaults holds for others, which are not asked here.
                let rewrite =
                    if own { self.source(line).replace(word.at.clone(), ALWAYS) } else { self.first_line(section) };
                (self.place(line), says, rewrite)
            }
            None => {
                let says = match self.version.map(|version| version < REUSES_BY_DEFAULT) {
                    Some(true) => NEVER,
                    Some(false) => SAFE,
                    None => EITHER,
                };
                (self.place(&section.head), says, self.first_line(section))
            }
        };
        verdict.not_kept(Opens::EachClientConnection, place.says(says), rewrite);
        vec![
            "a request that meets a connection which the server is just closing fails, and the client is told; \
             HAProxy repeats it if told to (`retry-on conn-failure empty-response`), which suits requests that may come twice"
                .to_string(),
        ]
    }

    fn first_line(&self, section: &Section) -> Rewrite {
        let (source, head) = (self.source(&section.head), &section.head);
        let first = section.lines.iter().find(|line| line.source == head.source && !line.is_conditional);
        let line = format!("http-reuse {ALWAYS}");
        match first {
            Some(first) => source.insert_before(first.at.start, "", &[line]),
            None => source.insert_behind(head.at.start, head.at.end, &[format!("    {line}")]),
        }
    }
}

const ALWAYS: &str = "always";
const TOO_OLD: &str = "HAProxy sends requests of other clients by a connection only since 1.6 (`http-reuse`): each connection of a client has one of \
                       its own";
const NEVER: &str =
    "`http-reuse never`, the default before HAProxy 2.0: each connection of a client has one of its own";
const EITHER: &str = "`http-reuse` is not set, and which version of HAProxy this is, is not known: since 2.0 the default is `safe`, by which \
                      the first request of each connection of a client opens one of its own; before it was `never`, by which each \
                      connection of a client has one, and before 1.6 HAProxy did not know the line";
const SAFE: &str = "`http-reuse safe`, the default since HAProxy 2.0: the first request of each connection of a client \
                    opens one of its own";

struct Verdict {
    opens: Opens,
    because: Vec<Reason>,
    rewrites: Vec<Rewrite>,
}

impl Verdict {
    fn not_kept(&mut self, opens: Opens, reason: Reason, rewrite: Rewrite) {
        self.opens = self.opens.max(opens);
        if !self.because.contains(&reason) {
            self.because.push(reason);
        }
        if !self.rewrites.contains(&rewrite) {
            self.rewrites.push(rewrite);
        }
    }
}

/// The word that is a server's address, if a line is a server's.
fn server_address(line: &Line) -> Option<usize> {
    match line.word(0) {
        "server" => Some(2),
        "server-template" => Some(3),
        _ => None,
    }
}

/// How many servers a line makes: a template of them `5` or `3-7`.
fn number_of_servers(line: &Line) -> Option<u64> {
    if line.word(0) == "server" {
        return Some(1);
    }
    match line.word(2).split_once('-') {
        Some((first, last)) => last.parse::<u64>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1),
        None => line.word(2).parse().ok(),
    }
}

/// `0`, with any unit of time.
fn is_zero(value: &str) -> bool {
    value.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0"
}

/// An address, as a `server` line has it.
fn target(text: &str) -> Option<Target> {
    let text =
        ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"].iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(text);
    if let Some(path) = ["unix@", "abns@", "uxst@"].iter().find_map(|kind| text.strip_prefix(kind)) {
        return Target::parse(&format!("unix:{path}"), None);
    }
    if text.contains('@') {
        return None;
    }
    // An address of IPv6 needs no brackets: what follows the last colon is the port.
    if text.matches(':').count() > 1 && !text.starts_with('[') {
        let (address, port) = text.rsplit_once(':')?;
        return Target::parse(&format!("[{address}]:{port}"), None);
    }
    Target::parse(text.trim_end_matches(':'), None)
}
