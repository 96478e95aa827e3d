"""Delivers to our server what each sender signs."""

import json
import re
from collections import Counter

from bodies import line
from cases import EMULATED, EVENT, FAULTS, HEADERS, IN_TIME, MALFORMED, MISMATCH, NO_EVENT, OTHER, SECRET, SIGN_ANY_TIME
from cases import ask, keep, one, query, some

TO_SERVER = "deliveries signed by each, verified by our server"
TO_EMULATOR = "headers of our Signer compared with those of the emulator's function"
# The emulator has no `dsync.*` events: see emulator.mjs.
OWN = "run: its own events"
SAMPLES = "run: samples in its event bus"
SERVER = "the server itself"


def deliver(report, server, sender, command, bodies):
    """Delivers what a sender signs, with and without faults."""
    # (case, query, the headers to send, the body to send, the expected response)
    jobs = [(body.group, query(body.text), one, keep, EVENT) for body in bodies]
    jobs += [(case, query(some(bodies)[1].text, offset), one, keep, EVENT) for case, offset in IN_TIME]
    if sender == "Signer":
        for case, more, headers in HEADERS:
            jobs += [(case, query(body.text, **more), headers, keep, EVENT) for body in some(bodies)]
    for case, more, headers, change, answer in FAULTS:
        jobs += [(case, query(body.text, **more), headers, change, answer) for body in some(bodies)]
    jobs.append(("signed, but not an event", query("{}"), one, keep, NO_EVENT))
    if sender in SIGN_ANY_TIME:
        jobs.append(("signed, but the time is not a number", query("{}", t="NaN"), one, keep, MALFORMED))

    signed = ask(command, [job[1] for job in jobs])
    for (case, _, headers, change, answer), delivery in zip(jobs, signed):
        got = server.deliver(headers(delivery["header"]), change(delivery["body"]))
        if answer == EVENT and got == f"200 {line(delivery['body'])}":
            got = EVENT
        report.add(TO_SERVER, (case, answer), sender, answer, got)


def run_emulator(report, server, command, samples):
    """Lets the emulator deliver events itself."""
    events = [{"event": sample["name"], "data": json.loads(sample["body"])["data"]} for sample in samples]
    queries = [{"secret": SECRET, "events": events}, {"secret": OTHER, "events": []}]
    genuine, forged = (answer["deliveries"] for answer in ask([*command, "deliver", server.url], queries))

    for case, wanted in [(OWN, EMULATED), (SAMPLES, [event["event"] for event in events])]:
        names = sorted(name(sent) for sent in genuine if kind(sent) == case)
        got = len(wanted) if names == sorted(wanted) else names
        report.add(TO_SERVER, (case, "all are sent"), "emulator", len(wanted), got)
    # They are sent concurrently, so the server's lines are in any order.
    said = Counter(server.said(sent["status"]) for sent in genuine)
    for sent in sorted(genuine, key=kind):
        wanted = f"200 {line(sent['body'])}"
        got = EVENT if said[wanted] else f"{sent['status']} {sent.get('error', '')}"
        said[wanted] -= 1
        report.add(TO_SERVER, (kind(sent), EVENT), "emulator", EVENT, got)
    shape = "t=<seconds>,v1=<hex>"
    for sent in genuine:
        same = re.fullmatch(r"t=\d{10},v1=[0-9a-f]{64}", sent["header"])
        report.add(TO_SERVER, ("the header it sends", shape), "emulator", shape, shape if same else "another format")
    report.add(TO_SERVER, ("run with another secret", "one is sent"), "emulator", 1, len(forged))
    for sent in forged:
        got = server.said(sent["status"])
        report.add(TO_SERVER, ("run with another secret", MISMATCH), "emulator", MISMATCH, got)


def name(delivery):
    return json.loads(delivery["body"])["event"]


def kind(delivery):
    return SAMPLES if name(delivery).startswith("dsync.") else OWN


def end(report, server):
    """Checks that the server exits cleanly, printed nothing else, and logged neither secrets nor bodies."""
    rest, code, log, all_log = server.end()
    report.add(SERVER, ("Ctrl-C", "bye, exit code 0"), "server", (["bye"], 0), (rest, code))
    report.add(SERVER, ("other lines in its log", "none"), "server", 0, len(log))
    found = [word for word in (SECRET, OTHER, "northwind", "directory_user") if word in all_log]
    report.add(SERVER, ("secrets and bodies in its log", "none"), "server", [], found)


def compare(report, signer, emulator, bodies):
    """Compares headers: the emulator verifies nothing, so our signer must produce the same."""
    queries = [query(body.text, seconds=True) for body in bodies]
    for body, ours, theirs in zip(bodies, ask(signer, queries), ask(emulator, queries)):
        row = (body.group, "the same header")
        report.add(TO_EMULATOR, row, "emulator", theirs["header"], ours["header"])
