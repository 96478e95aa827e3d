"""Lets each SDK list everything from `dsync emulate`, and compares it with the state that the command writes."""

import json
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading

from cases import ask

TABLE = "LISTS: what each SDK reads from `dsync emulate`, page by page"
EVENTS = [
    "dsync.activated",
    "dsync.deleted",
    "dsync.group.created",
    "dsync.group.deleted",
    "dsync.group.updated",
    "dsync.group.user_added",
    "dsync.group.user_removed",
    "dsync.user.created",
    "dsync.user.deleted",
    "dsync.user.updated",
]
# The number of events: enough for several pages of users of one directory, and for every kind of change.
COUNT = 1500
OPTIONS = ["--users", "230", "--groups", "12", "--events", str(COUNT), "--rate", "1000", "--withhold", "0s"]


class Emulator:
    def __init__(self, program, folder):
        self.file = os.path.join(folder, "state.json")
        environment = {name: value for name, value in os.environ.items() if name != "WORKOS_API_KEY"}
        command = [program, "emulate", "--listen", "127.0.0.1:0", "--drop", "100%", "--state", self.file, *OPTIONS]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8")
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.host, self.port = self._wait(r"export WORKOS_API_BASE=http://([\d.]+):(\d+)").groups()
        self.key = self._wait(r"export WORKOS_API_KEY=(\S+)")[1]

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def _wait(self, pattern):
        while (line := self.lines.get(timeout=60)) is not None:
            if found := re.match(pattern, line):
                return found
        raise AssertionError(f"dsync emulate ended without {pattern!r}")

    def state(self):
        """Waits for the last event, and returns the state after it."""
        self._wait("state ")
        with open(self.file, encoding="utf-8") as file:
            return json.load(file)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def check_lists(report, program, peers):
    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(program, folder)
        try:
            state = emulator.state()
            assert len(state["users"]) > 200 and len(state["memberships"]) > 200, "the state is too small"
            access = {"host": emulator.host, "port": int(emulator.port), "key": emulator.key, "events": EVENTS}
            for name, command in peers.items():
                [read] = ask([*command, "list"], [access])
                compare(report, name, state, read)
            report.add(TABLE, ("Ctrl-C", "exit code 0"), "dsync", 0, emulator.end())
        finally:
            emulator.kill()


def compare(report, name, state, read):
    for section, key in [
        ("directories", lambda it: it["id"]),
        ("users", lambda it: it["id"]),
        ("groups", lambda it: it["id"]),
        ("memberships", lambda it: (it["user_id"], it["group_id"])),
    ]:
        expected = {key(item): item for item in state[section]}
        got = {key(item): item for item in read[section]}
        report.add(TABLE, (section, "each once"), name, len(expected), len(read[section]))
        report.add(TABLE, (section, "the same"), name, sorted(expected), sorted(got))
        for place in expected.keys() & got.keys():
            # An SDK may drop a field.
            fields = {field: expected[place][field] for field in got[place]}
            report.add(TABLE, (section, "the fields"), name, with_millis(fields), with_millis(got[place]))
    report.add(TABLE, ("events", "each once"), name, [COUNT, COUNT], [len(read["events"]), len(set(read["events"]))])
    report.add(TABLE, ("one of each", "as listed"), name, True, read["singles"])


def with_millis(item):
    """The state and the API write the same times with different numbers of decimals."""
    if "updated_at" not in item:
        return item
    seconds, _, fraction = item["updated_at"].removesuffix("Z").partition(".")
    return {**item, "updated_at": f"{seconds}.{fraction:0<3}Z"}
