#!/usr/bin/env python3
"""Serves the dashboard with what a daemon would tell: `mock.py [SCENARIO] [PORT]`, on loopback, for tests and to look at.

The page is under the same Content-Security-Policy as the daemon's. A status comes each second.
"""

import sys

sys.dont_write_bytecode = True

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from fixtures import SCENARIOS

ASSETS = Path(__file__).resolve().parents[2] / "assets"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


class Mock(ThreadingHTTPServer):
    """A daemon that plays one scenario."""

    daemon_threads = True

    def __init__(self, scenario, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.scenario = SCENARIOS[scenario]()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        self.requests = []
        # While this is so, connections stay and nothing comes.
        self.paused = False
        self.last_reading = 0.0

    def reading(self):
        """The time of the newest reading: all who ask within an interval are told the same."""
        if not self.paused:
            interval = self.scenario.interval_secs
            self.last_reading = time.time() // interval * interval
        return self.last_reading

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        self.server.requests.append(self.path)
        scenario = self.server.scenario
        if url.path == "/api/status":
            self.answer_json(scenario.status(self.server.reading()))
        elif url.path == "/api/history":
            netns = parse_qs(url.query, keep_blank_values=True).get("netns", [""])[0]
            self.answer_json(scenario.history(self.server.reading(), netns))
        elif url.path == "/api/events":
            self.events(scenario)
        else:
            self.asset(url.path.lstrip("/") or "index.html")

    def events(self, scenario):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                time.sleep(scenario.interval_secs)
                if self.server.paused:
                    continue
                self.wfile.write(b"event: status\ndata: " + json.dumps(scenario.status(self.server.reading())).encode() + b"\n\n")
        except OSError:
            pass

    def asset(self, name):
        path = ASSETS / name
        if path.parent != ASSETS or not path.is_file():
            return self.answer(404, "text/plain", b"no such page\n")
        return self.answer(200, TYPES[path.suffix], path.read_bytes())

    def answer_json(self, document):
        if document is None:
            return self.answer(404, "text/plain", b"no such namespace\n")
        return self.answer(200, "application/json", json.dumps(document).encode())

    def answer(self, code, kind, body):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    mock = Mock(sys.argv[1] if len(sys.argv) > 1 else "filling", int(sys.argv[2]) if len(sys.argv) > 2 else 8642)
    print(mock.url, flush=True)
    mock.serve_forever()
