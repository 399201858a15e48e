//! Rules as iptables-save and ip6tables-save write them (iptables-save(8)).

use std::collections::HashMap;

use plimsoll_model::Untrusted;

use crate::ipsets::AddressSets;
use crate::model::{Base, Chain, ChainKind, Family, Hook, Origin, Policy, Rule, Ruleset, Table, Verdict};
use crate::save_rule::terms;

/// Reads what a program wrote.
pub(crate) fn read(text: &str, family: Family, origin: Origin, sets: &AddressSets<'_>) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let mut open: Option<Open> = None;
    for line in text.lines().map(str::trim) {
        let taken = match line.chars().next() {
            None | Some('#') => Some(()),
            Some('*') => {
                ruleset.tables.extend(open.take().map(|open| open.table));
                let name = line.get(1..).unwrap_or_default().to_string();
                let table = Table { origin, family, name, chains: Vec::new(), sets: Vec::new() };
                open = Some(Open { table, places: HashMap::new() });
                Some(())
            }
            Some('C') if line == "COMMIT" => open.take().map(|open| ruleset.tables.push(open.table)),
            Some(':') => open.as_mut().and_then(|open| chain(open, line)),
            _ => open.as_mut().and_then(|open| rule(open, line, sets)),
        };
        if taken.is_none() {
            ruleset.unknown.push(Untrusted::from(line));
        }
    }
    // What ends in the middle is not known to be all.
    if let Some(Open { table, .. }) = open {
        ruleset.unknown.push(Untrusted::from(format!("table {} without its end", table.name).as_str()));
        ruleset.tables.push(table);
    }
    ruleset
}

/// A table that has not ended yet. Some have tens of thousands of chains, so these are found by name.
struct Open {
    table: Table,
    places: HashMap<String, usize>,
}

/// `:NAME POLICY [packets:bytes]`.
fn chain(open: &mut Open, line: &str) -> Option<()> {
    let Open { table, places } = open;
    let mut words = line.get(1..)?.split_ascii_whitespace();
    let (name, policy) = (words.next()?.to_string(), words.next()?);
    let policy = match policy {
        "ACCEPT" => Some(Policy::Accept),
        "DROP" => Some(Policy::Drop),
        "-" => None,
        _ => return None,
    };
    let base = match policy {
        Some(policy) => Some(base(&table.name, &name, policy)?),
        None => None,
    };
    places.insert(name.clone(), table.chains.len());
    table.chains.push(Chain { name, base, rules: Vec::new() });
    Some(())
}

/// Where the kernel's own chains are (`net/ipv4/netfilter/iptable_*.c`, and `builtin_table`s of iptables' nft variant).
fn base(table: &str, chain: &str, policy: Policy) -> Option<Base> {
    let hook = Hook::named(chain)?;
    let (kind, priority) = match (table, hook) {
        ("raw", _) => (ChainKind::Filter, -300),
        ("mangle", Hook::Output) => (ChainKind::Route, -150),
        ("mangle", _) => (ChainKind::Filter, -150),
        ("nat", Hook::Prerouting | Hook::Output) => (ChainKind::Nat, -100),
        ("nat", _) => (ChainKind::Nat, 100),
        ("filter", _) => (ChainKind::Filter, 0),
        ("security", _) => (ChainKind::Filter, 50),
        _ => return None,
    };
    Some(Base { hook, priority, kind, policy, devices: Vec::new() })
}

/// `[packets:bytes] -A CHAIN …`.
fn rule(open: &mut Open, line: &str, sets: &AddressSets<'_>) -> Option<()> {
    let Open { table, places } = open;
    let line = match line.strip_prefix('[') {
        Some(counted) => counted.split_once(']')?.1.trim_start(),
        None => line,
    };
    let mut words = words(line)?;
    if words.len() < 2 || words.first()?.text != "-A" {
        return None;
    }
    let rest = words.split_off(2);
    let name = words.pop()?.text;
    let family = table.family;
    let text = line.strip_prefix("-A").map(str::trim_start).and_then(|text| text.strip_prefix(name.as_str()));
    let parsed = terms(&rest, family, sets, &|target| places.contains_key(target));
    let rule = Rule {
        handle: None,
        comment: parsed.comment,
        text: Untrusted::from(text.unwrap_or(line).trim()),
        terms: parsed.terms,
    };
    table.chains.get_mut(*places.get(&name)?)?.rules.push(rule);
    Some(())
}

/// A word of a line, and whether it stood in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) quoted: Quoted,
}

/// Whether a word stood in quotes, and so is no option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quoted {
    Yes,
    No,
}

/// Splits a line as iptables-restore does: words between spaces, or in double quotes with `\` before a quote; `None` where a
/// quote has no end.
fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    loop {
        while characters.next_if(char::is_ascii_whitespace).is_some() {}
        let Some(first) = characters.peek() else { return Some(words) };
        let quoted = if *first == '"' { Quoted::Yes } else { Quoted::No };
        let mut text = String::new();
        if quoted == Quoted::Yes {
            characters.next();
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => text.push(characters.next()?),
                    other => text.push(other),
                }
            }
        } else {
            while let Some(c) = characters.next_if(|c| !c.is_ascii_whitespace()) {
                text.push(c);
            }
        }
        words.push(Word { text, quoted });
    }
}

/// What a target that is a chain of the table does.
pub(crate) fn to_chain(name: &str, option: &str) -> Verdict {
    if option == "-g" || option == "--goto" { Verdict::Goto(name.to_string()) } else { Verdict::Jump(name.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_quotes_keep_their_spaces() {
        let texts = |line| words(line).map(|words| words.into_iter().map(|word| word.text).collect::<Vec<_>>());
        assert_eq!(texts(r#"--comment "a \"b\" c" -j X"#).unwrap(), ["--comment", r#"a "b" c"#, "-j", "X"]);
        assert_eq!(texts(r#"--comment "a"#), None);
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        let ruleset = read(
            "*filter\n:INPUT ACCEPT [0:0]\n-A NOWHERE -j DROP\nwhat\n",
            Family::Ip,
            Origin::IptablesLegacy,
            &AddressSets::default(),
        );
        let unknown: Vec<_> = ruleset.unknown.iter().map(Untrusted::as_str).collect();
        assert_eq!(unknown, ["-A NOWHERE -j DROP", "what", "table filter without its end"]);
        assert_eq!(ruleset.tables.len(), 1);
    }
}
