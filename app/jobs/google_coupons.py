"""The coupons of the Google channel: have Google know those that changed, many at once."""

from collections.abc import Sequence
from uuid import UUID

from app.services import google_coupons
from app.services.context import Context
from app.services.google_coupons import DescribedCoupon
from app.services.outbox import Claimed
from passes.google.client import LARGEST_BATCH, GoogleWallet, ObjectPut
from passes.google.outcome import DONE, NO_ANSWER, TOKEN_UNAVAILABLE, Outcome, OutcomeKind


def put_coupons(context: Context, wallet: GoogleWallet, rows: Sequence[Claimed]) -> dict[UUID, Outcome]:
    """Send these coupons as they are now, in batches. No transaction is open meanwhile. They change silently: the
    card tells the news."""
    results: dict[UUID, Outcome] = {}
    for start in range(0, len(rows), LARGEST_BATCH):
        batch = [row.subject_id for row in rows[start : start + LARGEST_BATCH]]
        results |= _put_batch(context, wallet, batch)
        silent = next((result for result in results.values() if result in (NO_ANSWER, TOKEN_UNAVAILABLE)), None)
        if silent is not None:
            # The next batches would each wait for the timeout too, and the rows' leases would run out.
            return {row.subject_id: results.get(row.subject_id, silent) for row in rows}
    return results


def _put_batch(context: Context, wallet: GoogleWallet, reward_ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    described = google_coupons.describe(context, reward_ids)
    results = {reward_id: DONE for reward_id in reward_ids if reward_id not in described}  # nothing to tell of these
    ready: list[DescribedCoupon] = []
    classes: dict[str, Outcome] = {}
    for reward_id, one in described.items():
        class_id = google_coupons.class_id(context, one.coupon)
        if one.problem:
            results[reward_id] = Outcome(OutcomeKind.REFUSED, "invalid", one.problem)
            continue
        if class_id not in classes:
            classes[class_id] = google_coupons.ensure_class(context, wallet, one.coupon)
        if classes[class_id].delivered:
            ready.append(one)
        else:
            results[reward_id] = classes[class_id]
    answers = wallet.put_objects([ObjectPut(one.body, new=not one.known, resource="offerObject") for one in ready])
    for one, answer in zip(ready, answers, strict=True):
        results[one.coupon.reward.id] = answer
        if answer.code == "class_missing":
            google_coupons.forget_class(context, one.coupon)
            results[one.coupon.reward.id] = Outcome(OutcomeKind.RETRY, answer.code, answer.reason)
    google_coupons.mark_told(
        context,
        [
            (one.coupon.reward.id, one.coupon.version)
            for one, answer in zip(ready, answers, strict=True)
            if answer.delivered
        ],
    )
    return results
