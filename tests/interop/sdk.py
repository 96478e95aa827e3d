"""The official Python SDK, a line of JSON in for a line of JSON out."""

import json
import sys

from workos.actions import _compute_signature
from workos.webhooks._verification import verify_event, verify_header


def sign(secret, time, body):
    # The SDK has no public function that signs webhooks; this is what its own verification of actions signs with.
    return {"header": f"t={time}, v1={_compute_signature(f'{time}.{body}', secret)}", "body": body}


def verify(secret, header, body):
    verify_header(event_body=body.encode(), event_signature=header, secret=secret)
    return {}


def construct(secret, header, body):
    event = verify_event(event_body=body.encode(), event_signature=header, secret=secret)
    return {"id": event.id}


ACTIONS = {"sign": sign, "verify": verify, "construct": construct}

for line in sys.stdin:
    request = json.loads(line)
    action = ACTIONS[request.pop("action")]
    try:
        answer = {"ok": True, **action(**request)}
    except Exception as error:  # Whatever it is, it is a refusal.
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
