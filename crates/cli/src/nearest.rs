//! Which name was meant.

use std::collections::BTreeSet;

/// The known name that shares most pairs of letters with what was written (Dice's coefficient).
pub(crate) fn nearest<N: AsRef<str>>(written: &str, known: impl Iterator<Item = N>) -> Option<N> {
    let asked = pairs(written);
    let likeness = |known: &N| {
        let known = pairs(known.as_ref());
        let shared = asked.intersection(&known).count();
        2.0 * shared as f64 / (asked.len() + known.len()).max(1) as f64
    };
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

fn pairs(text: &str) -> BTreeSet<(char, char)> {
    text.chars().zip(text.chars().skip(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_name_with_most_in_common_is_the_nearest() {
        let known = ["syn-flood", "http-churn", "dns-unreplied"];
        for (written, meant) in [("synflood", "syn-flood"), ("churn", "http-churn"), ("dns", "dns-unreplied")] {
            assert_eq!(nearest(written, known.into_iter()), Some(meant));
        }
        assert_eq!(nearest("x", std::iter::empty::<&str>()), None);
        assert!(nearest("", known.into_iter()).is_some());
    }
}
