"""Delivers to the server example what each sender signs, lets each SDK verify what our `Signer` signs, and list what
`dsync emulate` serves."""

import argparse
import signal
import sys

from bodies import bodies
from cases import SECRET, ask
from emulate import check_lists
from known import ACCEPTED, REJECTED
from report import Report
from send import compare, deliver, end, run_emulator
from server import Server
from verify import verify


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="the executable of the server example")
    parser.add_argument("--dsync", required=True, help="the executable of crates/dsync-cli")
    parser.add_argument("--rust", required=True, help="the executable of rust/")
    parser.add_argument("--here", required=True, help="the folder of node.mjs")
    parser.add_argument("--scratch", required=True, help="the folder with the installed SDKs")
    options = parser.parse_args()
    # Exits through `finally`, so that the server is killed too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))

    rust, scratch = options.rust, options.scratch
    ours = [rust, "sign"]
    emulator = ["node", f"{options.here}/emulator.mjs", f"{scratch}/emulator/node_modules/workos"]
    # The SDKs that sign and verify.
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
    check_lists(report, options.dsync, {"crate": [rust], **peers})

    report.print_tables()
    print("\nREJECTED: genuine deliveries that an SDK rejects")
    for rule in REJECTED:
        print(f"  {rule.peer:<8} {rule.tag}: {rule.why}")
    print("ACCEPTED: forged or expired deliveries that an SDK accepts")
    for rule in ACCEPTED:
        print(f"  {rule.peer:<8} {rule.tag}: {rule.why}")
    for rule in [*REJECTED, *ACCEPTED]:
        if rule not in seen:
            report.fail(f"{rule.peer}, {rule.tag}: it did not occur; remove the row from known.py and README.md")
    report.print_end()
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
