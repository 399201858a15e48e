//! What a resolver is told.

use plimsoll_model::Resolver;

/// What the C libraries take for `ndots` where nothing is said, and at most (`resolv/resolv.h`).
const NDOTS: u8 = 1;
const MOST_NDOTS: u8 = 15;

/// Reads a file as resolv.conf(5) describes it: of several lines `search` or `domain` the last counts, of options each.
pub fn resolver(text: &str) -> Resolver {
    let mut told = Resolver { ndots: NDOTS, search: 0 };
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("search") => told.search = u8::try_from(words.count()).unwrap_or(u8::MAX),
            Some("domain") => told.search = u8::from(words.next().is_some()),
            Some("options") => {
                let ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse::<u64>().ok()).next_back();
                let ndots = ndots.map(|ndots| u8::try_from(ndots).unwrap_or(u8::MAX).min(MOST_NDOTS));
                told.ndots = ndots.unwrap_or(told.ndots);
            }
            _ => {}
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_file_multiplies_names_and_a_plain_one_does_not() {
        let pod =
            "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
        assert_eq!(resolver(pod), Resolver { ndots: 5, search: 3 });
        assert_eq!(resolver(pod).names_asked(), 4);
        for plain in [
            "",
            "nameserver 192.0.2.53\nsearch example.org\n",
            "search a b\noptions edns0 ndots:1\n",
            "options ndots:5",
        ] {
            assert_eq!(resolver(plain).names_asked(), 1, "{plain}");
        }
    }

    #[test]
    fn the_last_line_counts_and_what_is_odd_is_bounded() {
        assert_eq!(
            resolver("search a b c\ndomain d\noptions ndots:2\noptions rotate\n"),
            Resolver { ndots: 2, search: 1 }
        );
        assert_eq!(resolver("# search a\n;options ndots:5\nsearch\ndomain\n"), Resolver { ndots: 1, search: 0 });
        assert_eq!(resolver("options ndots:9999999999 ndots:x ndots:-1\n").ndots, MOST_NDOTS);
        let many = format!("search {}\noptions ndots:5", "a ".repeat(1000));
        assert_eq!(resolver(&many).names_asked(), 256);
    }
}
