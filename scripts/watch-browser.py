"""Looks at the page of `cutover watch --http` in a real browser, while a whole night runs in the sandbox, and says what it saw.

Usage: watch-browser.py CUTOVER [PICTURES]      (`make browser` installs what it needs, and runs it)

It opens the page at the size of a desk and of a phone, light and dark, and holds it to what docs/report.md says of it: a link leads in and
leaves the address bar, nobody gets in without one, nothing can be sent, nothing is loaded from elsewhere, no policy is broken; verdict, clock,
gates, steps, triggers and curves change by themselves; nothing is wider than the screen; what somebody has scrolled or focused stays where it is; a
screen reader finds its landmarks, headings and tables. With PICTURES, a folder, it leaves a picture of each moment there.

The exit code is 0 if all of it holds, and 1 if not.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = [
    ("desk", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}),
    ("desk-dark", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}),
    (
        "phone",
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "is_mobile": True, "has_touch": True, "device_scale_factor": 2},
    ),
    (
        "phone-dark",
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "is_mobile": True, "has_touch": True, "device_scale_factor": 2},
    ),
]
SECTIONS = ["gates", "steps", "triggers", "monitoring", "timeline", "signals", "parity", "events"]
# How long something may take to appear on a busy machine, in seconds.
SOON, NIGHT = 60, 300
SPEED, RATE = 20, 40

failures = []


def held(what, is_so, detail=""):
    print(f"{'ok   ' if is_so else 'FAILS'} {what}{f': {detail}' if detail else ''}", flush=True)
    if not is_so:
        failures.append(what)


def until(what, find, seconds=SOON):
    """What is found, as soon as it is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.1)
    sys.exit(f"{what} has not come within {seconds} s")


class Night:
    """A night in the sandbox that plays by itself, and the page of it."""

    def __init__(self, cutover, root):
        self.root = Path(root)
        self.log = open(self.root / "demo.log", "w", encoding="utf-8")
        command = [cutover, "demo", "--headless", "--speed", str(SPEED), "--rate", str(RATE), "--rows", "5000"]
        command += ["--fault", "5xx", "--dir", str(self.root / "sandbox")]
        self.demo = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        session = until("a session", self.session, NIGHT)
        self.command = [cutover, "watch", "--dir", str(session), "--http", "127.0.0.1:0", "--stay", "5"]
        for name in [*(name for name, _ in SIZES), "other"]:
            self.command += ["--viewer", name]
        self.watch, self.links = until("a page", self.offered)

    def offered(self):
        """The page and its links, once the session has been opened."""
        watch = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # One line for each of those who may look.
        lines = [watch.stdout.readline().split() for _ in range(len(SIZES) + 1)]
        return (watch, dict(lines)) if all(lines) else None

    def session(self):
        """The folder of the night, which comes after its rehearsal."""
        if self.demo.poll() is not None:
            sys.exit(f"the demo has ended: {(self.root / 'demo.log').read_text()}")
        found = [f for f in (self.root / "sandbox" / ".cutover").glob("*") if "rehearsal" not in f.name]
        return next((f for f in found if (f / "shared" / "journal.db").exists()), None)

    def end(self):
        for process in (self.watch, self.demo):
            process.terminate()
            process.wait()
        self.log.close()


class Window:
    """A page in a browser, and everything that it complained about."""

    def __init__(self, browser, name, options, link):
        self.name, self.complaints, self.asked = name, [], []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append((request.method, request.url)))
        self.page.goto(link)

    def text(self, id):
        return self.page.locator(f"#{id}").inner_text()

    def picture(self, folder, moment):
        if folder:
            self.page.screenshot(path=folder / f"{self.name}-{moment}.png", full_page=moment == "whole")

    def close(self):
        self.context.close()


def strangers(browser, link):
    """Who has no link, or a wrong one, sees nothing."""
    home = re.sub("/[^/]*$", "/", link)
    for what, address in [("without a link", home), ("with a wrong link", home + "A" * 43), ("the events without a link", home + "events")]:
        context = browser.new_context()
        page = context.new_page()
        answer = page.goto(address)
        told = page.inner_text("body")
        is_shut = answer.status == 401 and "link" in told and "K1" not in told and not context.cookies()
        held(f"nobody gets in {what}", is_shut, f"{answer.status}, {told.strip()!r}")
        context.close()
    context = browser.new_context()
    context.new_page().goto(link)
    for method in ["POST", "PUT", "DELETE", "PATCH"]:
        status = context.request.fetch(home, method=method).status
        held(f"{method} is refused", status == 405, str(status))
    context.close()


def entered(window, link):
    token = link.rsplit("/", 1)[1]
    cookies = window.context.cookies()
    held(f"{window.name}: the link has left the address bar", token not in window.page.url, window.page.url)
    held(f"{window.name}: no script reads the cookie", len(cookies) == 1 and cookies[0]["httpOnly"] and cookies[0]["sameSite"] == "Lax")
    held(f"{window.name}: every section is there", all(window.page.locator(f"#{id}").count() == 1 for id in SECTIONS))


def fits(window):
    width = window.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    held(f"{window.name}: nothing is wider than the screen", width[0] <= width[1], f"{width[0]} of {width[1]} pixels")


def follows(window, ids):
    """These pieces become others by themselves."""
    for id in ids:
        before = window.text(id)
        changed = until(f"another {id} on {window.name}", lambda: window.page.locator(f"#{id}").inner_html() and window.text(id) != before, NIGHT)
        held(f"{window.name}: {id} changes by itself", changed)


def curve_follows(window):
    curves = window.page.locator("#signals svg")
    until("a curve", lambda: curves.count() > 0, NIGHT)
    before = curves.first.inner_html()
    held(f"{window.name}: a curve goes on by itself", until("another curve", lambda: curves.first.inner_html() != before))


def stays(window):
    """What somebody has scrolled and focused stays through a piece that is replaced."""
    scroll = """() => { const it = [...document.querySelectorAll('#signals .picture, #steps .wide, #events .wide')].find(e => e.scrollWidth > e.clientWidth);
        if (!it) return null; it.scrollLeft = 40; it.focus(); window.watched = it.closest('section').id; return window.watched; }"""
    id = window.page.evaluate(scroll)
    if id is None:
        return held(f"{window.name}: nothing is scrolled sideways", True)
    window.page.evaluate("id => { window.replaced = 0; new MutationObserver(() => window.replaced++).observe(document.getElementById(id), { childList: true }) }", id)
    until("a piece that is replaced", lambda: window.page.evaluate("window.replaced") > 0, NIGHT)
    left = window.page.evaluate("id => Math.max(...[...document.querySelectorAll(`#${id} .picture, #${id} .wide`)].map(e => e.scrollLeft))", id)
    held(f"{window.name}: what was scrolled sideways stays there", left == 40, f"{left} of 40 pixels in {id}")
    focused = window.page.evaluate("document.activeElement.closest('section')?.id")
    held(f"{window.name}: what had the focus has it", focused == id, str(focused))


def readable(window):
    """What a screen reader finds."""
    page = window.page
    held(f"{window.name}: it has a language and a title", page.evaluate("document.documentElement.lang") == "en" and page.title() != "", page.title())
    held(f"{window.name}: one main part", page.get_by_role("main").count() == 1)
    held(f"{window.name}: one heading of the first level", page.get_by_role("heading", level=1).count() == 1)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].filter(h => h.offsetParent).map(h => +h.tagName[1])")
    held(f"{window.name}: no level of headings is left out", all(b <= a + 1 for a, b in zip(levels, levels[1:])), str(levels))
    held(f"{window.name}: the verdict is told when it changes", page.get_by_role("status").count() >= 1)
    unnamed = page.evaluate("[...document.querySelectorAll('svg')].filter(s => s.getAttribute('role') !== 'img' || !s.getAttribute('aria-label')).length")
    held(f"{window.name}: every picture has a name", unnamed == 0, f"{unnamed} without")
    headless = page.evaluate("[...document.querySelectorAll('table')].filter(t => !t.querySelector('th[scope=col]')).length")
    held(f"{window.name}: every table has heads of columns", headless == 0, f"{headless} without")
    shut = page.evaluate("[...document.querySelectorAll('.wide,.picture')].filter(e => e.scrollWidth > e.clientWidth && e.tabIndex < 0).length")
    held(f"{window.name}: what scrolls can be reached by keys", shut == 0, f"{shut} cannot")
    faint = page.evaluate(CONTRAST)
    held(f"{window.name}: every text has a contrast of 4.5 to 1", not faint, "; ".join(faint[:5]))


# Words of little contrast against what is behind them.
CONTRAST = """() => {
  const rgb = c => (c.match(/[0-9.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length && c[3] !== 0) return c; } return [255, 255, 255]; };
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.getClientRects().length || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(e.tagName)) continue;
    const style = getComputedStyle(e);
    const ink = rgb(e.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(`${e.tagName}.${e.getAttribute('class')} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return [...found];
}"""


def quiet(window, home):
    held(f"{window.name}: the browser complains of nothing", not window.complaints, "; ".join(window.complaints[:3]))
    foreign = [url for _, url in window.asked if not url.startswith(home)]
    held(f"{window.name}: nothing is asked of anybody else", not foreign, "; ".join(foreign[:3]))
    methods = {method for method, _ in window.asked}
    held(f"{window.name}: nothing but GET is asked", methods == {"GET"}, str(methods))


def look(browser, night, pictures):
    home = re.sub("/[^/]*$", "/", night.links["desk"])
    strangers(browser, night.links["other"])
    gone(browser, night)
    windows = [Window(browser, name, options, night.links[name]) for name, options in SIZES]
    for window in windows:
        entered(window, night.links[window.name])
        fits(window)
        window.picture(pictures, "begun")
    follows(windows[0], ["clock", "events", "steps", "gates"])
    curve_follows(windows[0])
    for window in windows:
        readable(window)
        fits(window)
    stays(next(w for w in windows if w.name == "phone"))
    window = windows[0]
    until("a night that goes on", lambda: "F4" in window.text("events"), NIGHT)
    follows(window, ["triggers"])
    for one in windows:
        one.picture(pictures, "switched")
    before = window.text("verdict")
    until("a night that is over", lambda: "is over" in window.text("clock"), NIGHT)
    held("the verdict changes by itself", window.text("verdict") != before, window.text("verdict").splitlines()[1])
    for one in windows:
        until("the end on every screen", lambda one=one: "is over" in one.text("clock"))
        held(f"{one.name}: the end is told, and no alarm that nothing new comes", not one.page.locator("#lost").is_visible())
        fits(one)
        one.picture(pictures, "over")
        one.picture(pictures, "whole")
        readable(one)
        quiet(one, home)
        one.close()


def gone(browser, night):
    """A page whose command has ended says that nothing new arrives."""
    watch, links = night.offered()
    window = Window(browser, "left alone", SIZES[0][1], links["other"])
    held("no alarm while the page follows", not window.page.locator("#lost").is_visible())
    watch.terminate()
    watch.wait()
    is_told = until("an alarm that nothing new comes", lambda: window.page.locator("#lost").is_visible())
    held("an alarm is told when nothing new comes", is_told and window.page.get_by_role("alert").count() == 1)
    window.close()


def chromium(play):
    """The browser that the machine has, else the one that came with the driver."""
    found = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    # A container has no sandbox for it; the page is ours.
    return play.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])


def main():
    cutover = os.path.abspath(sys.argv[1])
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cutover-browser-") as root, sync_playwright() as play:
        browser = chromium(play)
        print(f"Chromium {browser.version}")
        night = Night(cutover, root)
        try:
            look(browser, night, pictures)
        finally:
            night.end()
            browser.close()
    print(f"{len(failures)} do not hold" if failures else "all of it holds")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
