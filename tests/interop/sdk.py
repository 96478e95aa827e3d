"""Runs the Python SDK: `sdk.py sign`, `sdk.py verify` and `sdk.py list` read JSON lines from stdin and write one to stdout
for each."""

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


def read(query):
    """Lists everything, page by page."""
    base_url = f"http://{query['host']}:{query['port']}"
    client = WorkOSClient(api_key=query["key"], client_id="client_interop", base_url=base_url)
    sync = client.directory_sync

    def every(page):
        return [item.to_dict() for item in page.auto_paging_iter()]

    directories = every(sync.list_directories(limit=1))
    users, groups, memberships = [], [], []
    for directory in directories:
        users += every(sync.list_users(directory=directory["id"], limit=30))
        groups += every(sync.list_groups(directory=directory["id"], limit=5, order="asc"))
    for group in groups:
        members = every(sync.list_users(group=group["id"]))
        memberships += [{"user_id": user["id"], "group_id": group["id"]} for user in members]
    singles = [
        sync.get_directory(directories[0]["id"]).to_dict() == directories[0],
        sync.get_user(users[0]["id"]).to_dict() == users[0],
        sync.get_group(groups[0]["id"]).to_dict() == groups[0],
    ]
    events = every(client.events.list_events(events=query["events"], limit=100, order="asc"))
    return {
        "directories": [directory_record(it) for it in directories],
        "users": [user_record(it) for it in users],
        "groups": [pick(it, "id", "directory_id", "idp_id", "name", "updated_at") for it in groups],
        "memberships": memberships,
        "events": [event["id"] for event in events],
        "singles": all(singles),
    }


def directory_record(directory):
    state = {"linked": "active", "unlinked": "inactive"}.get(directory["state"], directory["state"])
    return {**pick(directory, "id", "organization_id", "name", "type", "updated_at"), "state": state}


def user_record(user):
    custom = pick(user["custom_attributes"], "job_title", "department_name")
    fields = ["id", "directory_id", "idp_id", "email", "first_name", "last_name", "name", "state", "updated_at"]
    return {**pick(user, *fields), **custom, "role": user["role"]["slug"]}


def pick(item, *fields):
    return {field: item[field] for field in fields}


def attempt(check, arguments):
    # Any exception is a rejection; known.py lists the expected messages.
    try:
        return {"ok": True, **check(arguments)}
    except Exception as error:
        return {"rejected": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    answer = {"sign": sign, "verify": verify, "list": read}[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))))
