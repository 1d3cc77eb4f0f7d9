"""Makes a moving picture of a cast: an SVG that plays by itself, also where a page shows it as an image. It runs no script and loads nothing.

Usage: draw.py CAST SVG

Neighbouring cells of one style are a run. A run that stays as it is over several frames is written once; runs that come and go at the same
times share one animation. Below the screen stand what was pressed last and what is going on.

Not in here: what was played (`record.py`).
"""

import json
import os
import re
import sys
from collections import defaultdict
from html import escape

from screen import Screen

# A cell, and what is around the screen, in units of the picture: whole numbers are short.
WIDTH, HEIGHT, SIZE, EDGE, BELOW = 9, 19, 15, 8, 40
INK, GROUND, MUTED, ACCENT = "#d7dde8", "#10141b", "#8a93a3", "#7cc4ff"
FONT = "'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,monospace"
MARKS = {"b": ";font-weight:bold", "d": ";opacity:.6", "i": ";font-style:italic", "u": ";text-decoration:underline"}
LAST = ' class="last"'
# Words of so many letters hardly depend on the width of a font.
SHORT = 4
# For so long a key is shown.
PRESSED = 1.1
SIXTEEN = (
    "#000000 #cd3131 #0dbc79 #e5e510 #2472c8 #bc3fbc #11a8cd #cccccc "
    "#767676 #f14c4c #23d18b #f5f543 #3b8eea #d670d6 #29b8db #ffffff"
).split()


def colour(sgr, otherwise):
    """A colour as `#rrggbb`; the terminal's own where nothing is said."""
    if not sgr:
        return otherwise
    numbers = [int(n) for n in sgr.split(";")]
    if numbers[1:2] == [2]:
        return "#%02x%02x%02x" % tuple(numbers[2:5])
    n = numbers[2] if len(numbers) == 3 else numbers[0] % 10 + (8 if numbers[0] >= 90 else 0)
    if n < 16:
        return SIXTEEN[n]
    if n >= 232:
        return "#%02x%02x%02x" % ((8 + 10 * (n - 232),) * 3)
    steps = [0 if v == 0 else 55 + 40 * v for v in ((n - 16) // 36, (n - 16) // 6 % 6, (n - 16) % 6)]
    return "#%02x%02x%02x" % tuple(steps)


def style(cell):
    ink, ground = colour(cell.ink, INK), colour(cell.ground, GROUND)
    if "r" in cell.marks:
        ink, ground = ground, ink
    return ink, ground, cell.marks.replace("r", "")


def runs(frame):
    """Every run of a frame: column, row, text and style. Blank cells of the picture's own ground are none."""
    for y, row in enumerate(frame):
        x = 0
        while x < len(row):
            same = style(row[x])
            end = x
            while end < len(row) and style(row[end]) == same:
                end += 1
            text = "".join(cell.text for cell in row[x:end])
            if same[1] != GROUND:
                yield x, y, text, same
            else:
                # Where two blanks or more are between words, only one side of them may change.
                for part in re.finditer(r"\S+(?: \S+)*", text):
                    yield x + part.start(), y, part[0], same
            x = end


def short(n):
    """A short name for each number."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return (short(n // 26 - 1) if n >= 26 else "") + letters[n % 26]


class Picture:
    def __init__(self, lasts):
        self.lasts = lasts
        self.classes = {}
        # What is drawn at the same times, by these: pairs of begin and end in seconds.
        self.drawn = defaultdict(list)

    def named(self, kind, value):
        return self.classes.setdefault((kind, value), short(len(self.classes)))

    def run(self, x, y, text, ink_ground_marks):
        ink, ground, marks = ink_ground_marks
        left, top, width = EDGE + x * WIDTH, EDGE + y * HEIGHT, len(text) * WIDTH
        out = ""
        if ground != GROUND:
            out = f'<path class="{self.named("g", ground)}" d="M{left} {top}h{width}v{HEIGHT}h-{width}z"/>'
        words = text.strip()
        if not words:
            return out
        before = len(text) - len(text.lstrip())
        kind = "" if (ink, marks) == (INK, "") else f' class="{self.named("i", (ink, marks))}"'
        # So that a font of another width keeps to the columns, too.
        length = f' textLength="{len(words) * WIDTH}"' if len(words) > SHORT else ""
        return out + f'<text x="{left + before * WIDTH}" y="{top + 14}"{length}{kind}>{escape(words, quote=False)}</text>'

    def put(self, times, drawn):
        self.drawn[tuple(times)].append(drawn)

    def percent(self, seconds):
        return f"{100 * seconds / self.lasts:.2f}".rstrip("0").rstrip(".") + "%"

    def svg(self, columns, rows, title):
        width, height = 2 * EDGE + columns * WIDTH, 2 * EDGE + rows * HEIGHT + BELOW
        groups, rules = [], []
        for n, (times, drawn) in enumerate(sorted(self.drawn.items())):
            body = "".join(drawn)
            if times == ((0, self.lasts),):
                groups.append(body)
                continue
            name, is_last = "f" + short(n), times[-1][1] >= self.lasts
            comes = ",".join(self.percent(begin) for begin, _ in times)
            goes = [self.percent(end) for _, end in times if end < self.lasts]
            goes = ",".join(goes if times[0][0] == 0 else ["0%", *goes])
            rules.append(f"@keyframes {name}{{{comes}{{visibility:visible}}{goes}{{visibility:hidden}}}}#{name}{{animation-name:{name}}}")
            # Without animations, as where somebody wants none, the last frame is there.
            groups.append(f'<g id="{name}"{LAST if is_last else ""}>{body}</g>')
        for (kind, value), name in self.classes.items():
            ink, marks = value if kind == "i" else (value, "")
            rules.append(f".{name}{{fill:{ink}{''.join(MARKS.get(mark, '') for mark in marks)}}}")
        shared = (
            f"text{{font:{SIZE}px {FONT};fill:{INK};white-space:pre}}g{{visibility:hidden;animation:{self.lasts:g}s step-end infinite}}.last{{visibility:visible}}"
            "@media(prefers-reduced-motion:reduce){g{animation:none!important}}"
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
            f"<style>{shared}{''.join(rules)}</style>"
            f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>\n' + "\n".join(groups) + "\n</svg>\n"
        )


def read(path):
    with open(path, encoding="utf-8") as cast:
        head, *events = [json.loads(line) for line in cast]
    return head, events


def draw(head, events):
    screen, lasts = Screen(head["width"], head["height"]), events[-1][0]
    picture = Picture(lasts)
    frames = {}
    for at, kind, what in events:
        if kind == "o":
            screen.feed(what)
            frames[at] = screen.frame()
    since, times = {}, defaultdict(list)
    for at, frame in [*frames.items(), (lasts, ())]:
        now = set(runs(frame))
        for run in [run for run in since if run not in now]:
            times[run].append((since.pop(run), at))
        for run in now:
            since.setdefault(run, at)
    for run, shown in times.items():
        picture.put(shown, picture.run(*run))
    below(picture, head, events)
    return picture.svg(head["width"], head["height"], head["title"])


def below(picture, head, events):
    """The keys, and what is said."""
    y, lasts = EDGE + head["height"] * HEIGHT + 29, events[-1][0]
    told = [(at, what) for at, kind, what in events if kind == "m"]
    for (at, what), end in zip(told, [at for at, _ in told[1:]] + [lasts]):
        picture.put([(at, end)], f'<text x="150" y="{y}" style="font-size:17px">{escape(what, quote=False)}</text>')
    pressed = [(at, what) for at, kind, what in events if kind == "i"]
    for n, (at, what) in enumerate(pressed):
        end = min([at + PRESSED, lasts] + [later for later, _ in pressed[n + 1 : n + 2]])
        if end <= at:
            continue
        width = 24 + 10 * len(what)
        picture.put(
            [(at, end)],
            f'<rect x="{EDGE + 8}" y="{y - 20}" width="{width}" height="28" rx="5" fill="none" stroke="{ACCENT}"/>'
            f'<text x="{EDGE + 20}" y="{y}" style="font-size:17px;fill:{ACCENT}">{escape(what)}</text>',
        )


def main():
    path, out = sys.argv[1:3]
    head, events = read(path)
    svg = draw(head, events)
    with open(out, "w", encoding="utf-8") as file:
        file.write(svg)
    print(f"{out}: {svg.count('<g ')} animations, {os.path.getsize(out) // 1000} kB")


if __name__ == "__main__":
    main()
