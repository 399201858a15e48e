"""Documents as the daemon would give them, for one moment of each scenario.

Each scenario is a function of the time: `status(now)` and `history(now, netns)` agree with each other, and the status
of the next reading differs from this one.
"""

import math
import random

HOUR, DAY, WEEK = 3600, 86400, 604800
HOSTILE_NAME = "<script>document.title='owned'</script>"
HOSTILE_BIDI = "edge\u202egnp.exe\u2066 \u200b\x1b[31mred"
HOSTILE_LONG = "pod-" + "x" * 4000
HOSTILE_IMAGE = "<img src=x onerror=\"document.body.dataset.owned='1'\">"


class Scenario:
    """One host. `level(t)` gives its main namespace's entries at a unix time."""

    verdict = "ok"
    capacity = 262144
    interval_secs = 1.0
    name = "host"

    def level(self, t):
        daily = math.sin((t % DAY) / DAY * 2 * math.pi - 2)
        return int(self.capacity * 0.047 * (1 + 0.25 * daily) + noise(t) * 60)

    def churn(self, t):
        return 210 + 12 * math.sin(t / 300) + noise(t) * 9

    def lost(self, t):
        return 0.0

    def status(self, now):
        return {
            "schema": "plimsoll.watch/1", "version": "0.1.0", "host": "web-1", "kernel": "6.18.5",
            "taken_at_unix_secs": int(now), "interval_secs": self.interval_secs, "verdict": self.verdict,
            "namespaces": self.namespaces(now), "findings": self.findings(now), "unseen": [],
        }

    def namespaces(self, now):
        return [self.main(now), quiet_namespace("blue", 1204), quiet_namespace("net:[4026532281]", 7)]

    def main(self, now):
        entries = self.level(now)
        churn = self.churn(now)
        return {
            "namespace": self.name, "relation": "own", "entries": entries, "capacity": self.capacity,
            "utilization": entries / self.capacity, "memory_bytes": entries * 320,
            "new_entries_per_sec": {"value": churn, "low": churn * 0.97, "high": churn * 1.03},
            "lost_per_sec": self.lost(now), "evicted_per_sec": 0.0,
            "states": states(entries), "services": shares("service", SERVICES), "sources": shares("source", SOURCES),
            "forecast": self.forecast(now),
        }

    def forecast(self, now):
        entries = self.level(now)
        return {
            "within": [{"secs": secs, "probability": 0.0004} for secs in (900, 3600, 86400)],
            "full_in_secs": None,
            "ahead": [ahead(secs, entries * (1 + 0.01 * secs / HOUR), entries * 0.02 * (secs / 600) ** 0.5)
                      for secs in (60, 300, 900, 1800, 3600, 4 * HOUR, DAY)],
            "because": "keeps to its daily shape",
        }

    def findings(self, now):
        return []

    def history(self, now, netns):
        main = next((ns for ns in self.namespaces(now) if ns["namespace"] == netns), None)
        if main is None:
            return None
        level = self.level if netns == self.name else lambda t: int(main["entries"] + noise(t) * 3)
        step = 10.0
        fine = [[t, level(t), self.churn(t), self.lost(t)] for t in steps(now - HOUR, now, step)]
        coarse = []
        for t in steps(now - WEEK, now, 300.0):
            around = [level(t + n * 30) for n in range(10)]
            coarse.append([t, min(around), sum(around) / len(around), max(around)])
        return {
            "schema": "plimsoll.history/1", "namespace": netns, "capacity": main["capacity"],
            "fine": {"step_secs": step, "points": fine}, "coarse": {"step_secs": 300.0, "points": coarse},
        }


class Healthy(Scenario):
    pass


class Filling(Scenario):
    verdict = "warning"

    def __init__(self):
        self.start = None

    def level(self, t):
        self.start = self.start or t
        rise = max(0.0, t - self.start + 40 * 60)
        return min(self.capacity, int(132000 + 21.5 * rise + 1500 * math.sin(t / 700) + noise(t) * 150))

    def churn(self, t):
        return 812 + 40 * math.sin(t / 500) + noise(t) * 25

    def forecast(self, now):
        entries = self.level(now)
        return {
            "within": [{"secs": 900, "probability": 0.02}, {"secs": 3600, "probability": 0.41}, {"secs": 86400, "probability": 0.87}],
            "full_in_secs": {"value": 3670.0, "low": 2480.0, "high": None},
            "ahead": [ahead(secs, min(entries + 21.5 * secs, self.capacity), 3.4 * secs) for secs in (60, 300, 600, 900, 1800, 3600)],
            "because": "rises by 21.5 entries a second for 40 min",
        }

    def findings(self, now):
        return [
            finding("table-filling", "warning", "likely", "host", "the table will be full in about 1 h",
                    "When it is full, the packets of new connections are dropped without a word; the connections that are there go on.",
                    ["at the present rate and the timeouts in force it is full in about 1 h: 41 min at the earliest",
                     "812 new entries a second come, 790 go"],
                    [("Raise the limit while there is time; 524,288 entries take 80 MiB more at most", "plimsoll plan --watch-for 30s"),
                     ("Watch for longer, to know how fast it goes", "plimsoll check --watch-for 30s")]),
            finding("connection-storm", "warning", "likely", "host", "short connections from 10.1.2.3 to 10.0.0.1:443/tcp hold half of the table",
                    "Each is over within a second, and its entry stays for two minutes more.",
                    ["94,102 entries (51.2% of the table) in TIME_WAIT", "784 of 812 new entries a second are of these"],
                    [("Keep connections open between the proxy and its backends", None),
                     ("Shorten the time that such entries are held", "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30")]),
            finding("settings-not-persistent", "info", "certain", None, "a setting in force will not be there after the next boot",
                    "", ["nf_conntrack_max is 262144, and no file sets it"], []),
        ]


class Full(Filling):
    verdict = "critical"

    def level(self, t):
        self.start = self.start or t
        rise = max(0.0, t - self.start + 25 * 60)
        return min(self.capacity - int(abs(noise(t)) * 90), int(90000 + 160 * rise))

    def lost(self, t):
        full = self.level(t) >= self.capacity - 100
        return (140 + 60 * math.sin(t / 90) + 30 * noise(t)) if full else 0.0

    def main(self, now):
        return super().main(now) | {"evicted_per_sec": 371.5}

    def forecast(self, now):
        return {"within": [{"secs": secs, "probability": 1.0} for secs in (900, 3600, 86400)],
                "full_in_secs": {"value": 0.0, "low": 0.0, "high": 12.0},
                "ahead": [ahead(secs, self.capacity, 400) for secs in (60, 900, 1800)], "because": "is full"}

    def findings(self, now):
        return [
            finding("table-full", "critical", "certain", "host", "the table is full: %.0f packets a second are dropped" % self.lost(now),
                    "Packets of flows that have an entry pass. The first packet of a flow that gets none is dropped without an answer: connections time out, sends of local programs fail.",
                    ["262,144 of 262,144 entries", "%.0f packets a second were dropped by the full table" % self.lost(now), "371 entries a second were evicted to make room"],
                    [("Raise the limit now; it needs no reboot and takes 80 MiB at most", "sysctl -w net.netfilter.nf_conntrack_max=524288"),
                     ("Remove entries of connections that are over", "plimsoll trim --yes"),
                     ("See what would last", "plimsoll plan")]),
        ] + super().findings(now)[1:2]


class Unknown(Scenario):
    verdict = "unknown"

    def main(self, now):
        return super().main(now) | {
            "capacity": None, "utilization": None, "memory_bytes": None, "new_entries_per_sec": None, "lost_per_sec": None,
            "evicted_per_sec": None, "states": [], "services": [], "sources": [], "forecast": None}

    def findings(self, now):
        return [finding("cannot-see", "unknown", "certain", None, "whether packets are lost could not be read", "It may be that packets are being dropped.", [], [("Run it with the right to read entries", None)])]

    def status(self, now):
        return super().status(now) | {"unseen": ["entries of host: netlink answered EPERM; CAP_NET_ADMIN would show them", "/proc/sys/net/netfilter/nf_conntrack_max: no such file"]}

    def history(self, now, netns):
        found = super().history(now, netns)
        if found:
            found["capacity"] = None
            found["fine"]["points"] = [[t, n, None, None] for t, n, _, _ in found["fine"]["points"][-40:] if not 100 < now - t < 200]
            found["coarse"]["points"] = []
        return found


class Many(Filling):
    verdict = "critical"

    def namespaces(self, now):
        random.seed(7)
        rest = []
        for n in range(299):
            share = random.random() ** 3
            ns = quiet_namespace(f"cni-{random.getrandbits(48):012x}" if n % 3 else f"net:[{4026532000 + n}]", int(65536 * share), 65536)
            ns["new_entries_per_sec"] = {"value": 300 * share, "low": 290 * share, "high": 310 * share}
            if n % 17 == 0:
                ns["capacity"] = ns["utilization"] = ns["forecast"] = None
            rest.append(ns)
        return [self.main(now)] + rest

    def findings(self, now):
        crowded = [ns for ns in self.namespaces(now)[1:] if (ns["utilization"] or 0) > 0.75]
        return super().findings(now) + [
            finding("table-filling" if ns["utilization"] < 0.9 else "namespace-full", "warning" if ns["utilization"] < 0.9 else "critical", "certain",
                    ns["namespace"], "the table is %.0f%% full" % (100 * ns["utilization"]), "", [], []) for ns in crowded]


class Hostile(Filling):
    verdict = "critical"

    def namespaces(self, now):
        main = self.main(now)
        main["states"][0] |= {"state": HOSTILE_NAME}
        main["services"] = shares("service", [HOSTILE_IMAGE, HOSTILE_LONG, HOSTILE_BIDI, "\u05e9\u05dc\u05d5\u05dd:443/tcp"])
        main["forecast"]["because"] = HOSTILE_IMAGE
        return [main] + [quiet_namespace(name, 5000 - n) for n, name in enumerate(
            [HOSTILE_NAME, HOSTILE_BIDI, HOSTILE_LONG, HOSTILE_IMAGE, "a b&c=d#e/..%2f", "__proto__", "constructor", "", "100%"])]

    def status(self, now):
        return super().status(now) | {"host": "web-1" + HOSTILE_IMAGE, "kernel": HOSTILE_BIDI, "unseen": [HOSTILE_NAME, HOSTILE_LONG]}

    def findings(self, now):
        return [finding("hostile" + HOSTILE_NAME, "warning", "likely", "host", HOSTILE_NAME + HOSTILE_BIDI, HOSTILE_IMAGE, [HOSTILE_LONG, HOSTILE_BIDI],
                        [(HOSTILE_NAME, "echo " + HOSTILE_LONG), (HOSTILE_IMAGE, "echo '" + HOSTILE_BIDI + "'")]),
                finding("elsewhere", "critical", "likely", HOSTILE_LONG, HOSTILE_LONG, "", [], [])]


SCENARIOS = {kind.__name__.lower(): kind for kind in (Healthy, Filling, Full, Unknown, Many, Hostile)}

STATES = [("tcp", "ESTABLISHED", 0.512), ("tcp", "TIME_WAIT", 0.301), ("udp", "assured", 0.094), ("udp", "replied", 0.041),
          ("tcp", "SYN_RECV", 0.021), ("icmp", "replied", 0.006), ("tcp", "CLOSE_WAIT", 0.0004)]
SERVICES = ["10.0.0.1:443/tcp", "10.0.0.53:53/udp", "[2001:db8:10:20:30:40:50:60]:8443/tcp", "10.0.0.7:5432/tcp", "10.0.0.9:6379/tcp"]
SOURCES = ["10.1.2.3", "2001:db8:10:20:30:40:50:60", "10.1.2.9", "192.0.2.77"]


def states(entries):
    found = []
    for protocol, state, share in STATES:
        low, high = share * 0.96, min(1, share * 1.04 + 0.001)
        found.append({"protocol": protocol, "state": state, "entries": {"low": int(low * entries), "high": int(high * entries)},
                      "share": {"value": share, "low": low, "high": high}})
    return found


def shares(key, names):
    return [{key: name, "share": {"value": 0.31 / (n + 1), "low": 0.29 / (n + 1), "high": 0.33 / (n + 1)}} for n, name in enumerate(names)]


def ahead(secs, value, spread):
    return {"in_secs": secs, "entries": {"value": value, "low": max(0, value - spread), "high": value + spread}}


def finding(key, severity, confidence, namespace, title, meaning, evidence, remedies):
    return {"id": key, "severity": severity, "confidence": confidence, "namespace": namespace, "title": title, "meaning": meaning,
            "evidence": [{"key": f"fact-{n}", "value": None, "text": text} for n, text in enumerate(evidence)],
            "remedies": [{"action": action, "command": command} for action, command in remedies]}


def quiet_namespace(name, entries, capacity=262144):
    return {"namespace": name, "relation": "other", "entries": entries, "capacity": capacity, "utilization": entries / capacity,
            "memory_bytes": entries * 320, "new_entries_per_sec": None, "lost_per_sec": 0.0, "evicted_per_sec": 0.0,
            "states": [], "services": [], "sources": [],
            "forecast": {"within": [{"secs": 900, "probability": 0.0}], "full_in_secs": None, "ahead": [], "because": "stays as it is"}}


def steps(start, end, step):
    first = math.ceil(start / step)
    return [n * step for n in range(first, int(end / step) + 1)]


def noise(t):
    """The same for the same time, about between -1 and 1."""
    return math.sin(t * 12.9898) * 0.6 + math.sin(t * 78.233) * 0.4
