#!/usr/bin/env python3
"""Has kube-proxy make the rules of a made-up cluster, and writes them into `rulesets` and `told`: `capture.py KUBE_PROXY`.

Each mode gets a network namespace of its own, which ends with it. There is no cluster: a server on loopback answers as the Kubernetes API
would. kube-proxy is told to leave limits and timeouts of tracking alone, some of which are the whole machine's.

`capture.py KUBE_PROXY ipvs` and `settings` load modules and set what is the whole machine's: they are for a guest, where
`cargo run -p plimsoll-guest --example kube_proxy` runs them.
"""

import sys

sys.dont_write_bytecode = True

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cluster import NODE, NODE_ADDRESSES, POD_GATEWAYS, POD_NETWORKS, objects

PORT = 8001
PATIENCE_SECS = 600
TESTS = Path(__file__).resolve().parents[1]
# Of iptables.
VARIANTS = ["legacy", "nft"]
# Services of each family: one that nothing answers for is in another table than the others.
THERE = {"ip": ["10.96.0.99", "10.96.0.20"], "ip6": ["fd00:10:96::14"]}
CROWD = 1200
LEFT_ALONE = ["--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"]
CONFIGURATION = Path("/etc/kube-proxy.yaml")


def main():
    program, *mode = sys.argv[1:]
    if mode:
        prepare(*mode)
        MODES[mode[0]](program)
        return
    for mode in ["legacy", "nft", "nftables", "large"]:
        subprocess.run(["unshare", "--net", "--mount", sys.executable, __file__, program, mode], check=True)


def prepare(mode):
    run("ip", "link", "set", "lo", "up")
    device("wan", NODE_ADDRESSES, [24, 64])
    if mode == "ipvs":
        # Each of the node's addresses is a virtual service of each node port.
        device("cni0", POD_GATEWAYS, [24, 64])
    serve(objects(CROWD if mode == "large" else 0))


def device(name, addresses, lengths):
    run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
    for end in [name, f"{name}-peer"]:
        # No addresses that differ from run to run.
        run("ip", "link", "set", end, "addrgenmode", "none")
        run("ip", "link", "set", end, "up")
    for address, length in zip(addresses, lengths):
        run("ip", "address", "add", f"{address}/{length}", "dev", name, *(["nodad"] if ":" in address else []))


def capture_nftables(program):
    with KubeProxy(program, "nftables", "nft"):
        wait_for(lambda: run("nft", "list", "ruleset"), [*THERE["ip"], *THERE["ip6"]])
        (TESTS / "rulesets/kube-nftables.nft").write_text(run("nft", "list", "ruleset"))
        (TESTS / "told/kube-nftables.json").write_text(run("nft", "-j", "list", "ruleset"))


def capture_iptables(variant):
    def capture(program):
        with KubeProxy(program, "iptables", variant):
            for family, end in [("ip", "v4"), ("ip6", "v6")]:
                wait_for(lambda: saved(family, variant), THERE[family])
                keep(TESTS / f"rulesets/kube-iptables.{end}", saved(family, variant))

    return capture


def capture_large(program):
    """The pods' chains make it long."""
    with KubeProxy(program, "iptables", "nft"):
        wait_for(lambda: saved("ip", "nft"), THERE["ip"])
        file = TESTS / "../../attribute/tests/rulesets/kube-iptables-large.v4.xz"
        file.write_bytes(subprocess.run(["xz", "-9"], check=True, input=saved("ip", "nft").encode(), stdout=subprocess.PIPE).stdout)


def capture_ipvs(program):
    with KubeProxy(program, "ipvs", "legacy"):
        wait_for(lambda: run("ipvsadm", "--save", "--numeric"), [*THERE["ip"], *THERE["ip6"]])
        for family, end in [("ip", "v4"), ("ip6", "v6")]:
            wait_for(lambda: saved(family, "legacy"), ["-A KUBE-SERVICES"])
            keep(TESTS / f"rulesets/kube-ipvs.{end}", saved(family, "legacy"))
        keep(TESTS / "rulesets/kube-ipvs.ipset", run("ipset", "save"))
        keep(TESTS / "rulesets/kube-ipvs.ipvs", run("ipvsadm", "--save", "--numeric"))
        (TESTS / "told/kube-ipvs.ip_vs").write_text(Path("/proc/net/ip_vs").read_text())
        (device,) = json.loads(run("ip", "-json", "address", "show", "dev", "kube-ipvs0"))
        addresses = [f"{address['local']}/{address['prefixlen']}\n" for address in device["addr_info"]]
        keep(TESTS / "rulesets/kube-ipvs.addresses", "".join(addresses))


# What kube-proxy is told of tracking: by nothing, by flags, by a file.
TOLD = {
    "defaults": [],
    "flags": [
        "--conntrack-max-per-core=100000",
        "--conntrack-min=150000",
        "--conntrack-tcp-timeout-established=2h",
        "--conntrack-tcp-timeout-close-wait=5m30s",
        "--conntrack-udp-timeout=45s",
        "--conntrack-udp-timeout-stream=1m30s",
        "--conntrack-tcp-be-liberal",
    ],
    "file": [f"--config={CONFIGURATION}"],
}
# What files set before it starts.
SYSCTLS = {"max": 524288, "tcp_timeout_established": 3600, "tcp_timeout_close_wait": 45, "udp_timeout": 20}
NETFILTER = Path("/proc/sys/net/netfilter")


def capture_settings(program):
    """`before` and `after` are what was in force, `check.txt` is what is said of that."""
    told = "".join(f"net.netfilter.nf_conntrack_{name} = {value}\n" for name, value in SYSCTLS.items())
    write(Path("/etc/sysctl.d/90-table.conf"), told)
    write(Path("/etc/modules-load.d/table.conf"), "nf_conntrack\n")
    write(CONFIGURATION, (Path(__file__).parent / "configuration.yaml").read_text())
    for name, value in SYSCTLS.items():
        (NETFILTER / f"nf_conntrack_{name}").write_text(f"{value}")
    before = settings()
    for name, options in TOLD.items():
        folder = TESTS / "settings" / name
        write(folder / "before", before)
        with KubeProxy(program, "iptables", "legacy", options) as process:
            wait_for(lambda: saved("ip", "legacy"), THERE["ip"])
            write(folder / "after", settings())
            write(folder / "cmdline", Path(f"/proc/{process.pid}/cmdline").read_text())
            checked = subprocess.run(["plimsoll", "check", "--verbose", "--interval", "0"], capture_output=True, text=True)
            write(folder / "check.txt", checked.stdout)
        run("iptables-legacy", "--table", "nat", "--flush")
        changed = dict(line.split(" ", 1) for line in settings().splitlines()).items()
        for setting, value in dict(line.split(" ", 1) for line in before.splitlines()).items() - changed:
            (NETFILTER / setting).write_text(value)


def settings():
    files = sorted(NETFILTER.glob("nf_conntrack_*"))
    return "".join(f"{file.name} {file.read_text()}" for file in files if file.name != "nf_conntrack_count")


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


MODES = {
    "settings": capture_settings,
    **{variant: capture_iptables(variant) for variant in VARIANTS},
    "nftables": capture_nftables,
    "large": capture_large,
    "ipvs": capture_ipvs,
}


def saved(family, variant):
    return bare(run(f"{family}tables-{variant}-save"))


def keep(file, saved):
    """The variants differ in the order of tables, and kube-proxy in that of services from run to run."""
    before = file.read_text() if file.exists() else ""
    if sorted(before.splitlines()) != sorted(saved.splitlines()):
        file.write_text(saved)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def bare(saved):
    """Without comments and counts."""
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    return "".join(f"{line.split(' [')[0]} [0:0]\n" if line.startswith(":") else f"{line}\n" for line in lines)


def wait_for(tell, words):
    until = time.monotonic() + PATIENCE_SECS
    while not all(word in tell() for word in words):
        if time.monotonic() > until:
            sys.exit("kube-proxy has not made its rules")
        time.sleep(0.1)


def path_with(variant):
    """A path on which `iptables` is one of its two variants."""
    folder = tempfile.mkdtemp()
    for name in ["iptables", "ip6tables"]:
        for end in ["", "-save", "-restore"]:
            os.symlink(shutil.which(f"{name}-{variant}{end}"), f"{folder}/{name}{end}")
    return f"{folder}:{os.environ['PATH']}"


class KubeProxy:
    """It runs for as long as this does."""

    def __init__(self, program, mode, variant, options=LEFT_ALONE):
        self.command = [
            program,
            f"--master=http://127.0.0.1:{PORT}",
            "--kube-api-content-type=application/json",
            f"--hostname-override={NODE}",
            f"--proxy-mode={mode}",
            "--feature-gates=NFTablesProxyMode=true",
            f"--cluster-cidr={','.join(POD_NETWORKS)}",
            *options,
        ]
        self.env = {**os.environ, "PATH": path_with(variant)}

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, env=self.env, stdout=self.log, stderr=self.log)
        return self.process

    def __exit__(self, failure, *_):
        self.process.terminate()
        self.process.wait()
        if failure:
            self.log.seek(0)
            sys.stderr.buffer.write(self.log.read())


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects = {}

    def do_GET(self):
        url = urlsplit(self.path)
        wanted, _, name = url.path.rpartition("/")
        if url.path in self.objects and "watch" in parse_qs(url.query):
            self.watch()
        elif url.path in self.objects:
            version, kind, items = self.objects[url.path]
            self.answer(200, {"apiVersion": version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": items})
        elif one := [one for one in self.objects.get(wanted, ("", "", []))[2] if one["metadata"]["name"] == name]:
            version, kind, _ = self.objects[wanted]
            self.answer(200, {"apiVersion": version, "kind": kind, **one[0]})
        else:
            self.answer(404, {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 404})

    def do_POST(self):
        """Events of a node's life are taken and forgotten."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(201, json.loads(body))

    def watch(self):
        """Nothing ever changes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        threading.Event().wait()

    def answer(self, code, document):
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(objects):
    Api.objects = objects
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Api)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


main()
