"""To the SDKs: what our `Signer` signs."""

from cases import FAULTS, HEADERS, IN_TIME, SECRET, ask, keep, one, query, some
from known import ACCEPTED, REFUSED

TO_THEM = "what our Signer signs, given to them"
REFUSED_AS_KNOWN = "refused, as known.py says"
ACCEPTED_AS_KNOWN = "accepted, as known.py says"
LABELS = {"accepted": "ok", "refused": "ok", REFUSED_AS_KNOWN: "REFUSED", ACCEPTED_AS_KNOWN: "ACCEPTED"}


def verify(report, peer, signer, command, bodies):
    """Lets an SDK verify; returns the rows of known.py that were seen."""
    # (case, what a row of known.py can name, body, query, the headers, the body that is sent, genuine)
    jobs = [(body.group, body.tags, body, query(body.text), one, keep, True) for body in bodies]
    for case, offset in IN_TIME:
        body = some(bodies)[1]
        jobs.append((case, body.tags, body, query(body.text, offset), one, keep, True))
    for body in some(bodies):
        for case, more, headers in HEADERS:
            jobs.append((case, body.tags | {case}, body, query(body.text, **more), headers, keep, True))
        for case, more, headers, change, _ in FAULTS:
            # They take one header; that there are two is for their caller to see.
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
    rules = [rule for rule in REFUSED if rule.peer == peer and rule.check in ("signature", check) and rule.tag in tags]
    result = answer[check]
    refused = result.get("refused")
    matching = {rule for rule in rules if refused is not None and rule.error in refused}
    if matching:
        got = REFUSED_AS_KNOWN
    elif refused is not None:
        got = f"refused: {refused}"
    elif check == "event" and (result["name"], result["id"]) != (body.name, body.id):
        got = f"accepted as {result['name']} {result['id']}"
    else:
        got = "accepted"
    expected = REFUSED_AS_KNOWN if rules else "accepted"
    report.add(TO_THEM, (case, f"{check} accepted"), peer, expected, got, LABELS[expected])
    return matching


def judge_forged(report, peer, case, tags, _body, check, answer):
    rules = {rule for rule in ACCEPTED if rule.peer == peer and rule.tag in tags}
    # What accepts a forged signature may still not like the event; that is nobody's merit.
    if rules and check == "event":
        return set()
    accepted = "refused" not in answer[check]
    if accepted:
        got = ACCEPTED_AS_KNOWN if rules else "accepted"
    else:
        got = "refused"
    expected = ACCEPTED_AS_KNOWN if rules else "refused"
    report.add(TO_THEM, (case, f"{check} refused"), peer, expected, got, LABELS[expected])
    return rules if accepted else set()
