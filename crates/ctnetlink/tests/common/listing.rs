//! What `conntrack -L -o id` prints, read: another reader of the same table, to compare with.

use plimsoll_ctnetlink::{Entry, Layer4, Protocol, Tuple};

/// The fields of an entry that can be compared, and by which entries can be sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) id: u32,
    pub(crate) protocol: u8,
    /// The state's name; `-` for protocols without states.
    pub(crate) state: String,
    pub(crate) original: [String; 4],
    pub(crate) reply: [String; 4],
    pub(crate) mark: u32,
    /// The zone, of whichever direction.
    pub(crate) zone: u16,
    /// Whether a reply was seen, whether it is assured.
    pub(crate) replied_assured: [bool; 2],
}

impl Line {
    pub(crate) fn of(entry: &Entry) -> Self {
        use plimsoll_ctnetlink::Status;
        Self {
            id: entry.id,
            protocol: entry.original.protocol.0,
            state: entry.state.to_string(),
            original: tuple(&entry.original),
            reply: tuple(&entry.reply),
            mark: entry.mark,
            zone: entry.zone.0,
            replied_assured: [entry.status.has(Status::SEEN_REPLY), entry.status.has(Status::ASSURED)],
        }
    }

    /// Reads a line such as `tcp 6 119 SYN_SENT src=… dst=… sport=… dport=… [UNREPLIED] src=… … mark=0 use=1 id=7`.
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let state = if words[3].contains('=') { "-" } else { words[3] };
        // A tuple begins with its source; what belongs to the entry comes behind.
        let [_, original, reply] = line.split("src=").collect::<Vec<_>>()[..] else { panic!("not an entry: {line}") };
        let tuple = |text: &str| {
            let first = |names: &[&str]| {
                let found = names.iter().find_map(|name| value(text, name));
                found.unwrap_or_default().to_string()
            };
            // An ICMP identifier in a tuple stands behind its code.
            let id = text.split_once("code=").and_then(|(_, rest)| value(rest, "id="));
            let source = text.split_whitespace().next().unwrap().to_string();
            match id {
                Some(id) => [source, first(&["dst="]), id.to_string(), first(&["type="]) + "/" + &first(&["code="])],
                None => [source, first(&["dst="]), first(&["sport=", "srckey="]), first(&["dport=", "dstkey="])],
            }
        };
        let number = |name: &str| value(line, name).map_or(0, |value| value.parse().unwrap());
        let zones = ["zone=", "zone-orig=", "zone-reply="];
        Self {
            id: line.rsplit_once("id=").unwrap().1.trim().parse().unwrap(),
            protocol: words[1].parse().unwrap(),
            state: state.to_string(),
            original: tuple(original),
            reply: tuple(reply),
            mark: number("mark="),
            zone: u16::try_from(zones.into_iter().map(number).sum::<u32>()).unwrap(),
            replied_assured: [!line.contains("[UNREPLIED]"), line.contains("[ASSURED]")],
        }
    }
}

/// The entries of a listing, sorted.
pub(crate) fn read(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = text.lines().map(Line::read).collect();
    lines.sort();
    lines
}

fn tuple(tuple: &Tuple) -> [String; 4] {
    let [third, fourth] = match tuple.layer4 {
        Layer4::Ports { source, destination } if tuple.protocol == Protocol::GRE => {
            [format!("{source:#x}"), format!("{destination:#x}")]
        }
        Layer4::Ports { source, destination } => [source.to_string(), destination.to_string()],
        Layer4::Icmp { id, kind, code } => [id.to_string(), format!("{kind}/{code}")],
        Layer4::None => [String::new(), String::new()],
    };
    [tuple.source.to_string(), tuple.destination.to_string(), third, fourth]
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_whitespace().find_map(|word| word.strip_prefix(name))
}
