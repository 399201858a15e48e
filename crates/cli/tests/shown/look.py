#!/usr/bin/env python3
"""Looks at a report in headless Chromium: look.py PAGE.html. Prints what is wrong, and then exits with 1."""

import sys

sys.dont_write_bytecode = True

from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "watch/tests/page"))

from check import CONTRAST, OVERFLOW
from chromium import Chromium


def main(page):
    url = Path(page).resolve().as_uri()
    wrong = []
    with Chromium() as browser:
        browser.open(url)
        browser.until("the page", "location.protocol === 'file:' && document.readyState === 'complete'")
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            found = browser.run(CONTRAST)
            if found["bad"] or found["judged"] < 50:
                wrong.append(f"contrast, {scheme}: {found}")
        for width in (360, 600, 1024, 1440):
            browser.size(width, 800)
            if overflow := browser.run(OVERFLOW):
                wrong.append(f"at {width} px something sticks out: {overflow}")
        if browser.run("document.querySelectorAll('main .finding, main svg.chart, main .picture svg').length") < 5:
            wrong.append("findings, changes or pictures are missing")
        wrong += browser.complaints()
        requests = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
        wrong += [f"it asks for {asked}" for asked in requests if asked != url]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
