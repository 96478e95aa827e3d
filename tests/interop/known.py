"""Where the SDKs, as pinned, refuse what is genuine, or accept what is not. All else must work.

Each row must happen: when it does not any more, the check fails, and the row goes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refused:
    peer: str
    # "signature" (so the event too), or "event": the signature is accepted, the event is not.
    check: str
    # A tag of bodies.py, or a case of cases.py.
    tag: str
    # A part of the SDK's own error.
    error: str
    why: str


@dataclass(frozen=True)
class Accepted:
    peer: str
    # A case of cases.py.
    tag: str
    why: str


FIRST = "two secrets, the right one first"
LAST = "two secrets, the right one last"

MISMATCH = "Signature hash does not match"
TOLERANCE = "Timestamp outside the tolerance zone"
UNREADABLE = "Unable to extract timestamp and signature hash"

REFUSED = [
    Refused("crate", "event", "no object", "missing field `object`", "it asks for `object` in the envelope"),
    Refused("crate", "event", "no created_at", "missing field `created_at`", "it asks for that as well"),
    Refused("crate", "signature", "in seconds", "timestamp outside tolerance", "it reads milliseconds"),
    Refused("crate", "signature", FIRST, "no valid signature found", "the last v1 wins"),
    Refused("crate", "signature", "upper-case hex", "no valid signature found", "it compares text"),
    Refused("crate", "signature", "a v2 after v1", "unknown webhook signature component", "any v2 is an error"),
    Refused("crate", "signature", "a v2 before v1", "unknown webhook signature component", "any v2 is an error"),
]
for node in ("node 11", "node 8"):
    REFUSED += [
        Refused(node, "signature", "in seconds", TOLERANCE, "it reads milliseconds"),
        Refused(node, "signature", LAST, MISMATCH, "the first v1 wins"),
        Refused(node, "signature", "upper-case hex", MISMATCH, "it compares text"),
        # Whether it finds the time or the signature wrong depends on the digits.
        Refused(node, "signature", "v1 before t", "SignatureVerificationException", "it reads by position"),
        Refused(node, "signature", "a v2 before v1", MISMATCH, "it reads by position"),
    ]
REFUSED += [
    Refused("node 8", "signature", "rendering", MISMATCH, "it signs its own rendering of the parsed body"),
    Refused("node 8", "event", "token event", "returned undefined", "it does not know dsync.token.*"),
    Refused("node 8", "event", "unknown event", "returned undefined", "it has no arm for unknown events"),
    Refused("python", "signature", "in seconds", UNREADABLE, "it splits at a comma and a space"),
    Refused("python", "signature", FIRST, UNREADABLE, "it wants exactly two parts"),
    Refused("python", "signature", LAST, UNREADABLE, "it wants exactly two parts"),
    Refused("python", "signature", "upper-case hex", MISMATCH, "it compares text"),
    Refused("python", "signature", "v1 before t", "invalid literal for int()", "it reads by position"),
    Refused("python", "signature", "a v2 after v1", UNREADABLE, "it wants exactly two parts"),
    Refused("python", "signature", "a v2 before v1", UNREADABLE, "it wants exactly two parts"),
    Refused("python", "event", "no created_at", "'created_at'", "it asks for `created_at` in the envelope"),
]

ACCEPTED = [
    Accepted("node 11", "an hour ahead", "it compares times in the past only"),
    Accepted("node 8", "an hour ahead", "it compares times in the past only"),
    Accepted("node 8", "a line end more", "it signs its own rendering of the parsed body"),
]
