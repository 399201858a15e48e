#!/usr/bin/env python3
"""Checks the dashboard in headless Chromium. Prints what failed, and then exits with 1.

    check.py [SCENARIO…]         against mock daemons, with every scenario of fixtures.py or with these
    check.py http://HOST:PORT/   against a daemon that runs
    check.py --pictures DIR      takes pictures of every scenario: wide, wide and dark, phone
"""

import sys

sys.dont_write_bytecode = True

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import fixtures
from chromium import Chromium, wait
from mock import Mock
from relay import Relay

PHONE, WIDE = (360, 740), (1440, 900)
NEEDED_POLICY = ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:"]

# Text against what lies behind it, WCAG 2.2: 4.5, or 3 where it is large. Lines and the edges of controls: 3.
CONTRAST = r"""
(() => {
  const rgba = (text) => { const probe = canvas.getContext('2d', { willReadFrequently: true }); probe.clearRect(0, 0, 1, 1); probe.fillStyle = text; probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data]; };
  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
  const over = ([r, g, b, a], under) => [r, g, b].map((c, n) => c * a / 255 + under[n] * (1 - a / 255));
  const light = (rgb) => { const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = (node) => { const own = rgba(getComputedStyle(node).backgroundColor); if (own[3] === 255) return own.slice(0, 3); return over(own, node.parentElement ? behind(node.parentElement) : [255, 255, 255]); };
  const bad = [];
  let judged = 0;
  const judge = (what, color, ground, least) => { judged += 1; const is = ratio(over(rgba(color), ground), ground); if (is < least) bad.push(`${what}: ${is.toFixed(2)} of ${least}`); };
  const name = (node) => `${node.tagName.toLowerCase()}${node.id ? '#' + node.id : ''}.${node.getAttribute('class') ?? ''} "${node.textContent.trim().slice(0, 30)}"`;
  for (const node of document.body.querySelectorAll('*')) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) || !node.checkVisibility()) continue;
    if (node.closest('.ship')) continue;
    const style = getComputedStyle(node);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    judge(name(node), node.closest('svg') ? style.fill : style.color, behind(node), large ? 3 : 4.5);
  }
  const paper = behind(document.body);
  for (const node of document.querySelectorAll('.chart path.line, .chart path.rule, .chart path.now, .bar .value')) {
    const style = getComputedStyle(node);
    judge(name(node), node.matches('.value') ? style.fill : style.stroke, paper, 3);
  }
  for (const node of document.querySelectorAll('input[type=search], fieldset span')) judge(`edge of ${name(node)}`, getComputedStyle(node).borderTopColor, paper, 3);
  for (const node of document.querySelectorAll('.sign circle, .sign .body')) judge(`sign in ${name(node.closest('svg').parentElement)}`, getComputedStyle(node).fill, behind(node.closest('svg').parentElement), 3);
  const hull = document.querySelector('.ship .hull');
  if (hull) {
    const dry = rgba(getComputedStyle(hull).fill).slice(0, 3);
    const sea = document.querySelector('.ship .sea');
    const grounds = [['hull', dry]];
    if (sea) { const s = getComputedStyle(sea); grounds.push(['hull under water', over([...rgba(s.fill).slice(0, 3), 255 * s.opacity], dry)]); }
    for (const [where, ground] of grounds) judge(`load line on ${where}`, getComputedStyle(document.querySelector('.ship text.load')).fill, ground, 4.5);
  }
  return { bad: [...new Set(bad)], judged };
})()
"""

# The name of the namespace that is shown, as the daemon spells it.
CHOSEN = "decodeURIComponent(document.querySelector('tr.chosen a').hash.slice('#netns='.length))"

OVERFLOW = r"""
(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width && document.body.scrollWidth <= width) return '';
  const wide = [...document.body.querySelectorAll('*')].filter((node) => node.getBoundingClientRect().right > width + 1 && !node.closest('.scroll'));
  return `${document.documentElement.scrollWidth} of ${width}: ` + wide.slice(-3).map((node) => node.tagName + '.' + node.getAttribute('class')).join(', ');
})()
"""


class Checks:
    """What was checked, and what of it failed."""

    def __init__(self, browser):
        self.browser = browser
        self.where = ""
        self.done = 0
        self.failed = []

    def that(self, what, holds, detail=""):
        self.done += 1
        if not holds:
            self.failed.append(f"{self.where}: {what}: {detail}" if detail != "" else f"{self.where}: {what}")
            print(f"FAILED {self.failed[-1]}", flush=True)

    def soon(self, what, script, secs=15):
        try:
            self.browser.until(what, script, secs)
            self.that(what, True)
        except TimeoutError:
            self.that(what, False, f"not within {secs:.0f} s")

    def nothing_complained(self):
        complaints = self.browser.complaints()
        self.that("no error in the console, no violation of the policy", not complaints, complaints)
        self.browser.events.clear()


def open_page(check, url, where, size=WIDE, scheme="light"):
    check.where = where
    check.browser.size(*size)
    check.browser.scheme(scheme)
    # A new document even where only the fragment differs.
    check.browser.open("about:blank")
    check.browser.open(url)
    check.soon("the page shows a namespace", "!!document.querySelector('#overview h2')")
    check.soon("the history is drawn", "!!document.querySelector('#charts svg, #charts .empty, .gone')")


def any_daemon(check, daemon):
    """What must hold with whatever the daemon tells."""
    browser = check.browser
    relay = Relay(daemon)
    url = relay.url
    open_page(check, url, daemon)
    with urlopen(url, timeout=10) as answer:
        policy = answer.headers.get("Content-Security-Policy", "")
        check.that("the policy is strict", all(part in policy for part in NEEDED_POLICY) and "unsafe" not in policy, policy)
    interval = browser.run("fetch('api/status').then((answer) => answer.json()).then((status) => status.interval_secs)")
    patience = 15 + 3 * interval

    headroom_is_told(check, patience)
    read_at_live_update(check, patience)
    keyboard(check)
    for size in (PHONE, (600, 900), (1024, 768), WIDE, (2200, 1200)):
        browser.size(*size)
        browser.run("new Promise((done) => setTimeout(done, 100))")
        check.that(f"nothing sticks out at {size[0]} px", browser.run(OVERFLOW) == "", browser.run(OVERFLOW))
    browser.size(*WIDE)
    for scheme in ("light", "dark"):
        contrast(check, scheme)
    check.nothing_complained()

    browser.call("Page.reload")
    check.soon("the history is drawn after a reload", "(document.querySelector('.chart path.line.entries')?.getAttribute('d') ?? '').length > 8")
    points = browser.run(f"fetch('api/history?netns=' + encodeURIComponent({CHOSEN}))"
                         ".then((answer) => answer.json()).then((body) => body.fine.points.length)")
    drawn = browser.run("document.querySelector('.chart path.line.entries').getAttribute('d').split(/[ML]/).length - 1")
    check.that("all of the history is drawn", drawn >= points * 0.95 - 1, f"{drawn} of {points} points")
    check.nothing_complained()

    relay.cut()
    check.soon("a lost daemon is told as stale", r"document.body.classList.contains('stale') && /^Stale: last reading .* ago$/.test(document.querySelector('#link').textContent)", patience + 5 * interval)
    check.that("and in words, aloud too", browser.run("['#verdict', '#announced'].every((id) => document.querySelector(id).textContent.includes('what is shown is old'))"))
    relay.mend()
    check.soon("it is live again by itself", "document.querySelector('#link').className === 'live' && !document.body.classList.contains('stale')", patience + 15)
    browser.events.clear()


def headroom_is_told(check, patience):
    told = "document.querySelector('#headroom').textContent.replaceAll('\\u00a0', ' ')"
    name = check.browser.run(CHOSEN)

    def expected():
        status = json.loads(check.browser.run("fetch('api/status').then((answer) => answer.text())"))
        ns = next(ns for ns in status["namespaces"] if ns["namespace"] == name)
        if ns["capacity"] is None:
            return f"{ns['entries']:,} entries; capacity not known"
        return f"{ns['entries']:,} of {ns['capacity']:,} entries, {percent(ns['utilization'])}; headroom {max(0, ns['capacity'] - ns['entries']):,}"

    words = re.compile(r"[\d,]+ of [\d,]+ entries, [<>]?[\d.]+ %; headroom [\d,]+|[\d,]+ entries; capacity not known")
    check.that("the headroom is told in words", words.fullmatch(check.browser.run(told)), check.browser.run(told))
    # The page may be one reading behind, so any agreement counts.
    try:
        wait("agreement", lambda: expected() == check.browser.run(told), patience)
        check.that("the headroom agrees with the status", True)
    except TimeoutError:
        check.that("the headroom agrees with the status", False, f"{expected()} / {check.browser.run(told)}")


def percent(share):
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{share * 100:.1f} %"


def read_at_live_update(check, patience):
    browser = check.browser
    browser.run("window.sameDocument = true")
    before = browser.run("document.querySelector('#link').dataset.taken")
    check.soon("a reading comes without a reload", f"document.querySelector('#link').dataset.taken !== '{before}' && window.sameDocument === true", patience)
    check.that("it is live", browser.run("document.querySelector('#link').className") == "live")


def keyboard(check):
    browser = check.browser
    browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    unseen = "(() => { const a = document.activeElement; const s = getComputedStyle(a); const t = a.matches('[type=radio]') ? getComputedStyle(a.nextElementSibling) : s; return t.outlineStyle === 'none' || parseFloat(t.outlineWidth) < 2 ? a.outerHTML.slice(0, 80) : ''; })()"
    for _ in range(200):
        browser.press("Tab")
        missing = browser.run(unseen)
        if missing:
            check.that("the focus is seen", False, missing)
        if browser.run("!!document.activeElement.closest('#rows tbody')"):
            break
    else:
        return check.that("Tab reaches the namespaces", False)
    check.that("the rows are one stop", browser.run("document.querySelectorAll('#rows tbody a[tabindex=\"-1\"]').length === document.querySelectorAll('#rows tbody a').length - 1"))
    browser.press("End")
    wanted = browser.run("document.activeElement.textContent")
    check.that("End goes to the last row", browser.run("document.activeElement === [...document.querySelectorAll('#rows tbody a')].at(-1)"))
    browser.press("Enter", "\r")
    check.soon("Enter chooses", f"document.querySelector('#chosen bdi').textContent === {json.dumps(wanted)}")
    check.soon("the focus goes to what was chosen", "document.activeElement.id === 'chosen'")
    check.soon("its history is drawn", "!!document.querySelector('#charts svg, #charts .empty')")
    if browser.run("!!document.querySelector('#charts svg')"):
        browser.run("document.querySelector('#charts').focus()")
        browser.press("ArrowLeft")
        check.soon("a key marks a time", "!!document.querySelector('#charts path.pointed')")
        before = browser.run("document.querySelector('#charts path.pointed').getAttribute('d')")
        browser.press("ArrowLeft")
        check.soon("a key goes along time", f"document.querySelector('#charts path.pointed')?.getAttribute('d') !== {json.dumps(before)}")
        browser.run("document.activeElement.blur()")
        check.soon("the mark goes with the focus", "!document.querySelector('#charts path.pointed')")
    return None


def contrast(check, scheme):
    check.browser.scheme(scheme)
    found = check.browser.run(CONTRAST)
    check.that(f"{scheme}: contrast", not found["bad"] and found["judged"] > 20, "; ".join(found["bad"]))


def with_mock(check, scenario):
    mock = Mock(scenario).start()
    try:
        any_daemon(check, mock.url)
        open_page(check, mock.url, scenario)
        nothing_unsaid(check)
        {"filling": filling, "unknown": unknown, "many": many, "hostile": hostile, "full": full}.get(scenario, lambda *_: None)(check, mock)
        check.where = scenario
        check.nothing_complained()
    finally:
        mock.shutdown()
        mock.server_close()


def nothing_unsaid(check):
    text = check.browser.run("document.body.innerText + document.title")
    for word in ("NaN", "undefined", "[object", "Infinity"):
        check.that(f"no {word}", word not in text, text[max(0, text.find(word) - 60):][:120])


def filling(check, mock):
    browser = check.browser
    open_page(check, mock.url, "filling")
    before = browser.run("document.querySelector('#headroom').textContent")
    browser.run("document.querySelector('.command code').focus(); getSelection().selectAllChildren(document.querySelector('.command code')); document.querySelector('#readings').open = true; window.sameDocument = 1")
    selected = browser.run("getSelection().toString()")
    check.soon("the number changes without a reload", f"document.querySelector('#headroom').textContent !== {json.dumps(before)} && window.sameDocument === 1")
    check.that("a command can be marked", len(selected) > 10, selected)
    check.that("focus, selection and open details outlive a reading", browser.run(
        f"document.activeElement.matches('.command code') && getSelection().toString() === {json.dumps(selected)} && document.querySelector('#readings').open"))
    check.soon("the readings are there as a table", "document.querySelectorAll('#readings tbody tr').length > 15")
    check.that("the charts have a text", browser.run("[...document.querySelectorAll('svg.chart, svg.ship')].every((svg) => (svg.getAttribute('aria-label') ?? '').length > 30)"))
    check.that("the forecast is drawn", browser.run("document.querySelector('.band.ahead').getAttribute('d').length > 30"))
    for span, points in (("day", 250), ("week", 1500)):
        browser.run(f"document.querySelector('[value={span}]').click()")
        drawn = browser.run("document.querySelector('.chart path.line.entries').getAttribute('d').split(/[ML]/).length - 1")
        check.that(f"the {span} is drawn", drawn > points, drawn)
    browser.run("document.querySelector('[data-copy]').click()")
    check.soon("a command can be copied", "/Copied|Marked/.test(document.querySelector('[data-copy]').textContent)")
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    check.that("nothing moves for who wants that", browser.run("getComputedStyle(document.querySelector('.water')).transitionDuration") == "0s")
    browser.scheme("light")

    browser.run("location.hash = '#netns=host'")
    check.soon("the heading has the focus", "document.activeElement.id === 'chosen'")
    browser.run("document.querySelector('#verdict a[href=\"#findings\"]').click()")
    check.that("a link to the findings leads there, and the address keeps the namespace", browser.run("document.activeElement.id === 'findings' && location.hash === '#netns=host'"))

    mock.paused = True
    check.soon("events that stop are told as stale", "document.body.classList.contains('stale') && document.querySelector('#link').textContent.startsWith('Stale')")
    mock.paused = False
    check.soon("and fresh ones as live", "!document.body.classList.contains('stale')")

    open_page(check, mock.url + "#netns=was-here", "filling, a namespace that is gone")
    check.that("what is gone is told", "no such namespace now" in browser.run("document.querySelector('#overview').textContent"))
    check.nothing_complained()
    # The check itself must be able to fail.
    browser.run("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }))")
    complaints = browser.complaints()
    check.that("an inline script is refused and noticed", browser.run("window.ran") is None and any("Content Security Policy" in text for text in complaints), complaints)
    browser.events.clear()


def full(check, mock):
    open_page(check, mock.url, "full")
    text = check.browser.run("document.querySelector('#verdict').textContent + document.querySelector('#overview').textContent")
    check.that("a full table is told", all(word in text for word in ("Critical", "the table is full", "now", "a second")), text)
    check.that("lost packets are drawn", check.browser.run("!!document.querySelector('path.line.lost')"))
    check.that("severity has a word beside its sign", check.browser.run("[...document.querySelectorAll('.sign')].every((sign) => sign.parentElement.textContent.trim().length > 1)"))


def unknown(check, mock):
    open_page(check, mock.url, "unknown")
    facts = check.browser.run("[...document.querySelectorAll('#overview dl > dd')].map((dd) => dd.textContent)")
    check.that("what is null is not known", facts == ["not known"] * 6, facts)
    check.that("the headroom too", check.browser.run("document.querySelector('#headroom').textContent").endswith("capacity not known"))
    check.that("what could not be read is told", check.browser.run("document.querySelectorAll('#findings details li').length") == 2)


def many(check, mock):
    browser = check.browser
    open_page(check, mock.url, "many")
    check.that("300 rows", browser.run("document.querySelectorAll('#rows tbody tr').length") == 300)
    check.that("the fullest first", browser.run("(() => { const shares = [...document.querySelectorAll('#rows tbody tr td:nth-child(2)')].map((td) => parseFloat(td.textContent)).filter((n) => n > 0); return shares.every((n, at) => at === 0 || n <= shares[at - 1]); })()"))
    browser.run("document.querySelector('#filter').focus()")
    browser.call("Input.insertText", text="NET:[")
    check.soon("the filter leaves what has it in its name", "(() => { const names = [...document.querySelectorAll('#rows tbody a')].map((a) => a.textContent); return names.length > 50 && names.length < 150 && names.every((name) => name.includes('net:[')); })()")
    check.that("and says how many", " of 300" in browser.run("document.querySelector('#shown').textContent"))
    spent = browser.run("(() => { const filter = document.querySelector('#filter'); filter.value = ''; const start = performance.now(); filter.dispatchEvent(new Event('input')); return performance.now() - start; })()")
    print(f"  300 rows are drawn in {spent:.0f} ms")


def hostile(check, mock):
    browser = check.browser
    open_page(check, mock.url + "#netns=host", "hostile")
    # innerHTML and the like would have made elements of it.
    check.that("no element came of a name", browser.run("document.querySelectorAll('body script, body img').length") == 0)
    check.that("no script ran", browser.run("document.body.dataset.owned === undefined && document.title !== 'owned'"))
    text = browser.run("document.body.textContent")
    check.that("hostile names are text", text.count(fixtures.HOSTILE_NAME) > 3 and fixtures.HOSTILE_IMAGE in text)
    check.that("bidi and control characters are written out", not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b]", text) and "\\u{202e}" in text)
    for ns in fixtures.SCENARIOS["hostile"]().namespaces(0)[1:]:
        name = ns["namespace"]
        mock.requests.clear()
        browser.run(f"[...document.querySelectorAll('#rows tbody a')].find((a) => a.getAttribute('href') === '#netns=' + encodeURIComponent({json.dumps(name)})).click()")
        check.soon(f"{name[:30]!r} can be chosen", f"location.hash === '#netns=' + encodeURIComponent({json.dumps(name)}) && !!document.querySelector('#headroom')")
        check.soon(f"{name[:30]!r} has its history", "!!document.querySelector('#charts svg')")
        check.that(f"{name[:30]!r} is asked for whole", any(parse_qs(urlsplit(path).query, keep_blank_values=True).get("netns") == [name] for path in mock.requests), [path[:120] for path in mock.requests])
    browser.size(*PHONE)
    check.that("nothing sticks out on a phone", browser.run(OVERFLOW) == "", browser.run(OVERFLOW))


def pictures(browser, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    check = Checks(browser)
    for scenario in fixtures.SCENARIOS:
        mock = Mock(scenario).start()
        for label, size, scheme in (("wide", WIDE, "light"), ("dark", WIDE, "dark"), ("phone", PHONE, "light")):
            open_page(check, mock.url, scenario, size, scheme)
            browser.until("a reading", "document.querySelector('#link').className === 'live'")
            browser.run("new Promise((done) => setTimeout(done, 900))")
            browser.screenshot(folder / f"{scenario}-{label}.png")
        mock.shutdown()
    return check


def main(arguments):
    with Chromium() as browser:
        if arguments[:1] == ["--pictures"]:
            check = pictures(browser, arguments[1])
        else:
            check = Checks(browser)
            if arguments and arguments[0].startswith("http"):
                any_daemon(check, arguments[0].rstrip("/") + "/")
            else:
                for scenario in arguments or fixtures.SCENARIOS:
                    with_mock(check, scenario)
    print(f"{check.done} checks, {len(check.failed)} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
