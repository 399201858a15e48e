//! Whether NGINX keeps connections to its upstreams.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use super::pass::{Pass, Protocol, passes};
use super::tree::{Directive, Tree};
use super::verdict::Verdict;
use super::words::Word;
use super::{literal, request};
use crate::budget::{Budget, Short};
use crate::{Configuration, Gap, Keeping, Opens, Pool, Program, Target, Upstream, Version};

/// How many idle connections are written: as many as NGINX's own examples, and enough for some tens of servers.
pub(super) const KEPT: &str = "keepalive 64;";

/// Since this version connections are kept by default: HTTP/1.1, no `Connection: close`, and `keepalive 32 local` in
/// upstreams that have a block.
const KEEPS_BY_DEFAULT: Version = Version(1, 29, 7);

const UNKNOWN_VERSION: &str = "which version of NGINX this is, is not known: since 1.29.7 it keeps connections to an `upstream` where the lines \
                               named here are missing, and they change little; `nginx -v` tells it";

/// What one program's files are judged by.
pub(super) struct Judge<'t> {
    pub(super) tree: &'t Tree,
    pub(super) http: &'t Directive,
    pub(super) version: Option<Version>,
    /// What takes the address of a `proxy_pass` by a variable.
    pub(super) uses_address: Option<&'t Directive>,
    /// Each way in which requests go on may take a look at all others: so each looks at the clock.
    pub(super) budget: &'t Budget<'t>,
}

pub(super) fn judged(tree: &Tree, version: Option<Version>, budget: &Budget<'_>) -> Result<Configuration, Short> {
    let mut gaps = tree.gaps.clone();
    let mut upstreams = Vec::new();
    for block in &tree.top {
        match block.name() {
            "http" => {
                let uses_address = literal::user_of_address(block);
                Judge { tree, http: block, version, uses_address, budget }.upstreams(&mut upstreams, &mut gaps)?;
            }
            "stream" => streams(tree, block, budget, &mut upstreams, &mut gaps)?,
            _ => {}
        }
    }
    let has_any = tree.top.iter().any(|block| matches!(block.name(), "http" | "stream"));
    if let Some(first) = tree.sources.first().filter(|_| !has_any) {
        let what = "there is neither an `http` nor a `stream` block here; name the file that NGINX is started with";
        gaps.push(first.place(0).gap(what));
    }
    let files = tree.sources.iter().map(|source| source.path.clone()).collect();
    Ok(Configuration { program: Program::Nginx, files, upstreams, gaps })
}

/// What is passed on to as one: an upstream's block, by its place in the list of them, or an address.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Block(usize),
    Literal(Protocol, String),
}

impl<'t> Judge<'t> {
    pub(super) fn keeps_by_default(&self) -> bool {
        self.version.is_some_and(|version| version >= KEEPS_BY_DEFAULT)
    }

    /// Says of what is told by an older default, where the version is not known, that newer ones have another.
    pub(super) fn is_by_default(&self, verdict: &mut Verdict) {
        if self.version.is_none() {
            verdict.caution(UNKNOWN_VERSION.to_string());
        }
    }

    fn upstreams(&self, upstreams: &mut Vec<Upstream>, gaps: &mut Vec<Gap>) -> Result<(), Short> {
        let blocks = blocks(self.http);
        let by_name: BTreeMap<String, usize> = (blocks.iter().enumerate())
            .filter_map(|(number, block)| Some((block.argument()?.text.to_ascii_lowercase(), number)))
            .collect();
        let mut by_target: BTreeMap<To, Vec<Pass<'t>>> = BTreeMap::new();
        for pass in passes(self.tree, self.http, gaps) {
            let to = match by_name.get(&pass.host.to_ascii_lowercase()) {
                Some(number) => To::Block(*number),
                None => To::Literal(pass.protocol, pass.host.clone()),
            };
            by_target.entry(to).or_default().push(pass);
        }
        for (to, passes) in by_target {
            let Some(first) = passes.first() else { continue };
            upstreams.push(match to {
                To::Block(number) => {
                    let Some(block) = blocks.get(number) else { continue };
                    let targets = targets(self.tree, block, gaps);
                    let keeping = self.of_block(block, &passes)?;
                    Upstream { name: first.host.as_str().into(), place: self.tree.place(block), targets, keeping }
                }
                To::Literal(protocol, host) => {
                    let place = self.tree.place(first.directive);
                    let target = Target::parse(&host, protocol.default_port());
                    if target.is_none() {
                        let host = &first.directive.argument().map_or("".into(), Word::shown);
                        gaps.push(place.clone().gap(format!("{host} is not understood as an address")));
                    }
                    let keeping = literal::keeping(self, &passes)?;
                    Upstream { name: host.as_str().into(), place, targets: target.into_iter().collect(), keeping }
                }
            });
        }
        Ok(())
    }

    fn of_block(&self, block: &'t Directive, passes: &[Pass<'t>]) -> Result<Keeping, Short> {
        let mut verdict = Verdict::default();
        for pass in passes {
            self.budget.look()?;
            request::judge(self, pass, &mut verdict);
        }
        let mut pool = self.pool(block, passes.len(), &mut verdict);
        // How many may be kept is then the FastCGI server's to say.
        if passes.iter().any(|pass| pass.protocol == Protocol::FastCgi) && keeps_none(block) {
            pool.idle_at_most = None;
        }
        Ok(verdict.keeping(pool))
    }

    /// The connections that a block keeps, and whether it does.
    fn pool(&self, block: &'t Directive, passes: usize, verdict: &mut Verdict) -> Pool {
        let find = |name| block.inside().iter().rfind(|inner| inner.name() == name);
        let source = self.tree.source(block);
        let idle = match find("keepalive") {
            Some(keepalive) => match (number_of(keepalive), keepalive.argument()) {
                (Some(0), Some(word)) => {
                    let rewrite = self.tree.source(keepalive).replace(word.at.clone(), "64");
                    verdict.not_kept(self.tree.place(keepalive).says("`keepalive 0` keeps none"), [rewrite]);
                    Some(64)
                }
                (Some(number), _) => Some(number),
                _ => {
                    verdict.unknown(self.tree.place(keepalive).says("how many connections are kept is not understood"));
                    None
                }
            },
            // `local`: each location has its own.
            None if self.keeps_by_default() => u64::try_from(passes).ok().and_then(|passes| passes.checked_mul(32)),
            None => {
                // At the end: a method of balancing must stand before it.
                let close = block.block.as_ref().map_or(block.at.end, |inner| inner.close);
                let last = block.inside().last().filter(|last| last.source == block.source);
                let rewrite = match last {
                    Some(last) => source.insert_behind(last.at.start, last.at.end, &[KEPT.to_string()]),
                    None => source.insert_before(close, "    ", &[KEPT.to_string()]),
                };
                verdict.not_kept(self.tree.place(block).says("the upstream has no `keepalive`"), [rewrite]);
                self.is_by_default(verdict);
                Some(64)
            }
        };
        for (name, closing, when, instead) in [
            ("keepalive_requests", ["0", "1"].as_slice(), "after one request", "1000"),
            ("keepalive_timeout", &["0", "0s", "0ms"], "after one request", "60s"),
            // Time is told in milliseconds.
            ("keepalive_time", &["0", "0s", "0ms"], "after a request that ends in another millisecond", "1h"),
        ] {
            let Some((directive, word)) = find(name).and_then(|found| Some((found, found.argument()?))) else {
                continue;
            };
            if closing.contains(&word.text.as_str()) {
                let rewrite = self.tree.source(directive).replace(word.at.clone(), instead);
                let says = format!("`{name} {}` closes each connection {when}", word.shown());
                verdict.not_kept(self.tree.place(directive).says(says), [rewrite]);
            }
        }
        let requests = find("keepalive_requests").and_then(number_of).filter(|requests| *requests > 1);
        Pool {
            idle_at_most: idle.and_then(|idle| idle.checked_mul(self.workers()?)),
            requests_a_connection: NonZeroU64::new(requests.unwrap_or(self.default_requests())),
        }
    }

    /// Connections that a new block keeps.
    pub(super) fn new_pool(&self) -> Pool {
        Pool {
            idle_at_most: self.workers().map(|workers| 64 * workers),
            requests_a_connection: NonZeroU64::new(self.default_requests()),
        }
    }

    /// Requests after which a connection is closed: 1000 since 1.19.10, 100 before. Without a version the worse of both.
    fn default_requests(&self) -> u64 {
        if self.version.is_some_and(|version| version >= Version(1, 19, 10)) { 1000 } else { 100 }
    }

    /// Processes that each have a pool; nothing where that is as many as the machine has processors.
    fn workers(&self) -> Option<u64> {
        let processes = self.tree.top.iter().rfind(|directive| directive.name() == "worker_processes");
        processes.map_or(Some(1), |processes| processes.argument()?.text.parse().ok())
    }
}

fn blocks(of: &Directive) -> Vec<&Directive> {
    of.inside().iter().filter(|inner| inner.name() == "upstream" && inner.block.is_some()).collect()
}

fn number_of(directive: &Directive) -> Option<u64> {
    directive.argument()?.text.parse().ok()
}

/// Whether an upstream has no number of connections that it keeps, or 0.
fn keeps_none(block: &Directive) -> bool {
    let keepalive = block.inside().iter().rfind(|inner| inner.name() == "keepalive");
    keepalive.and_then(number_of).is_none_or(|number| number == 0)
}

fn targets(tree: &Tree, block: &Directive, gaps: &mut Vec<Gap>) -> Vec<Target> {
    let servers = block.inside().iter().filter(|inner| inner.name() == "server");
    let mut targets = Vec::new();
    for server in servers {
        let Some(word) = server.argument() else { continue };
        match Target::parse(&word.text, Some(80)) {
            Some(target) => targets.push(target),
            None => gaps.push(tree.place(server).gap(format!("{} is not understood as an address", word.shown()))),
        }
    }
    targets
}

/// What the `stream` module passes on is not requests but connections, each by one of its own.
fn streams(
    tree: &Tree,
    stream: &Directive,
    budget: &Budget<'_>,
    upstreams: &mut Vec<Upstream>,
    gaps: &mut Vec<Gap>,
) -> Result<(), Short> {
    let blocks = blocks(stream);
    for server in stream.inside().iter().filter(|inner| inner.name() == "server") {
        for pass in server.inside().iter().filter(|inner| inner.name() == "proxy_pass") {
            budget.look()?;
            let (Some(word), place) = (pass.argument(), tree.place(pass)) else { continue };
            let block = blocks.iter().find(|block| block.argument().is_some_and(|name| name.text == word.text));
            let targets = match (block, Target::parse(&word.text, None)) {
                (Some(block), _) => targets(tree, block, gaps),
                (None, Some(target)) => vec![target],
                (None, None) => {
                    gaps.push(place.gap(format!("where {} leads is not known", word.shown())));
                    continue;
                }
            };
            let because = place.clone().says("`stream` passes connections on, not requests: each has one of its own");
            let keeping = Keeping::ByNature { opens: Opens::EachClientConnection, because };
            upstreams.push(Upstream { name: word.shown(), place, targets, keeping });
        }
    }
    Ok(())
}
