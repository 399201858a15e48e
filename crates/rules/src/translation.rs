//! Where a rule that translates leads to.

use std::net::{IpAddr, SocketAddr};

use crate::model::Effect;

impl Effect {
    /// The address, and the port where that is another, to which flows are led: of a translation of the destination to one address, as nft
    /// (`dnat addr 10.0.0.2 port 53`) or iptables (`DNAT --to-destination 10.0.0.2:53`) tells it.
    pub fn leads_to(&self) -> Option<(IpAddr, Option<u16>)> {
        let Self::TranslateDestination(text) = self else { return None };
        let mut words = text.as_str().split_ascii_whitespace();
        match words.next()? {
            "DNAT" => of_iptables(after(words, "--to-destination")?),
            "dnat" => {
                let address = after(words.clone(), "addr")?.parse().ok()?;
                let port = match after(words, "port") {
                    Some(port) => Some(port.parse().ok()?),
                    None => None,
                };
                Some((address, port))
            }
            _ => None,
        }
    }
}

fn after<'a>(mut words: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    words.find(|found| *found == word)?;
    words.next()
}

fn of_iptables(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let with_port = text.parse::<SocketAddr>().ok().map(|at| (at.ip(), Some(at.port())));
    with_port.or_else(|| Some((text.parse().ok()?, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_read_and_no_more_is_guessed_at() {
        let to = |text: &str| Effect::TranslateDestination(text.into()).leads_to();
        let at = |address: &str, port| Some((address.parse().unwrap(), port));
        assert_eq!(to("DNAT --to-destination 10.0.0.2:53"), at("10.0.0.2", Some(53)));
        assert_eq!(to("DNAT --to-destination [fd00::2]:53 --random"), at("fd00::2", Some(53)));
        assert_eq!(to("DNAT --to-destination 10.0.0.2"), at("10.0.0.2", None));
        assert_eq!(to("dnat addr 10.0.0.2 port 53"), at("10.0.0.2", Some(53)));
        assert_eq!(to("dnat addr fd00::2 family ip6"), at("fd00::2", None));
        for other in [
            "DNAT --to-destination 10.0.0.2-10.0.0.9",
            "DNAT --to-destination 10.0.0.2:80-90",
            "dnat addr 10.0.0.2 port 80-90",
            "dnat addr ip daddr map { 10.0.0.2 }",
            "redirect port 53",
            "",
        ] {
            assert_eq!(to(other), None, "{other}");
        }
        assert_eq!(Effect::TranslateSource("SNAT --to-source 10.0.0.2".into()).leads_to(), None);
    }
}
