"""The Apple channel: push every phone that holds a changed card or coupon."""

from collections import defaultdict
from collections.abc import Sequence

from app.jobs.outcome import Outcome
from app.logs import log
from app.services import apple_devices
from app.services.context import Context
from app.services.outbox import Claimed
from app.wiring import PushClients
from passes.apple.push import Push, Result, Verdict


def push_phones(context: Context, clients: PushClients, rows: Sequence[Claimed]) -> list[Outcome]:
    """Push the phones of these cards and coupons, all at once. No transaction is open meanwhile.

    A card whose phones were not all reached is pushed again whole: a push says only 'look', so a second one is
    harmless.
    """
    targets = apple_devices.targets(context, [row.subject_id for row in rows])
    urgent = {row.subject_id: row.notify for row in rows}
    pushes = [Push(target.push_token, target.pass_type, 10 if urgent[target.subject_id] else 5) for target in targets]
    results = clients.send(pushes)
    by_subject = defaultdict(list)
    for target, result in zip(targets, results, strict=True):
        by_subject[target.subject_id].append(result)
        if result.verdict in (Verdict.UNREGISTERED, Verdict.BAD_TOKEN):
            if result.verdict is Verdict.BAD_TOKEN:
                log().warning("apple.bad_token", device=str(target.device_id), reason=result.reason)
            apple_devices.prune(context, target.push_token, result.timestamp)
    return [_outcome(row, by_subject[row.subject_id]) for row in rows]


def _outcome(row: Claimed, results: list[Result]) -> Outcome:
    for verdict, permanent in ((Verdict.RETRY, False), (Verdict.REFUSED, True)):
        for result in results:
            if result.verdict is verdict:
                return Outcome(row, _reason(result), permanent, result.retry_after)
    return Outcome(row)


def _reason(result: Result) -> str:
    """Apple's status and word for it, or ours for what happened before an answer; and the sentence, if there is one."""
    words = f"{result.status} {result.reason}".rstrip() if result.status else result.reason
    return f"{words}: {result.detail}" if result.detail else words
