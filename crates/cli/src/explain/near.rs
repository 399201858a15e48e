//! Which finding was meant.

use plimsoll_model::FindingId;

/// Letters that two words have to begin with alike.
const ALIKE: usize = 3;

/// Ids that are named at most.
const NAMED: usize = 4;

/// Ids of which a word begins as one of those that were asked for, the likeliest first.
pub(super) fn near(asked: &str) -> Vec<FindingId> {
    let asked = asked.to_lowercase();
    let mut near: Vec<_> = FindingId::ALL.iter().map(|id| (likeness(&asked, id.as_str()), *id)).collect();
    near.retain(|(likeness, _)| *likeness > 0);
    near.sort_by_key(|(likeness, _)| std::cmp::Reverse(*likeness));
    near.into_iter().map(|(_, id)| id).take(NAMED).collect()
}

/// Letters with which words of both begin alike.
fn likeness(asked: &str, id: &str) -> usize {
    let of_word = |word: &str| id.split('-').map(|known| alike(word, known)).max().unwrap_or(0);
    asked.split(|c: char| !c.is_alphanumeric()).map(of_word).filter(|letters| *letters >= ALIKE).sum()
}

fn alike(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_word_or_beginning_is_near_and_the_nearest_comes_first() {
        assert_eq!(near("table_full")[0], FindingId::TableFull);
        assert_eq!(near("SYN")[..], [FindingId::SynFlood, FindingId::SyncookiesOff]);
        assert_eq!(near("insert_failed")[0], FindingId::InsertClash);
        assert_eq!(near("timeouts")[0], FindingId::TimeoutRisky);
        assert!(near("full").len() <= NAMED);
    }

    #[test]
    fn what_shares_nothing_is_not_near() {
        for asked in ["", "-", "ab", "xyzzy", "--"] {
            assert_eq!(near(asked), [], "{asked:?}");
        }
    }
}
