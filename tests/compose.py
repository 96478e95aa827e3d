"""Runs the services of examples/compose.yaml as processes of this machine, with its Postgres, and checks that each event is handled.

Only the names of hosts, the ports and the rate of events differ, so the commands and variables are those that containers get.
Needs PyYAML, the programs in target/debug, and TEST_POSTGRES_URL.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = {"inbox": "target/debug/examples/inbox", "dsync": "target/debug/dsync"}
LIMIT = 60  # seconds
EVENTS = 300
# The tables of this run.
SCHEMA = f"compose_{os.getpid()}"


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return str(it.getsockname()[1])


def psql(sql):
    command = ["psql", "-qtA", "-v", "ON_ERROR_STOP=1", os.environ["TEST_POSTGRES_URL"], "-c", sql]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def until(what, condition):
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > LIMIT:
            sys.exit(f"error: not met: {what}")
        time.sleep(0.05)


def main():
    with open(os.path.join(ROOT, "examples/compose.yaml"), encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    assert sorted(services) == ["emulator", "postgres", "store", "work"], sorted(services)
    password = services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    store, api = free_port(), free_port()
    folder = tempfile.TemporaryDirectory()
    url = os.environ["TEST_POSTGRES_URL"]
    url += ("&" if "?" in url else "?") + f"options[search_path]={SCHEMA}"

    def start(name):
        service = services[name]
        program, *arguments = service["command"]
        local = [it.replace("//store:3000", f"//127.0.0.1:{store}").replace("0.0.0.0:8090", f"127.0.0.1:{api}")
                 for it in arguments]
        if name == "emulator":
            local[local.index("--rate") + 1] = "200"
            local += ["--events", str(EVENTS)]
        environment = dict(service["environment"])
        assert environment["INBOX_URL"] == f"postgres://postgres:{password}@postgres/postgres"
        environment |= {"INBOX_URL": url, "PORT": store}
        if "HOST" in environment:
            environment["HOST"] = "127.0.0.1"
        return subprocess.Popen(
            [os.path.join(ROOT, PROGRAMS[program]), *local],
            env=os.environ | environment, stdout=open(output(name), "w"), stderr=subprocess.STDOUT,
        )

    def output(name):
        return os.path.join(folder.name, name)

    def read(name):
        with open(output(name), encoding="utf-8") as file:
            return file.read()

    def handled():
        return [line for line in read("work").splitlines() if line.startswith("dsync.")]

    psql(f"CREATE SCHEMA {SCHEMA}")
    running = {}
    try:
        for name in ["store", "work", "emulator"]:
            running[name] = start(name)
        until("all events are handled", lambda: len(handled()) >= EVENTS)

        def is_empty():
            with urllib.request.urlopen(f"http://127.0.0.1:{store}/status") as response:
                return json.load(response)["depth"] == 0

        until("the queue is empty", is_empty)
        for name in ["emulator", "work", "store"]:
            running[name].send_signal(getattr(signal, services[name]["stop_signal"]))
            code = running[name].wait(LIMIT)
            assert code == 0, f"{name} failed with {code}:\n{read(name)}"
        events = handled()
        assert len(events) == len(set(events)) == EVENTS, f"{len(events)} events were handled"
        print(f"compose.yaml: {EVENTS} events were handled")
    finally:
        for process in running.values():
            process.kill()
        psql(f"DROP SCHEMA {SCHEMA} CASCADE; DROP SCHEMA IF EXISTS \"{SCHEMA}$workos_$inbox_graphile_worker\" CASCADE")


main()
