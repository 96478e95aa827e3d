"""The cases: what is signed and how, what is changed afterwards, and the response that our server must send."""

import json
import subprocess
import sys
import time

SECRET = "whsec_of_the_tests"
OTHER = "whsec_of_somebody_else"

EVENT = "200 and the event"
MISMATCH = "401 SignatureMismatch"
OUTSIDE = "401 TimestampOutsideTolerance"
MALFORMED = "400 MalformedSignature"
MISSING = "401 MissingSignature"
NO_EVENT = "422 InvalidPayload"
# The signers that accept any text as the time.
SIGN_ANY_TIME = ("crate", "node 11", "node 8", "python")


def ask(command, queries=()):
    """Runs a program that reads and writes JSON lines, and returns its output: one line per query, if there are any."""
    lines = "".join(json.dumps(query) + "\n" for query in queries)
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, encoding="utf-8", timeout=60)
    # `splitlines` would also split at the U+2028 in a body.
    answers = [json.loads(answer) for answer in done.stdout.split("\n") if answer]
    if done.returncode != 0 or (queries and len(answers) != len(queries)):
        sys.exit(f"{len(answers)} lines for {len(queries)} queries, exit code {done.returncode}: {command}")
    return answers


def query(body, offset=0, **more):
    """A body to sign, with a time this many seconds from now."""
    return {"secret": SECRET, "t": int((time.time() + offset) * 1000), "body": body, **more}


def keep(it):
    return it


def one(header):
    return [header]


def change_byte(body):
    return body.replace('"data"', '"dat4"', 1)


def change_digit(header):
    return header[:-1] + ("1" if header[-1] == "0" else "0")


def change_time(header):
    t, rest = header.split(",", 1)
    return f"t={int(t[2:]) + 1},{rest}"


def upper(header):
    t, hex_digits = header.split("v1=")
    return f"{t}v1={hex_digits.upper()}"


# The tolerance is 180 s; the rest allows for a slow machine.
IN_TIME = [("120 s old", -120), ("120 s ahead", 120)]

# (case, additions to the query, the headers to send, the body to send, the expected response)
FAULTS = [
    ("a byte changed", {}, one, change_byte, MISMATCH),
    ("the last byte missing", {}, one, lambda body: body[:-1], MISMATCH),
    ("a line break added", {}, one, lambda body: body + "\n", MISMATCH),
    ("a digit of the signature changed", {}, lambda header: [change_digit(header)], keep, MISMATCH),
    ("the time changed, not signed again", {}, lambda header: [change_time(header)], keep, MISMATCH),
    ("another secret", {"secret": OTHER}, one, keep, MISMATCH),
    ("200 s old", {"offset": -200}, one, keep, OUTSIDE),
    ("an hour ahead", {"offset": 3600}, one, keep, OUTSIDE),
    ("no header", {}, lambda header: [], keep, MISSING),
    ("the header twice", {}, lambda header: [header, header], keep, MALFORMED),
    ("no t in the header", {}, lambda header: [header.split(",")[1].strip()], keep, MALFORMED),
    ("no v1 in the header", {}, lambda header: [header.split(",")[0]], keep, MALFORMED),
]

# Other valid headers of our signer: (case, additions to the query, the headers to send).
V2 = "v2=" + "0" * 64
HEADERS = [
    ("in seconds", {"seconds": True}, one),
    ("two secrets, the matching one first", {"second_secret": OTHER}, one),
    ("two secrets, the matching one last", {"secret": OTHER, "second_secret": SECRET}, one),
    ("upper-case hex", {}, lambda header: [upper(header)]),
    ("v1 before t", {}, lambda header: [", ".join(reversed(header.split(", ")))]),
    ("a v2 after v1", {}, lambda header: [f"{header}, {V2}"]),
    ("a v2 before v1", {}, lambda header: [header.replace(", ", f", {V2}, ")]),
]

# The emulator's own events, in any order.
EMULATED = [
    "organization.created",
    "directory.created",
    "directory_group.created",
    "directory_user.created",
    "directory_user.deleted",
    "directory_group.deleted",
    "directory.deleted",
]


def some(bodies):
    """One body each of three groups, for cases that don't depend on the body."""
    groups = ("sample", "not ASCII, unescaped", "before 2023")
    return [next(body for body in bodies if body.group == group) for group in groups]
