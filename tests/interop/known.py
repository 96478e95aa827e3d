"""The valid deliveries that the pinned SDKs reject, and the invalid ones that they accept. All others must work.

Each row must occur: if an SDK no longer behaves like this, the check fails until the row is removed.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rejected:
    peer: str
    # "signature" (and therefore also the event), or "event" (the signature is accepted, the event isn't).
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


FIRST = "two secrets, the matching one first"
LAST = "two secrets, the matching one last"

MISMATCH = "Signature hash does not match"
TOLERANCE = "Timestamp outside the tolerance zone"
UNREADABLE = "Unable to extract timestamp and signature hash"

REJECTED = [
    Rejected("crate", "event", "no object", "missing field `object`", "it requires `object` in the envelope"),
    Rejected("crate", "event", "no created_at", "missing field `created_at`", "it requires `created_at` in the envelope"),
    Rejected("crate", "signature", "in seconds", "timestamp outside tolerance", "it expects milliseconds"),
    Rejected("crate", "signature", FIRST, "no valid signature found", "the last v1 wins"),
    Rejected("crate", "signature", "upper-case hex", "no valid signature found", "it compares text"),
    Rejected("crate", "signature", "a v2 after v1", "unknown webhook signature component", "any v2 is an error"),
    Rejected("crate", "signature", "a v2 before v1", "unknown webhook signature component", "any v2 is an error"),
]
for node in ("node 11", "node 8"):
    REJECTED += [
        Rejected(node, "signature", "in seconds", TOLERANCE, "it expects milliseconds"),
        Rejected(node, "signature", LAST, MISMATCH, "the first v1 wins"),
        Rejected(node, "signature", "upper-case hex", MISMATCH, "it compares text"),
        # Whether the error is about the time or about the signature depends on the digits.
        Rejected(node, "signature", "v1 before t", "SignatureVerificationException", "it parses by position"),
        Rejected(node, "signature", "a v2 before v1", MISMATCH, "it parses by position"),
    ]
REJECTED += [
    Rejected("node 8", "signature", "rendering", MISMATCH, "it signs the body as serialised again"),
    Rejected("node 8", "event", "token event", "returned undefined", "it doesn't know dsync.token.*"),
    Rejected("node 8", "event", "unknown event", "returned undefined", "it ignores unknown events"),
    Rejected("python", "signature", "in seconds", UNREADABLE, "it splits at a comma and a space"),
    Rejected("python", "signature", FIRST, UNREADABLE, "it requires exactly two parts"),
    Rejected("python", "signature", LAST, UNREADABLE, "it requires exactly two parts"),
    Rejected("python", "signature", "upper-case hex", MISMATCH, "it compares text"),
    Rejected("python", "signature", "v1 before t", "invalid literal for int()", "it parses by position"),
    Rejected("python", "signature", "a v2 after v1", UNREADABLE, "it requires exactly two parts"),
    Rejected("python", "signature", "a v2 before v1", UNREADABLE, "it requires exactly two parts"),
    Rejected("python", "event", "no created_at", "'created_at'", "it requires `created_at` in the envelope"),
]

ACCEPTED = [
    Accepted("node 11", "an hour ahead", "it doesn't check times in the future"),
    Accepted("node 8", "an hour ahead", "it doesn't check times in the future"),
    Accepted("node 8", "a line break added", "it signs the body as serialised again"),
]
