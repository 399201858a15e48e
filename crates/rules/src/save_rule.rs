//! A rule of iptables' as its options say it (iptables-extensions(8)).

use plimsoll_model::Untrusted;

use crate::ipsets::AddressSets;
use crate::key::{Field, IPV4, IPV6, Key, Kind, address_number, number};
use crate::model::{Depends, Effect, Element, Family, Match, Opaque, Sense, Set, Statement, Term, Verdict};
use crate::numbers::Numbers;
use crate::save::{Quoted, Word, to_chain};
use crate::tcp_flags;

/// A rule without its place.
pub(crate) struct Parsed {
    pub(crate) comment: Option<Untrusted>,
    pub(crate) terms: Vec<Term>,
}

/// Reads the options behind `-A CHAIN`.
pub(crate) fn terms(words: &[Word], family: Family, sets: &AddressSets<'_>, is_chain: &dyn Fn(&str) -> bool) -> Parsed {
    let mut parsed = Parsed { comment: None, terms: Vec::new() };
    let mut module = Module { name: "", options: Vec::new(), sets };
    let mut target: Option<Vec<Asked<'_>>> = None;
    for asked in options(words) {
        if let Some(options) = &mut target {
            options.push(asked);
            continue;
        }
        match asked.option {
            "-m" | "--match" => {
                module.read(family, &mut parsed);
                module = Module { name: asked.values.first().copied().unwrap_or_default(), options: Vec::new(), sets };
            }
            "-j" | "--jump" | "-g" | "--goto" => {
                module.read(family, &mut parsed);
                module.options.clear();
                target = Some(vec![asked]);
            }
            "-s" | "-d" | "-i" | "-o" | "-p" | "-f" => {
                Module { name: "", options: vec![asked], sets }.read(family, &mut parsed);
            }
            _ => module.options.push(asked),
        }
    }
    match target {
        Some(options) => parsed.terms.extend(target_terms(&options, is_chain)),
        None => module.read(family, &mut parsed),
    }
    parsed
}

/// An option with its values.
struct Asked<'a> {
    sense: Sense,
    option: &'a str,
    values: Vec<&'a str>,
}

impl Asked<'_> {
    /// Whether it looks up addresses and ports: `--match-set NAME src`. With the same words a set of hardware addresses is asked, which
    /// packets by loopback have not got.
    fn is_of_addresses(&self, sets: &AddressSets<'_>) -> bool {
        self.option == "--match-set" && self.values.first().is_some_and(|name| sets.has(name))
    }

    fn text(&self) -> String {
        let not = if self.sense == Sense::IsNot { "! " } else { "" };
        format!("{not}{} {}", self.option, self.values.join(" ")).trim_end().to_string()
    }
}

fn options(words: &[Word]) -> Vec<Asked<'_>> {
    let mut options: Vec<Asked<'_>> = Vec::new();
    let mut sense = Sense::Is;
    for word in words {
        let text = word.text.as_str();
        if word.quoted == Quoted::No && text == "!" {
            sense = Sense::IsNot;
        } else if word.quoted == Quoted::No && text.starts_with('-') && text.len() > 1 {
            options.push(Asked { sense, option: text, values: Vec::new() });
            sense = Sense::Is;
        } else if let Some(last) = options.last_mut() {
            last.values.push(text);
        } else {
            options.push(Asked { sense, option: "", values: vec![text] });
        }
    }
    options
}

/// A match module with its options.
struct Module<'a> {
    name: &'a str,
    options: Vec<Asked<'a>>,
    sets: &'a AddressSets<'a>,
}

impl Module<'_> {
    fn read(&self, family: Family, parsed: &mut Parsed) {
        match self.name {
            "comment" => {
                parsed.comment =
                    self.options.first().and_then(|asked| asked.values.first()).map(|text| Untrusted::from(*text));
            }
            "" => parsed
                .terms
                .extend(self.options.iter().map(|asked| base(asked, family).unwrap_or_else(|| self.opaque()))),
            "conntrack" | "state" => parsed.terms.extend(self.states()),
            // It counts the packet's entry (`nf_conncount.c`), as nft's `ct count` does.
            "connlimit" => {
                parsed.terms.extend([Term::Statement(Statement::Effect(Effect::Entry(self.text()))), self.opaque()]);
            }
            _ if self.options.is_empty() => {}
            _ => {
                let known: Option<Vec<Term>> = self.options.iter().map(|asked| self.known(asked)).collect();
                parsed.terms.extend(known.unwrap_or_else(|| vec![self.opaque()]));
            }
        }
    }

    /// The whole module as a condition that is not reckoned.
    fn opaque(&self) -> Term {
        Term::Match(Match::Opaque(Opaque { text: self.text(), depends: self.depends() }))
    }

    /// As a person reads it.
    fn text(&self) -> Untrusted {
        let words: Vec<_> = self.options.iter().map(Asked::text).collect();
        Untrusted::from(format!("{} {}", self.name, words.join(" ")).trim())
    }

    fn depends(&self) -> Depends {
        match self.name {
            // The way back: a packet by loopback always has one (`rpfilter_is_loopback` in `ipt_rpfilter.c`).
            "rpfilter" => Depends::Flow,
            "set" if self.options.iter().all(|asked| asked.is_of_addresses(self.sets)) => Depends::Flow,
            "limit" | "hashlimit" | "recent" | "quota" | "statistic" | "nfacct" | "rateest" => Depends::History,
            // Without an entry it says what it says of a flow without helper.
            "helper" if self.options.iter().any(|asked| asked.sense == Sense::IsNot) => Depends::NoEntry,
            "connmark" | "connbytes" | "connlabel" | "conntrack" | "state" | "helper" => Depends::Entry,
            "tcp" | "udp" | "sctp" | "dccp" | "udplite" | "multiport" | "icmp" | "icmp6" | "icmpv6" | "addrtype"
            | "mark" | "iprange" | "owner" | "length" | "ttl" | "hl" | "string" | "u32" | "pkttype" | "mac"
            | "time" | "tos" | "dscp" | "ecn" | "socket" | "cgroup" | "policy" | "physdev" | "esp" | "ah" | "frag"
            | "rt" | "hbh" | "dst" | "mh" | "ipv6header" | "eui64" | "cpu" | "devgroup" | "bpf" | "tcpmss" | "osf"
            | "realm" | "set" | "" => Depends::Packet,
            _ => Depends::Unknown,
        }
    }

    /// An option that is reckoned with.
    fn known(&self, asked: &Asked<'_>) -> Option<Term> {
        let first = *asked.values.first()?;
        match (self.name, asked.option) {
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite" | "multiport", "--sport" | "--sports") => {
                Some(lookup(Field::SourcePort, ports(first)?, asked.sense))
            }
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite" | "multiport", "--dport" | "--dports") => {
                Some(lookup(Field::DestinationPort, ports(first)?, asked.sense))
            }
            ("tcp", "--tcp-flags") => tcp_flags::in_iptables(first, asked.values.get(1)?, asked.sense),
            ("icmp", "--icmp-type") => Some(lookup(Field::IcmpType, Kind::IcmpType.read(first)?, asked.sense)),
            ("icmp6" | "icmpv6", "--icmpv6-type") => {
                Some(lookup(Field::IcmpType, Kind::Icmpv6Type.read(first)?, asked.sense))
            }
            ("addrtype", "--src-type") if self.options.len() == asked_kinds(self) => {
                Some(lookup(Field::SourceKind, listed(Kind::RouteType, first)?, asked.sense))
            }
            ("addrtype", "--dst-type") if self.options.len() == asked_kinds(self) => {
                Some(lookup(Field::DestinationKind, listed(Kind::RouteType, first)?, asked.sense))
            }
            ("iprange", "--src-range") => Some(lookup(Field::Source, addresses(first)?, asked.sense)),
            ("iprange", "--dst-range") => Some(lookup(Field::Destination, addresses(first)?, asked.sense)),
            ("mark", "--mark") => Some(marked(first, asked.sense, |mask| Key::Mark { mask })?),
            ("connmark", "--mark") => Some(marked(first, asked.sense, |mask| Key::EntryMark { mask })?),
            _ => None,
        }
    }

    /// `--ctstate` and `--ctdir` are reckoned with. Where others stand beside them the kernel asks for more, but of packets without an
    /// entry for the state alone (`conntrack_mt` in `xt_conntrack.c`).
    fn states(&self) -> Vec<Term> {
        let state = |asked: &Asked<'_>| {
            let states = listed(Kind::State, asked.values.first()?)?;
            Some(term(vec![Key::State], vec![states], asked.sense))
        };
        let direction = |asked: &Asked<'_>| {
            let direction = Kind::Direction.read(asked.values.first()?)?;
            Some(term(vec![Key::Direction], vec![direction], asked.sense))
        };
        let one = match self.options.as_slice() {
            [] => return Vec::new(),
            [asked] if matches!(asked.option, "--ctstate" | "--state") => state(asked),
            [asked] if asked.option == "--ctdir" => direction(asked),
            _ => None,
        };
        let depends = if self.options.len() == 1 { Depends::Entry } else { Depends::Unknown };
        let opaque = || match self.opaque() {
            Term::Match(Match::Opaque(opaque)) => Term::Match(Match::Opaque(Opaque { depends, ..opaque })),
            other => other,
        };
        vec![one.unwrap_or_else(opaque)]
    }
}

/// How many options of `addrtype` ask for a kind; the others change what is asked.
fn asked_kinds(module: &Module<'_>) -> usize {
    module.options.iter().filter(|asked| matches!(asked.option, "--src-type" | "--dst-type")).count()
}

/// Options that belong to no module.
fn base(asked: &Asked<'_>, family: Family) -> Option<Term> {
    let first = asked.values.first().copied();
    match asked.option {
        "-s" => Some(lookup(Field::Source, Kind::Address.read(first?)?, asked.sense)),
        "-d" => Some(lookup(Field::Destination, Kind::Address.read(first?)?, asked.sense)),
        "-i" => Some(lookup(Field::InInterface, Kind::Interface.read(first?)?, asked.sense)),
        "-o" => Some(lookup(Field::OutInterface, Kind::Interface.read(first?)?, asked.sense)),
        "-p" if matches!(first, Some("all" | "0")) => {
            let every = if family == Family::Ip6 { IPV6 } else { IPV4 };
            Some(lookup(Field::Family, Numbers::one(every), asked.sense))
        }
        "-p" => Some(lookup(Field::Protocol, Kind::Protocol.read(first?)?, asked.sense)),
        _ => None,
    }
}

fn lookup(field: Field, values: Numbers, sense: Sense) -> Term {
    term(vec![Key::Field(field)], vec![values], sense)
}

fn term(keys: Vec<Key>, values: Vec<Numbers>, sense: Sense) -> Term {
    Term::Match(Match::Lookup { keys, set: Set::Elements(vec![Element::of(values)]), sense })
}

/// `53`, `1000:2000`, `:1023`, and lists of such.
fn ports(text: &str) -> Option<Numbers> {
    let one = |text: &str| match text.split_once(':') {
        None => Kind::Port.read(text),
        Some((first, last)) => {
            let first = if first.is_empty() { 0 } else { number(first)? };
            let last = if last.is_empty() { 65_535 } else { number(last)? };
            Some(Numbers::range(first, last))
        }
    };
    text.split(',').map(one).collect()
}

fn listed(kind: Kind, text: &str) -> Option<Numbers> {
    text.split(',').map(|one| kind.read(one)).collect()
}

fn addresses(text: &str) -> Option<Numbers> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(Numbers::range(address_number(first.parse().ok()?), address_number(last.parse().ok()?)))
}

/// `value` or `value/mask`.
fn value_and_mask(text: &str) -> Option<(u32, u32)> {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    Some((u32::try_from(number(value)?).ok()?, u32::try_from(number(mask)?).ok()?))
}

fn marked(text: &str, sense: Sense, key: impl Fn(u32) -> Key) -> Option<Term> {
    let (value, mask) = value_and_mask(text)?;
    Some(term(vec![key(mask)], vec![Numbers::one(value.into())], sense))
}

fn target_terms(options: &[Asked<'_>], is_chain: &dyn Fn(&str) -> bool) -> Vec<Term> {
    let Some((jump, rest)) = options.split_first() else { return Vec::new() };
    let name = jump.values.first().copied().unwrap_or_default();
    let text = || {
        let words: Vec<_> = rest.iter().map(Asked::text).collect();
        Untrusted::from(format!("{name} {}", words.join(" ")).trim())
    };
    let option = |wanted: &str| rest.iter().find(|asked| asked.option == wanted);
    let statement = |statement| vec![Term::Statement(statement)];
    let verdict = |verdict| statement(Statement::Verdict(verdict));
    let effect = |effect| statement(Statement::Effect(effect));
    match name {
        "ACCEPT" => verdict(Verdict::Accept),
        "DROP" => verdict(Verdict::Drop),
        "RETURN" => verdict(Verdict::Return),
        "QUEUE" | "NFQUEUE" => verdict(Verdict::Queue),
        "REJECT" => verdict(Verdict::Reject(text())),
        _ if is_chain(name) => verdict(to_chain(name, jump.option)),
        "LOG" | "NFLOG" | "ULOG" | "AUDIT" | "TRACE" => effect(Effect::Log(text())),
        "DNAT" | "REDIRECT" | "NETMAP" => effect(Effect::TranslateDestination(text())),
        "SNAT" | "MASQUERADE" => effect(Effect::TranslateSource(text())),
        "MARK" => effect(mark(rest).unwrap_or_else(|| Effect::MarkUnknown(text()))),
        "CONNMARK" if option("--restore-mark").is_some() => effect(Effect::MarkFromEntry(text())),
        "CONNMARK" => effect(Effect::EntryMark(text())),
        "NOTRACK" => effect(Effect::Notrack),
        "CT" => rest.iter().map(|asked| Term::Statement(Statement::Effect(entry(asked)))).collect(),
        "CONNSECMARK" => effect(Effect::Entry(text())),
        "TPROXY" => {
            let mut terms = effect(Effect::Tproxy(text()));
            terms.extend(verdict(Verdict::Accept));
            terms
        }
        "SYNPROXY" => effect(Effect::Synproxy(text())),
        "SET" | "RATEEST" | "IDLETIMER" | "LED" => effect(Effect::Remembered(text())),
        "TEE" => effect(Effect::Copy(text())),
        "TCPMSS" | "TCPOPTSTRIP" | "DSCP" | "TOS" | "TTL" | "HL" | "ECN" | "CHECKSUM" | "CLASSIFY" | "SECMARK" => {
            effect(Effect::Changed(text()))
        }
        "HMARK" => effect(Effect::MarkUnknown(text())),
        "" => Vec::new(),
        _ => effect(Effect::Unknown(text())),
    }
}

/// An option of `CT`.
fn entry(asked: &Asked<'_>) -> Effect {
    let text = Untrusted::from(format!("CT {}", asked.text()).as_str());
    match asked.option {
        "--notrack" => Effect::Notrack,
        "--timeout" => Effect::TimeoutPolicy(text),
        "--zone" | "--zone-orig" | "--zone-reply" => Effect::Zone(text),
        _ => Effect::Entry(text),
    }
}

/// What `MARK` makes of a mark: the bits of the mask are cleared, the value's then flipped (`mark_tg` in `xt_mark.c`).
fn mark(options: &[Asked<'_>]) -> Option<Effect> {
    let [asked] = options else { return None };
    let (value, mask) = value_and_mask(asked.values.first()?)?;
    match asked.option {
        "--set-xmark" if value & !mask == 0 => Some(Effect::Mark { value, mask }),
        "--set-mark" => Some(Effect::Mark { value, mask: mask | value }),
        "--or-mark" => Some(Effect::Mark { value, mask: value }),
        "--and-mark" => Some(Effect::Mark { value: 0, mask: !value }),
        _ => None,
    }
}
