"""Delivers what everybody signs to the server example, and lets everybody verify what our `Signer` signs."""

import argparse
import signal
import sys

from bodies import bodies
from cases import SECRET, ask
from known import ACCEPTED, REFUSED
from report import Report
from send import compare, deliver, end, run_emulator
from server import Server
from verify import verify


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="the server example's program")
    parser.add_argument("--rust", required=True, help="the program of rust/")
    parser.add_argument("--here", required=True, help="the folder of node.mjs")
    parser.add_argument("--scratch", required=True, help="where the SDKs are installed")
    options = parser.parse_args()
    # Ends through `finally`, so that the server ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))

    rust, scratch = options.rust, options.scratch
    ours = [rust, "sign"]
    emulator = ["node", f"{options.here}/emulator.mjs", f"{scratch}/emulator/node_modules/workos"]
    # Who signs, and who verifies.
    peers = {
        "node 11": ["node", f"{options.here}/node.mjs", f"{scratch}/node-11"],
        "node 8": ["node", f"{options.here}/node.mjs", f"{scratch}/node-8"],
        "python": [sys.executable, f"{options.here}/sdk.py"],
    }
    signers = {"Signer": ours, "emulator": [*emulator, "sign"], "crate": [rust, "workos-sign"]}
    signers |= {name: [*command, "sign"] for name, command in peers.items()}
    verifiers = {"crate": [rust, "workos-verify"]}
    verifiers |= {name: [*command, "verify"] for name, command in peers.items()}

    samples = ask([rust, "samples"])
    every = bodies(samples)
    report = Report()
    server = Server(options.server, SECRET)
    try:
        for name, command in signers.items():
            deliver(report, server, name, command, every)
        run_emulator(report, server, emulator, samples)
        end(report, server)
    finally:
        server.kill()
    compare(report, ours, signers["emulator"], every)
    seen = set()
    for name, command in verifiers.items():
        seen |= verify(report, name, ours, command, every)

    report.print_tables()
    print("\nREFUSED: genuine, and they refuse it")
    for rule in REFUSED:
        print(f"  {rule.peer:<8} {rule.tag}: {rule.why}")
    print("ACCEPTED: not genuine, and they accept it")
    for rule in ACCEPTED:
        print(f"  {rule.peer:<8} {rule.tag}: {rule.why}")
    for rule in [*REFUSED, *ACCEPTED]:
        if rule not in seen:
            report.fail(f"{rule.peer}, {rule.tag}: it was not seen; take the row out of known.py and README.md")
    report.print_end()
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
