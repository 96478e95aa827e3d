"""Lets the SDKs verify what our `Signer` signs."""

from cases import FAULTS, HEADERS, IN_TIME, SECRET, ask, keep, one, query, some
from known import ACCEPTED, REJECTED

TO_THEM = "deliveries signed by our Signer, verified by each"
REJECTED_AS_KNOWN = "rejected, as in known.py"
ACCEPTED_AS_KNOWN = "accepted, as in known.py"
LABELS = {"accepted": "ok", "rejected": "ok", REJECTED_AS_KNOWN: "REJECTED", ACCEPTED_AS_KNOWN: "ACCEPTED"}


def verify(report, peer, signer, command, bodies):
    """Lets an SDK verify; returns the rows of known.py that were seen."""
    # (case, the tags that a row of known.py can name, body, query, the headers to send, the body to send, genuine)
    jobs = [(body.group, body.tags, body, query(body.text), one, keep, True) for body in bodies]
    for case, offset in IN_TIME:
        body = some(bodies)[1]
        jobs.append((case, body.tags, body, query(body.text, offset), one, keep, True))
    for body in some(bodies):
        for case, more, headers in HEADERS:
            jobs.append((case, body.tags | {case}, body, query(body.text, **more), headers, keep, True))
        for case, more, headers, change, _ in FAULTS:
            # The SDKs take one header value; a duplicate header is up to their caller.
            if case != "the header twice":
                jobs.append((case, {case}, body, query(body.text, **more), headers, change, False))

    signed = ask(signer, [job[3] for job in jobs])
    deliveries = [
        {"secret": SECRET, "header": "".join(headers(delivery["header"])), "body": change(delivery["body"])}
        for (_, _, _, _, headers, change, _), delivery in zip(jobs, signed)
    ]
    seen = set()
    for (case, tags, body, *_, genuine), answer in zip(jobs, ask(command, deliveries)):
        judge = judge_genuine if genuine else judge_forged
        for check in ("signature", "event"):
            seen |= judge(report, peer, case, tags, body, check, answer)
    return seen


def judge_genuine(report, peer, case, tags, body, check, answer):
    rules = [rule for rule in REJECTED if rule.peer == peer and rule.check in ("signature", check) and rule.tag in tags]
    result = answer[check]
    rejected = result.get("rejected")
    matching = {rule for rule in rules if rejected is not None and rule.error in rejected}
    if matching:
        got = REJECTED_AS_KNOWN
    elif rejected is not None:
        got = f"rejected: {rejected}"
    elif check == "event" and (result["name"], result["id"]) != (body.name, body.id):
        got = f"accepted as {result['name']} {result['id']}"
    else:
        got = "accepted"
    expected = REJECTED_AS_KNOWN if rules else "accepted"
    report.add(TO_THEM, (case, f"{check} accepted"), peer, expected, got, LABELS[expected])
    return matching


def judge_forged(report, peer, case, tags, _body, check, answer):
    rules = {rule for rule in ACCEPTED if rule.peer == peer and rule.tag in tags}
    # An SDK that accepts a forged signature may still reject the event. That doesn't count.
    if rules and check == "event":
        return set()
    accepted = "rejected" not in answer[check]
    if accepted:
        got = ACCEPTED_AS_KNOWN if rules else "accepted"
    else:
        got = "rejected"
    expected = ACCEPTED_AS_KNOWN if rules else "rejected"
    report.add(TO_THEM, (case, f"{check} rejected"), peer, expected, got, LABELS[expected])
    return rules if accepted else set()
