"""Plays a night in the sandbox at a terminal of its own, presses the keys that the screen asks for, and writes what was seen as a cast.

Usage: record.py CUTOVER CAST

It shows the bridge from the announcement to the switch, then an error rate that burns a fuse until the application is back on SQLite. Idle
times are shortened. The cast (asciinema, version 2) has what was pressed (`i`) and what is seen (`m`) beside what is drawn (`o`).

Not in here: the picture that is made from it (`draw.py`).
"""

import codecs
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

from screen import Screen, change, lines

COLUMNS, ROWS = 112, 34
SPEED = 10
# Seconds between two looks at the screen, and between a look and the key that answers it.
LOOK, BEFORE_KEY = 0.1, 0.5
# After so long without a byte a frame is complete.
QUIET = 0.03
# A night in which nothing but clocks has moved for so long does not go on.
LIMIT = 90
# Of a stretch in which nothing but clocks and curves moves so many seconds are shown, in so many a frame.
SHOWN, FRAME = 2.2, 1.0
# Curves go on once in so many seconds: every point of them moves each time.
CURVES = 4.0
# What has been pressed more often than this is known by now, and shown for a part of the time.
KNOWN, PART = 3, 0.4
# The end stays, before it begins anew.
LAST = 5
# What is to be read stays for so long at least: by what stands on the screen.
STAYS = [("The first minute", 2), ("FIRED", 2)]
# What is watched for longer, if it lasts so long.
WATCHED = ("T3b burns", 6)
# What is said below the picture, by what the line at the top says. It goes on and never back.
SAID = [
    (r"starts P\d|P\d (waits|is)", "Announced; everybody says that they are on call; the baseline is measured"),
    (r"A1 waits|K\d", "Gates: evidence that a machine has checked, and people who sign for it"),
    (r"starts A1|A\d (is|waits)", "Freeze: writes stop, the backup is taken, copied, verified and restored"),
    (r"[BC]\d (is|waits)", "The target is checked, the migrations run"),
    (r"D\d is", "Import: every row, every value by a rule that was stated before"),
    (r"E\d is", "Parity: every row and every value, by code that shares nothing with the import"),
    (r"(starts F1|F\d (is|waits))", "Switch: canary first, then the fleet; users never stop asking"),
    (r"V\d is", "Verified from outside while users ask"),
    (r"G1 is", "Writes are open on PostgreSQL, and it is watched"),
    (r"T3[ab] burns", "3 % of requests fail on PostgreSQL: a fuse burns"),
    (r"FIRED", "It has burned: a countdown on every terminal, then the rollback begins by itself"),
    (r"ROLLBACK|[Rr]olled back|rolls back", "Back on SQLite, with every row that users wrote to PostgreSQL meanwhile"),
]
BEGIN = "cutover demo: an application under traffic, a PostgreSQL, and a whole night"


class Night:
    """A cockpit at a terminal, and everything that was on it."""

    def __init__(self, cutover):
        self.home = tempfile.mkdtemp(prefix="cutover-night-")
        self.screen = Screen(COLUMNS, ROWS)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.frames, self.keys = [], []
        self.began = time.monotonic()
        self.moved = 0.0
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.home,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        command = [cutover, "demo", "--speed", str(SPEED), "--rows", "40000", "--rate", "60"]
        self.errors = open(os.path.join(self.home, "errors"), "w+b")
        process, self.terminal = pty.fork()
        if process == 0:
            os.dup2(self.errors.fileno(), 2)
            os.execve(cutover, command, environment)
        self.process = process
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def end(self, cutover):
        subprocess.run([cutover, "demo", "--stop"], env={**os.environ, "HOME": self.home}, capture_output=True, check=False)
        try:
            os.kill(self.process, signal.SIGTERM)
            os.waitpid(self.process, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        shutil.rmtree(self.home, ignore_errors=True)

    def now(self):
        return time.monotonic() - self.began

    def look(self, seconds=LOOK):
        """Takes in what comes for so long, and keeps the frame."""
        until = time.monotonic() + seconds
        while True:
            # A frame that is being drawn is let come to its end.
            left = max(until - time.monotonic(), QUIET)
            if select.select([self.terminal], [], [], left)[0]:
                self.screen.feed(self.decoder.decode(self.read()))
            elif time.monotonic() >= until:
                break
        frame = self.screen.frame()
        if not self.frames or signature(frame) != signature(self.frames[-1][1]):
            self.moved = self.now()
        if self.now() > self.moved + LIMIT:
            sys.exit("the night does not go on; the screen shows:\n" + "\n".join(self.text()))
        if any(lines(frame)) and (not self.frames or self.frames[-1][1] != frame):
            self.frames.append((self.now(), frame))

    def read(self):
        try:
            if read := os.read(self.terminal, 65536):
                return read
        except OSError:
            pass
        self.errors.seek(0)
        return sys.exit(f"the cockpit has ended:\n{self.errors.read().decode()}")

    def text(self):
        return lines(self.screen.frame())

    def shows(self, pattern):
        return re.search(pattern, "\n".join(self.text()))

    def until(self, pattern):
        while not (found := self.shows(pattern)):
            self.look()
        return found

    def press(self, keys, name=None, seconds=BEFORE_KEY):
        self.keys.append((self.now(), name or keys))
        os.write(self.terminal, keys.encode())
        self.look(seconds)

    def asked(self):
        """What the line at the top says: the key and the sentence."""
        top = " ".join(self.text()[3:5])
        found = re.search(r"\[(.*?)\] (.*)", re.sub(" +", " ", top))
        return (found[1], found[2]) if found else (None, re.sub(" +", " ", top).strip())

    def answer(self):
        """Does what the line at the top asks for, if it asks for something."""
        hint, sentence = self.asked()
        if hint is None:
            return self.play_whoever(sentence)
        self.look(BEFORE_KEY)
        if (again := self.asked()[0]) != hint:
            return None if again is None else self.look()
        if play := re.match(r"p: play (.*?), then", hint):
            return self.play(play[1])
        key = hint.split(":")[0]
        if key == "Enter":
            return self.press("\r", "Enter")
        if key == "Space":
            self.press(" ", "Space")
            return self.press("\r", "Enter")
        return sys.exit(f"nobody knows what to do about {hint!r}")


    def play_whoever(self, sentence):
        """Plays the person whom the sentence names, if it names one who has to do something."""
        named = re.search(r"NEXT (\S+ \S+) \([^)]*\) (starts|completes)", sentence)
        return self.play(named[1]) if named else self.look()

    def play(self, person):
        self.press("p")
        digit = self.until(rf"(\d) {re.escape(person)}")[1]
        return self.press(digit)


def play(night):
    night.until("The first minute")
    night.look(1.5)
    night.press("\x1b", "Esc")
    seen = set()
    while True:
        _, sentence = night.asked()
        for step, key in [("D1", "2"), ("F1", "1")]:
            if step not in seen and re.search(rf"\b{step}\b", " ".join(night.text()[3:5])):
                seen.add(step)
                night.press(key)
        if "G1 is running" in sentence:
            break
        night.answer()
    night.look(2)
    night.press("F")
    while not night.shows(r"▸\s*5xx "):
        night.press("\x1b[B", "↓", 0.15)
    night.look(1)
    night.press("\r", "Enter")
    night.until("FIRED")
    night.until("NOW +Rolled back")
    night.look(4)


def said_by(text, before):
    """What is said below such a screen: its number in `SAID`, not before the one that was said last. None at the beginning."""
    top = " ".join(text[:1] + text[3:5])
    fitting = [n for n, (pattern, _) in enumerate(SAID) if re.search(pattern, top)]
    if "The first minute" in "\n".join(text) or not fitting:
        return before
    return fitting[-1] if before is None else max(before, fitting[-1])


def signature(frame):
    """A frame without what moves by itself."""
    text = lines(frame)
    kept = text[3:5] + [line for line in text if re.search("[┏┗]", line)] + text[-2:-1]
    return re.sub(r"[0-9:.,~%]+", "", "\n".join(kept))


def stretches_of(frames):
    """The frames between two moments at which something is told."""
    stretches, last = [], None
    for at, frame in frames:
        mark = signature(frame)
        if mark != last:
            stretches.append([])
        stretches[-1].append((at, frame))
        last = mark
    return stretches


def shortened(frames, keys):
    """The frames that are shown, each with when: stretches in which nothing is told are short."""
    stretches, shown, clock = stretches_of(frames), [], 0.0
    for n, stretch in enumerate(stretches):
        begin = stretch[0][0]
        end = stretches[n + 1][0][0] if n + 1 < len(stretches) else stretch[-1][0] + LAST
        text = "\n".join(lines(stretch[0][1]))
        lasts = min(end - begin, WATCHED[1] if WATCHED[0] in text else SHOWN)
        pressed = [key for at, key in keys if at <= begin]
        if pressed and pressed.count(pressed[-1]) > KNOWN:
            if "Whom do you want to play" in text:
                continue
            lasts *= PART if end - begin <= SHOWN else 1
        lasts = max([lasts, *(least for what, least in STAYS if what in text)])
        lasts = LAST if n + 1 == len(stretches) else lasts
        count = max(1, round(lasts / FRAME))
        for i in range(count):
            moment = begin + (end - begin) * i / count
            frame = [f for at, f in stretch if at <= moment + 1e-6][-1]
            shown.append((clock + lasts * i / count, moment, frame))
        clock += lasts
    return shown, clock


def panels(frame):
    """Every panel with a curve in it: its left, top, right and bottom."""
    text = ["".join(cell.text for cell in row) for row in frame]
    for top, line in enumerate(text):
        for found in re.finditer("┌[^┐]*┐", line):
            left, right = found.start(), found.end()
            bottom = next((y for y in range(top + 1, len(text)) if text[y][left] == "└"), None)
            inside = "" if bottom is None else "".join(text[y][left:right] for y in range(top, bottom + 1))
            # One that something lies over is drawn as it is.
            if re.search("[\u2801-\u28ff]", inside) and not re.search("[┏┓┃┗┛]", inside):
                yield left, top, right, bottom + 1


def calmed(shown):
    """The same frames, with curves that go on less often than all else."""
    kept, kept_at, known = None, None, set()
    for at, moment, frame in shown:
        places = set(panels(frame))
        if kept is None or at - kept_at >= CURVES or places != known:
            kept, kept_at, known = frame, at, places
        else:
            rows = [list(row) for row in frame]
            for left, top, right, bottom in places:
                for y in range(top, bottom):
                    rows[y][left:right] = kept[y][left:right]
            frame = tuple(tuple(row) for row in rows)
        yield at, moment, frame


def write(path, night):
    shown, lasts = shortened(night.frames, night.keys)
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "A night with cutover", "env": {"TERM": "xterm-256color"}}
    keys, events, before, said = list(night.keys), [[0, "m", BEGIN]], None, None
    for at, moment, frame in calmed(shown):
        while keys and keys[0][0] <= moment:
            events.append([round(at, 2), "i", keys.pop(0)[1]])
        now = said_by(lines(frame), said)
        if now != said:
            events.append([round(at, 2), "m", SAID[now][1]])
            said = now
        if frame != before:
            events.append([round(at, 2), "o", change(before, frame)])
            before = frame
    events.append([round(lasts, 2), "o", ""])
    with open(path, "w", encoding="utf-8") as cast:
        for line in [head, *events]:
            cast.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path}: {len(shown)} frames, {lasts:.0f} s, {os.path.getsize(path) // 1000} kB")


def main():
    cutover, path = os.path.abspath(sys.argv[1]), sys.argv[2]
    night = Night(cutover)
    try:
        play(night)
    finally:
        night.end(cutover)
    write(path, night)


if __name__ == "__main__":
    main()
