"""Runs the Python SDK: `sdk.py sign` and `sdk.py verify` read JSON lines from stdin and write one to stdout for each."""

import json
import sys

from workos import WorkOSClient
from workos.actions import _compute_signature

webhooks = WorkOSClient(api_key="sk_test_interop", client_id="client_interop").webhooks


def sign(query):
    # The SDK has no public function that signs a webhook. This one signs responses to Actions in the same way:
    # HMAC-SHA256 over the time, a dot and the text.
    t = str(query["t"])
    signature = _compute_signature(f"{t}.{query['body']}", query["secret"])
    return {"header": f"t={t}, v1={signature}", "body": query["body"]}


def verify(query):
    arguments = {
        "event_body": query["body"].encode(),
        "event_signature": query["header"],
        "secret": query["secret"],
    }
    return {"signature": attempt(signature, arguments), "event": attempt(construct, arguments)}


def signature(arguments):
    webhooks.verify_header(**arguments)
    return {}


def construct(arguments):
    event = webhooks.verify_event(**arguments).to_dict()
    return {"name": event["event"], "id": event["id"]}


def attempt(check, arguments):
    # Any exception is a rejection; known.py lists the expected messages.
    try:
        return {"ok": True, **check(arguments)}
    except Exception as error:
        return {"rejected": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    answer = {"sign": sign, "verify": verify}[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))))
