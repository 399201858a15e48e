#!/usr/bin/env python3
"""Has kube-proxy make the rules of a made-up cluster, and writes them into `rulesets` and `told`: `capture.py KUBE_PROXY`.

Each mode gets a network namespace of its own, which ends with it. There is no cluster: a server on loopback answers as the Kubernetes API
would. kube-proxy is told to leave limits and timeouts of tracking alone, some of which are the whole machine's.
"""

import sys

sys.dont_write_bytecode = True

import json
import os
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cluster import NODE, NODE_ADDRESSES, OBJECTS, POD_NETWORKS

PORT = 8001
PATIENCE_SECS = 120
TESTS = Path(__file__).resolve().parents[1]
# Of iptables.
VARIANTS = ["legacy", "nft"]
# A service of each family.
LAST = {"ip": "10.96.0.99", "ip6": "fd00:10:96::14"}


def main():
    program, *mode = sys.argv[1:]
    if mode:
        prepare()
        capture(program, *mode)
        return
    for mode in [*VARIANTS, "nftables"]:
        subprocess.run(["unshare", "--net", "--mount", sys.executable, __file__, program, mode], check=True)


def prepare():
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "wan", "type", "veth", "peer", "name", "beyond")
    run("ip", "link", "set", "beyond", "up")
    for address, length in zip(NODE_ADDRESSES, [24, 64]):
        run("ip", "address", "add", f"{address}/{length}", "dev", "wan", *(["nodad"] if ":" in address else []))
    run("ip", "link", "set", "wan", "up")
    serve()


def capture(program, mode):
    if mode == "nftables":
        with KubeProxy(program, mode, "nft"):
            wait_for(lambda: run("nft", "list", "ruleset"), LAST.values())
            (TESTS / "rulesets/kube-nftables.nft").write_text(run("nft", "list", "ruleset"))
            (TESTS / "told/kube-nftables.json").write_text(run("nft", "-j", "list", "ruleset"))
        return
    with KubeProxy(program, "iptables", mode):
        for program, family, end in [("iptables", "ip", "v4"), ("ip6tables", "ip6", "v6")]:
            wait_for(lambda: run(f"{program}-{mode}-save"), [LAST[family]])
            keep(TESTS / f"rulesets/kube-iptables.{end}", bare(run(f"{program}-{mode}-save")))


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
            os.symlink(f"/usr/sbin/{name}-{variant}{end}", f"{folder}/{name}{end}")
    return f"{folder}:{os.environ['PATH']}"


class KubeProxy:
    """It runs for as long as this does."""

    def __init__(self, program, mode, variant):
        self.command = [
            program,
            f"--master=http://127.0.0.1:{PORT}",
            "--kube-api-content-type=application/json",
            f"--hostname-override={NODE}",
            f"--proxy-mode={mode}",
            "--feature-gates=NFTablesProxyMode=true",
            f"--cluster-cidr={','.join(POD_NETWORKS)}",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]
        self.env = {**os.environ, "PATH": path_with(variant)}

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, env=self.env, stdout=self.log, stderr=self.log)

    def __exit__(self, failure, *_):
        self.process.terminate()
        self.process.wait()
        if failure:
            self.log.seek(0)
            sys.stderr.buffer.write(self.log.read())


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        wanted, _, name = url.path.rpartition("/")
        if url.path in OBJECTS and "watch" in parse_qs(url.query):
            self.watch()
        elif url.path in OBJECTS:
            version, kind, objects = OBJECTS[url.path]
            self.answer(200, {"apiVersion": version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": objects})
        elif one := [one for one in OBJECTS.get(wanted, ("", "", []))[2] if one["metadata"]["name"] == name]:
            version, kind, _ = OBJECTS[wanted]
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


def serve():
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Api)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


main()
