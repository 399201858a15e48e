//! What was seen of services that are not tracked any more: in words, and as a document.

use plimsoll_apply::{Doubt, Packets, Untracked};
use plimsoll_diagnose::words::{duration, grouped};
use serde_json::{Value, json};

/// As a document: what was counted, and what is not as it is to be.
pub(super) fn as_json(untracked: &Untracked) -> Value {
    let mut document = json!(untracked);
    document["doubts"] = json!(untracked.doubts());
    document
}

/// In sentences.
pub(super) fn in_words(untracked: &Untracked, watched_secs: f64) -> String {
    let Untracked { packets: Packets { requests, answers }, before, left, came, .. } = untracked;
    let (requests, answers) = (grouped(*requests), grouped(*answers));
    let counted = format!("in {watched_secs} s {requests} packets to it and {answers} from it went untracked.");
    let read = if untracked.is_whole {
        "in the table".to_string()
    } else {
        format!("among the first {} of the table", grouped(untracked.read))
    };
    let last = untracked
        .last_goes_in_secs
        .map_or_else(String::new, |secs| format!(" (without a packet the last one goes in {})", duration(secs.into())));
    let entries = format!(
        "Of its {} entries {read} {} are left{last}, and {} came.",
        grouped(*before),
        grouped(*left),
        if *came == 0 { "none".to_string() } else { grouped(*came) }
    );
    let doubts = untracked.doubts().into_iter().map(|doubt| format!(" {}", of_doubt(doubt)));
    format!("{counted} {entries}{}", doubts.collect::<String>())
}

const fn of_doubt(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::EntriesCome => {
            "NOT AS IT IS TO BE: entries of it come still, so not all of its packets meet these rules before they are tracked; \
             `plimsoll rollback` undoes it."
        }
        Doubt::NoAnswers => {
            "NOT AS IT IS TO BE: no packet from it was seen, though its flows had been answered before; see whether it is reached."
        }
        Doubt::NoRequests => "NOT AS IT IS TO BE: no packet to it was seen, so they do not meet these rules.",
        Doubt::NothingSeen => "No packet of it was seen: whether it flows is not known.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_was_seen_and_what_is_wrong() {
        let packets = Packets { requests: 1200, answers: 0 };
        let untracked = Untracked {
            packets,
            read: 20_000,
            is_whole: false,
            before: 57,
            answered_before: 50,
            left: 12,
            last_goes_in_secs: Some(25),
            came: 3,
        };
        let said = in_words(&untracked, 30.0);
        assert!(
            said.starts_with("in 30 s 1,200 packets to it and 0 from it went untracked. Of its 57 entries"),
            "{said}"
        );
        assert!(said.contains("among the first 20,000 of the table 12 are left"), "{said}");
        assert!(said.contains("entries of it come still") && said.contains("had been answered before"), "{said}");
        assert_eq!(as_json(&untracked)["doubts"], json!(["entries_come", "no_answers"]));
        let well = Untracked { packets: Packets { answers: 1100, ..packets }, came: 0, is_whole: true, ..untracked };
        let said = in_words(&well, 30.0);
        assert!(said.ends_with("and none came.") && said.contains("in the table 12 are left"), "{said}");
    }
}
