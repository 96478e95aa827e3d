"""The bodies that are signed, and the line that the server example must print for each."""

import json
from dataclasses import dataclass

# The effect of each event on access, for active users. Other states are handled in `line`.
ACCESS = {
    "dsync.user.created": "access granted",
    "dsync.user.deleted": "access REVOKED",
    "dsync.user.updated": "access changed",
    "dsync.group.user_added": "group access added",
    "dsync.group.user_removed": "group access removed",
    "dsync.group.updated": "group access changed",
    "dsync.group.deleted": "group access REVOKED",
    "dsync.deleted": "directory access REVOKED",
}
CREATED_AT = "2026-06-30T23:59:59.000Z"
USER_EVENTS = ("dsync.user.", "dsync.group.user_added")

NAMES = {
    "first_name": "Zoë",
    "last_name": "Nguyễn-Łukasiewicz",
    # A letter with a combining accent, Arabic, Han, an emoji of several code points, U+2028, an escaped NUL.
    "name": "Zoe\u0308 زوي 阮佐伊 👩🏽\u200d🚀 \u2028 \u0000",
}


@dataclass(frozen=True)
class Body:
    group: str
    text: str
    # The properties that some SDK is known to reject.
    tags: frozenset = frozenset()

    @property
    def name(self):
        return json.loads(self.text)["event"]

    @property
    def id(self):
        return json.loads(self.text)["id"]


def bodies(samples):
    """All bodies, derived from the samples."""
    envelopes = [json.loads(sample["body"]) for sample in samples]
    user = next(one for one in envelopes if one["event"] == "dsync.user.updated")
    foreign = {**user, "data": {**user["data"], **NAMES}}
    numbers = '{"height":1.80,"badge":12345678901234567890,"ratio":1e2,"path":"a\\/b","x":"\\u0041"}'
    plain = compact({**user, "data": {**user["data"], "custom_attributes": "HERE"}})
    unknown = {"id": "event_leap", "event": "clock.leap_second", "data": {"id": "clock_1"}, "created_at": CREATED_AT}

    def tags(envelope, *more):
        found = set(more)
        if "object" not in envelope:
            found.add("no object")
        if "created_at" not in envelope:
            found.add("no created_at")
        if envelope["event"].startswith("dsync.token."):
            found.add("token event")
        return frozenset(found)

    made = [Body("sample", sample["body"], tags(json.loads(sample["body"]))) for sample in samples]
    for envelope in envelopes:
        whole = {"object": "event", **envelope}
        made.append(Body("with `object`", compact(whole), tags(whole)))
    bare = {"object": "event", **{key: user[key] for key in ("id", "event", "data")}}
    made.append(Body("with `object`, no `created_at`", compact(bare), tags(bare)))
    for envelope in envelopes:
        # There were no token events before 2023.
        if not envelope["event"].startswith("dsync.token."):
            old = {"id": envelope["id"].replace("event_", "wh_")}
            old |= {"data": envelope["data"], "event": envelope["event"]}
            made.append(Body("before 2023", compact(old), tags(old)))
    return made + [
        Body("not ASCII, unescaped", compact(foreign), tags(user)),
        Body("not ASCII, escaped", json.dumps(foreign, separators=(",", ":")), tags(user, "rendering")),
        Body("numbers and escapes", plain.replace('"HERE"', numbers), tags(user, "rendering")),
        Body("indented", json.dumps(foreign, ensure_ascii=False, indent=2), tags(user, "rendering")),
        Body("unusual white space and order", odd(foreign), tags(user, "rendering")),
        Body("a trailing line break", compact(user) + "\n", tags(user, "rendering")),
        Body("unknown event", compact(unknown), tags(unknown, "unknown event")),
    ]


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def odd(value):
    """Renders the keys in reverse order, with tabs, CRLF and spaces before colons."""
    backwards = dict(reversed(value.items()))
    return json.dumps(backwards, ensure_ascii=False, indent="\t", separators=(" ,", " :  ")).replace("\n", "\r\n")


def line(text, event_id=None):
    """The line that the server example prints for a body."""
    event = json.loads(text)
    name, data = event["event"], event["data"]
    if not name.startswith("dsync."):
        thing = "not a Directory Sync event of this version"
    elif "group" in data:
        thing = f"{data['user']['id']} in {data['group']['id']}"
    else:
        thing = data["id"]
    access = ACCESS.get(name, "no access changed")
    if name.startswith(USER_EVENTS) and data.get("user", data)["state"] != "active":
        access = "access REVOKED"
    return f"{name:<24} {access:<24} {thing} ({event_id or event['id']})"
