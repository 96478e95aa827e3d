#!/usr/bin/env python3
"""Runs a command in a terminal and draws the final screen as SVG.

    python3 crates/dsync-cli/docs/picture.py crates/dsync-cli/docs/simulate.svg dsync simulate …

It understands what dsync and its progress bar write: text, colours, cursor movements and erasing. It needs only
Python.
"""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from xml.sax.saxutils import escape

COLUMNS, ROWS = 108, 60
COLOURS = {30: "#484f58", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#56d4dd", 37: "#e6edf3"}
TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b.|[\r\n]|[^\x1b\r\n]+")


def record(command):
    """Returns what the command writes to its terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execvp(command[0], command)
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        written += piece
    os.waitpid(child, 0)
    return written.decode()


def screen(text):
    """Returns the lines of the final screen. Each cell is a character and a colour."""
    lines, row, column, colour = [[]], 0, 0, None
    for token in TOKEN.finditer(text):
        part = token.group(0)
        kind, number = token.group(2), token.group(1) or ""
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            while len(lines) <= row:
                lines.append([])
        elif kind == "A":
            row = max(0, row - int(number or 1))
        elif kind == "B":
            row += int(number or 1)
        elif kind == "K":
            lines[row] = [] if number == "2" else lines[row][:column]
        elif kind == "J":
            lines = lines[: row + 1]
            lines[row] = lines[row][:column]
        elif kind == "m":
            for code in (int(code or 0) for code in number.split(";")):
                colour = COLOURS.get(code, None if code in (0, 39) else colour)
        elif not part.startswith("\x1b"):
            for character in part:
                if column == COLUMNS:
                    row, column = row + 1, 0
                    while len(lines) <= row:
                        lines.append([])
                lines[row] += [(" ", None)] * (column + 1 - len(lines[row]))
                lines[row][column] = (character, colour)
                column += 1
    lines = [line[: len("".join(character for character, _ in line).rstrip())] for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def draw(lines):
    """Draws the lines on a dark background, which is readable on a page of any colour."""
    width, height, margin = 8.4, 19, 18
    total_width = margin * 2 + width * max(len(line) for line in lines)
    total_height = margin * 2 + height * len(lines)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width:.0f} {total_height:.0f}" role="img">',
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" fill="#e6edf3">',
    ]
    for number, line in enumerate(lines):
        y = margin + height * (number + 0.75)
        start = 0
        while start < len(line):
            colour, end = line[start][1], start
            while end < len(line) and line[end][1] == colour:
                end += 1
            text = "".join(character for character, _ in line[start:end])
            if text.strip():
                fill = f' fill="{colour}"' if colour else ""
                length = width * len(text)
                x = margin + width * start
                out.append(
                    f'<text x="{x:.1f}" y="{y:.1f}" textLength="{length:.1f}" xml:space="preserve"{fill}>{escape(text)}</text>'
                )
            start = end
    return "\n".join(out + ["</g>", "</svg>", ""])


def main():
    target, command = sys.argv[1], sys.argv[2:]
    shown = " ".join([os.path.basename(command[0])] + command[1:])
    prompt, line = [], "$ "
    for word in shown.split(" "):
        if len(line) + len(word) > COLUMNS - 4:
            prompt.append(line + "\\")
            line = "    "
        line += word + " "
    prompt.append(line.rstrip())
    lines = [[(character, "#7ee787") for character in text] for text in prompt]
    with open(target, "w", encoding="utf-8") as file:
        file.write(draw(lines + screen(record(command))))


main()
