"""Times the official Python SDK, which is installed in the same folder.

Reads { body, signature, secret, batches, times } as JSON from standard input and prints { package, runtime,
microseconds: [one per batch] }.
"""

import json
import platform
import sys
import time
from importlib.metadata import version

from workos import WorkOSClient

given = json.load(sys.stdin)
body = given["body"].encode()
webhooks = WorkOSClient(api_key="unused", client_id="unused").webhooks


def verify():
    return webhooks.verify_event(
        event_body=body, event_signature=given["signature"], secret=given["secret"]
    )


event = verify()
assert event.event == "dsync.user.updated", event.event
try:
    webhooks.verify_header(
        event_body=body + b" ", event_signature=given["signature"], secret=given["secret"]
    )
except ValueError:
    pass
else:
    raise AssertionError("a changed body was accepted")

microseconds = []
for _ in range(given["batches"]):
    start = time.perf_counter()
    for _ in range(given["times"]):
        verify()
    microseconds.append((time.perf_counter() - start) * 1e6 / given["times"])
print(
    json.dumps(
        {
            "package": f"workos {version('workos')} (PyPI)",
            "runtime": f"Python {platform.python_version()}",
            "microseconds": microseconds,
        }
    )
)
