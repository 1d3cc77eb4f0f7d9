"""A terminal's screen: takes in what a program writes and keeps the cells. As much of a terminal as the cockpit uses, and no more.

Not in here: who writes (`record.py`), and pictures (`draw.py`).
"""

import re
from typing import NamedTuple


class Cell(NamedTuple):
    text: str = " "
    ink: str = ""  # "" is the terminal's own, else what SGR says: "38;2;r;g;b", "38;5;n" or a number
    ground: str = ""
    marks: str = ""  # of b (bold), d (dim), i (italic), u (underlined), r (reversed)


BLANK = Cell()
SEQUENCE = re.compile(r"\x1b\[([?<>=]?)([0-9;:]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Za-z0-9]|\x1b[=>78cMDE]")
MARKS = {1: "b", 2: "d", 3: "i", 4: "u", 7: "r"}
UNMARKS = {22: "bd", 23: "i", 24: "u", 27: "r"}


class Screen:
    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.x = self.y = 0
        self.pen = BLANK
        self.rest = ""
        self.clear()

    def clear(self):
        self.cells = [[BLANK] * self.columns for _ in range(self.rows)]

    def feed(self, text):
        """Takes text in; a sequence that has not come as a whole waits for its rest."""
        text = self.rest + text
        self.rest = ""
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\x1b":
                match = SEQUENCE.match(text, at)
                if match is None:
                    self.rest = text[at:]
                    return
                if match[3]:
                    self.obey(match[1], match[2], match[3])
                at = match.end()
                continue
            at += 1
            if char == "\r":
                self.x = 0
            elif char == "\n":
                self.y = min(self.y + 1, self.rows - 1)
            elif char == "\b":
                self.x = max(self.x - 1, 0)
            elif char >= " ":
                self.put(char)

    def put(self, char):
        if self.x >= self.columns:
            self.x, self.y = 0, min(self.y + 1, self.rows - 1)
        self.cells[self.y][self.x] = self.pen._replace(text=char)
        self.x += 1

    def obey(self, private, arguments, final):
        if private and final in "hl":
            if arguments == "1049":
                self.clear()
            return
        numbers = [int(n or 0) for n in re.split("[;:]", arguments)]
        first = max(numbers[0], 1)
        if final in "Hf":
            column = max(numbers[1], 1) if len(numbers) > 1 else 1
            self.y, self.x = min(first, self.rows) - 1, min(column, self.columns) - 1
        elif final == "A":
            self.y = max(self.y - first, 0)
        elif final == "B":
            self.y = min(self.y + first, self.rows - 1)
        elif final == "C":
            self.x = min(self.x + first, self.columns - 1)
        elif final == "D":
            self.x = max(self.x - first, 0)
        elif final == "G":
            self.x = min(first, self.columns) - 1
        elif final == "d":
            self.y = min(first, self.rows) - 1
        elif final == "J":
            self.erase_below(numbers[0])
        elif final == "K":
            begin, end = {0: (self.x, self.columns), 1: (0, self.x + 1)}.get(numbers[0], (0, self.columns))
            self.cells[self.y][begin:end] = [BLANK] * (end - begin)
        elif final == "m":
            self.paint(numbers)

    def erase_below(self, how):
        if how == 0:
            self.cells[self.y][self.x :] = [BLANK] * (self.columns - self.x)
            for y in range(self.y + 1, self.rows):
                self.cells[y] = [BLANK] * self.columns
        else:
            self.clear()

    def paint(self, numbers):
        """Colours and marks of what comes next."""
        pen = self.pen
        numbers = list(numbers)
        while numbers:
            n = numbers.pop(0)
            if n == 0:
                pen = BLANK
            elif n in MARKS:
                pen = pen._replace(marks="".join(sorted(set(pen.marks) | {MARKS[n]})))
            elif n in UNMARKS:
                pen = pen._replace(marks="".join(m for m in pen.marks if m not in UNMARKS[n]))
            elif n in (38, 48):
                kind = numbers.pop(0)
                taken = [numbers.pop(0) for _ in range(3 if kind == 2 else 1)]
                colour = ";".join(str(v) for v in [n, kind, *taken])
                pen = pen._replace(ink=colour) if n == 38 else pen._replace(ground=colour)
            elif n == 39:
                pen = pen._replace(ink="")
            elif n == 49:
                pen = pen._replace(ground="")
            elif 30 <= n <= 37 or 90 <= n <= 97:
                pen = pen._replace(ink=str(n))
            elif 40 <= n <= 47 or 100 <= n <= 107:
                pen = pen._replace(ground=str(n))
        self.pen = pen

    def frame(self):
        """The cells as they are now; it does not change any more."""
        return tuple(tuple(row) for row in self.cells)


def lines(frame):
    return ["".join(cell.text for cell in row).rstrip() for row in frame]


def sgr(pen, cell):
    """What makes a terminal that writes with one pen write as this cell is written."""
    parts = [] if pen else ["0"]
    pen = pen or BLANK
    ended = {n for n, marks in UNMARKS.items() for mark in pen.marks if mark in marks and mark not in cell.marks}
    left = [mark for mark in pen.marks if not any(mark in UNMARKS[n] for n in ended)]
    numbers = {mark: str(n) for n, mark in MARKS.items()}
    parts += [str(n) for n in sorted(ended)]
    parts += [numbers[mark] for mark in cell.marks if mark not in left]
    parts += [cell.ink or "39"] if pen.ink != cell.ink else []
    parts += [cell.ground or "49"] if pen.ground != cell.ground else []
    return f"\x1b[{';'.join(parts)}m" if parts else ""


def is_blank(cell):
    return cell.text == " " and not set(cell.marks) & set("ur")


def alike(one, other):
    """Whether nobody sees a difference: a blank has no ink."""
    return one == other or (is_blank(one) and is_blank(other) and one.ground == other.ground)


def change(before, after):
    """What makes a terminal that shows one frame show another. Without one before, it is cleared first."""
    out, pen, at = [], None, None
    if before is None:
        out.append("\x1b[0m\x1b[2J")
        before = tuple(tuple([BLANK] * len(row)) for row in after)
    for y, (was, row) in enumerate(zip(before, after)):
        for x, (old, cell) in enumerate(zip(was, row)):
            if alike(old, cell):
                continue
            if at is None or at[1] != y:
                out.append(f"\x1b[{y + 1};{x + 1}H")
            elif at[0] < x:
                gap = row[at[0] : x]
                # A few cells of the same colours are shorter to write than to leap over.
                is_short = len(gap) <= 8 and all(alike(c, pen._replace(text=c.text)) for c in gap)
                out.append("".join(c.text for c in gap) if is_short else f"\x1b[{x - at[0]}C")
            if pen is None or not alike(cell, pen._replace(text=cell.text)):
                out.append(sgr(pen, cell))
                pen = cell
            out.append(cell.text)
            at = (x + 1, y)
    return "".join(out)
