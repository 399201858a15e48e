//! kube-proxy: what it sets follows from its arguments or from its configuration (`KubeProxyConntrackConfiguration`; what becomes
//! of that is in its `pkg/proxy/conntrack/sysctls.go`, in older versions `cmd/kube-proxy/app/conntrack.go`).

use std::collections::BTreeMap;

use plimsoll_model::{
    Buckets, Effect, Order, Presence, Sysctl, TcpState, Timeout, Untrusted, Writer, WriterKind, Written,
};

use super::running;
use crate::ini::unquoted;
use crate::system_process::SystemProcess;
use crate::text::Text;
use crate::{Error, HostFs};

/// Recent versions take no more from the number of processors.
const MOST_BY_PROCESSORS: u64 = 1_048_576;

/// One that runs by itself, as it does in a pod.
pub(super) fn of_process(host: &HostFs, pid: u32) -> Result<Writer, Error> {
    let arguments = host.read(&format!("/proc/{pid}/cmdline"))?;
    let arguments: Vec<_> = arguments.bytes().split(|byte| *byte == 0).collect();
    let given = match argument(&arguments, "config") {
        // Without this, flags count; with it, they do not.
        Some(path) => of_file(host, pid, path)?,
        None => of_flags(&arguments),
    };
    let effects = effects(&given, host.online_processors()?);
    Ok(Writer { effects, ..running(WriterKind::KubeProxy, pid) })
}

/// The one within k3s, whose arguments are not to be seen from outside.
pub(super) fn of_k3s(process: &SystemProcess) -> Writer {
    let unclear = |sysctl| Effect::Sets {
        sysctl,
        value: Written::Unclear { text: "as the kube-proxy within k3s is told to".into() },
        from: process.command.clone(),
        order: Order::Last,
    };
    let sysctls = [Some(Sysctl::CAPACITY), timeout(ESTABLISHED), timeout(CLOSE_WAIT)];
    Writer {
        kind: WriterKind::KubeProxy,
        presence: Presence::Running { pid: process.pid },
        effects: sysctls.into_iter().flatten().map(unclear).collect(),
    }
}

/// A setting as it was given.
#[derive(Clone, Debug)]
struct Given {
    text: Vec<u8>,
    from: Untrusted,
}

/// Those of conntrack that were given; the others have their defaults.
#[derive(Clone, Debug, Default)]
struct Settings {
    max_per_core: Option<Given>,
    min: Option<Given>,
    established: Option<Given>,
    close_wait: Option<Given>,
    udp: Option<Given>,
    udp_stream: Option<Given>,
    be_liberal: Option<Given>,
}

impl Settings {
    /// Every setting, by the name of its flag and that in a file.
    fn by_name(&mut self) -> [(&'static str, &'static str, &mut Option<Given>); 7] {
        [
            ("conntrack-max-per-core", "maxPerCore", &mut self.max_per_core),
            ("conntrack-min", "min", &mut self.min),
            ("conntrack-tcp-timeout-established", "tcpEstablishedTimeout", &mut self.established),
            ("conntrack-tcp-timeout-close-wait", "tcpCloseWaitTimeout", &mut self.close_wait),
            ("conntrack-udp-timeout", "udpTimeout", &mut self.udp),
            ("conntrack-udp-timeout-stream", "udpStreamTimeout", &mut self.udp_stream),
            ("conntrack-tcp-be-liberal", "tcpBeLiberal", &mut self.be_liberal),
        ]
    }
}

fn of_flags(arguments: &[&[u8]]) -> Settings {
    let mut settings = Settings::default();
    for (flag, _, place) in settings.by_name() {
        let from = Untrusted::from(format!("--{flag}").as_str());
        *place = argument(arguments, flag).map(|text| Given { text: text.to_vec(), from });
    }
    settings
}

/// `--name=value`, or `--name value`; a switch may stand alone. The last one counts. Underscores do for dashes (`WordSepNormalizeFunc` of
/// `k8s.io/component-base`).
fn argument<'a>(arguments: &[&'a [u8]], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    for (at, argument) in arguments.iter().enumerate() {
        let Some(flag) = argument.strip_prefix(b"--") else { continue };
        let end = flag.iter().position(|byte| *byte == b'=');
        let (given, value) = flag.split_at(end.unwrap_or(flag.len()));
        let dashed = given.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte });
        if !dashed.eq(name.bytes()) {
            continue;
        }
        found = value.get(1..).or_else(|| {
            let next = arguments.get(at + 1).filter(|next| !next.starts_with(b"--") && !next.is_empty());
            Some(next.copied().unwrap_or(b"true"))
        });
    }
    found
}

/// The file lies where the process sees it: in its container.
fn of_file(host: &HostFs, pid: u32, path: &[u8]) -> Result<Settings, Error> {
    let shown = Untrusted::from_bytes(path);
    let path = std::str::from_utf8(path).unwrap_or_default();
    let base = if path.starts_with('/') { "root" } else { "cwd/" };
    let text = host.read(&format!("/proc/{pid}/{base}{path}"))?;
    let block = conntrack_block(&text)?;
    let mut settings = Settings::default();
    for (_, key, place) in settings.by_name() {
        let found = block.get(key.as_bytes());
        *place = found.map(|value| Given { text: value.to_vec(), from: shown.clone() });
    }
    Ok(settings)
}

/// The keys below `conntrack:`. No more of YAML is understood than a block of plain values, which is what everybody writes.
fn conntrack_block(text: &Text) -> Result<BTreeMap<&[u8], &[u8]>, Error> {
    let mut block = BTreeMap::new();
    let mut is_within = false;
    for line in text.lines() {
        let bytes = line.bytes();
        let content = bytes.trim_ascii();
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        let is_top = !bytes.starts_with(b" ");
        if content.starts_with(b"{") {
            return Err(line.error(content, "is YAML of a kind that is not understood here"));
        }
        let Some(colon) = content.iter().position(|byte| *byte == b':') else { continue };
        let (key, value) = content.split_at(colon);
        let (key, value) = (unquoted(key), without_comment(value.get(1..).unwrap_or_default()));
        if is_top {
            is_within = key == b"conntrack";
            if is_within && !value.is_empty() {
                return Err(line.error(content, "is YAML of a kind that is not understood here"));
            }
        } else if is_within {
            let value = unquoted(value);
            // What is null has its default.
            if !value.is_empty() && value != b"null" && value != b"~" {
                block.insert(key, value);
            }
        }
    }
    Ok(block)
}

fn without_comment(value: &[u8]) -> &[u8] {
    let end = value.windows(2).position(|two| two == b" #").unwrap_or(value.len());
    value.get(..end).unwrap_or(value).trim_ascii()
}

const ESTABLISHED: Timeout = Timeout::Tcp(TcpState::Established);
const CLOSE_WAIT: Timeout = Timeout::Tcp(TcpState::CloseWait);

fn timeout(timeout: Timeout) -> Option<Sysctl> {
    Sysctl::of_timeout(timeout)
}

fn effects(settings: &Settings, processors: u32) -> Vec<Effect> {
    let mut effects = limits(settings, processors);
    let timeouts = [
        (ESTABLISHED, &settings.established, 86_400),
        (CLOSE_WAIT, &settings.close_wait, 3600),
        (Timeout::Udp, &settings.udp, 0),
        (Timeout::UdpStream, &settings.udp_stream, 0),
    ];
    for (of, given, default) in timeouts {
        let secs = Number::of(given.as_ref(), default, duration_secs);
        // 0 leaves it as it is.
        if let (Some(sysctl), false) = (timeout(of), secs.value == Some(0)) {
            effects.push(sets(
                sysctl,
                secs.written(|value| Written::ByVersion { newest: value, older: value }),
                secs.from,
            ));
        }
    }
    match &settings.be_liberal {
        Some(given) if is_true(&given.text) => {
            effects.push(sets(Sysctl::TCP_BE_LIBERAL, Written::Exactly { value: 1 }, given.from.clone()));
        }
        _ => {}
    }
    effects
}

/// The limit, and buckets where they are fewer than a quarter of it.
fn limits(settings: &Settings, processors: u32) -> Vec<Effect> {
    let per_core = Number::of(settings.max_per_core.as_ref(), 32_768, whole);
    let min = Number::of(settings.min.as_ref(), 131_072, whole);
    let from = if settings.max_per_core.is_some() { per_core.from.clone() } else { min.from.clone() };
    let (Some(by_core), Some(least)) = (per_core.value, min.value) else {
        let unclear = if per_core.value.is_none() { &per_core } else { &min };
        return vec![sets(Sysctl::CAPACITY, unclear.written(|value| Written::Exactly { value }), unclear.from.clone())];
    };
    if by_core == 0 {
        return Vec::new();
    }
    let scaled = u64::from(by_core) * u64::from(processors);
    let older = scaled.max(u64::from(least));
    let newest = if scaled > MOST_BY_PROCESSORS { MOST_BY_PROCESSORS } else { older };
    let [newest, older] = [newest, older].map(|value| u32::try_from(value).unwrap_or(u32::MAX));
    let quarter = Buckets::in_whole_pages(newest / 4).map_or(newest / 4, |buckets| buckets.0);
    vec![
        sets(Sysctl::CAPACITY, Written::ByVersion { newest, older }, from.clone()),
        sets(Sysctl::BUCKETS, Written::AtLeast { value: quarter }, from),
    ]
}

fn sets(sysctl: Sysctl, value: Written, from: Untrusted) -> Effect {
    Effect::Sets { sysctl, value, from, order: Order::Last }
}

/// A setting as a number.
struct Number {
    /// `None` where it is none.
    value: Option<u32>,
    text: Untrusted,
    from: Untrusted,
}

impl Number {
    fn of(given: Option<&Given>, default: u32, parse: fn(&str) -> Option<u32>) -> Self {
        match given {
            None => Self { value: Some(default), text: Untrusted::from(""), from: Untrusted::from("its defaults") },
            Some(Given { text, from }) => Self {
                value: std::str::from_utf8(text).ok().and_then(parse),
                text: Untrusted::from_bytes(text),
                from: from.clone(),
            },
        }
    }

    fn written(&self, rule: fn(u32) -> Written) -> Written {
        self.value.map_or_else(|| Written::Unclear { text: self.text.clone() }, rule)
    }
}

/// A whole number as flags and YAML have it: `0x10` and `010` are sixteen and eight, `1_000` is a thousand (`strconv.ParseInt` with base 0).
fn whole(text: &str) -> Option<u32> {
    let digits = text.replace('_', "");
    let (digits, base) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..)?, 16),
        [b'0', b'o' | b'O', ..] => (digits.get(2..)?, 8),
        [b'0', b'b' | b'B', ..] => (digits.get(2..)?, 2),
        [b'0', _, ..] => (digits.get(1..)?, 8),
        _ => (digits.as_str(), 10),
    };
    u32::from_str_radix(digits, base).ok()
}

/// As flags have it (`strconv.ParseBool`), or YAML 1.1.
fn is_true(text: &[u8]) -> bool {
    [&b"true"[..], b"t", b"1", b"yes", b"y", b"on"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whole seconds of a duration as Go writes it (`1h0m0s`, `90s`, `1.5h`; `time.ParseDuration`).
fn duration_secs(text: &str) -> Option<u32> {
    if text == "0" {
        return Some(0);
    }
    let mut secs = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let unit_secs = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        secs += number.parse::<f64>().ok()? * unit_secs;
        rest = after;
    }
    let is_one = !text.is_empty() && secs <= f64::from(u32::MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it fits, and Go cuts it off too")]
    is_one.then_some(secs as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as kube-proxy 1.30.5 told with `--write-config-to`.
    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, number) in [
            ("0x10", Some(16)),
            ("1_000", Some(1000)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("-1", None),
            ("", None),
            ("0x", None),
        ] {
            assert_eq!(whole(text), number, "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, secs) in [
            ("24h0m0s", Some(86_400)),
            ("1h", Some(3600)),
            ("90s", Some(90)),
            ("1.5h", Some(5400)),
            ("500ms", Some(0)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("1x", None),
            ("-1s", None),
            ("h", None),
            ("1..2s", None),
            ("99999999999h", None),
        ] {
            assert_eq!(duration_secs(text), secs, "{text}");
        }
    }
}
