"""The task channel: long work, a slice at a time, so that every task gets its turn."""

import time
from collections.abc import Sequence

from app.jobs.outcome import Outcome
from app.services import (
    campaign_choosing,
    campaign_planning,
    classing,
    credit_granting,
    credit_policies,
    google_voiding,
    nps,
    nps_asking,
    outbox,
    referral_work,
    referrals,
    register_import,
    register_work,
    sms_reports,
    tier_work,
)
from app.services.context import Context
from app.services.outbox import Claimed
from app.services.tasks import Slice

# A worker that is to stop finishes its slice; a lease lasts longer.
SLICE_SECONDS = 2.0

KINDS: dict[str, Slice] = {
    campaign_planning.CHOOSE: campaign_choosing.choose,
    classing.KIND: classing.work,
    credit_policies.KIND: credit_granting.work,
    google_voiding.KIND: google_voiding.void,
    nps.TASK: nps_asking.bring,
    referrals.TASK: referral_work.work,
    register_import.KIND: register_work.work,
    sms_reports.KIND: sms_reports.ask,
    tier_work.KIND: tier_work.work,
}


def work(context: Context, rows: Sequence[Claimed]) -> list[Outcome]:
    """One slice of each task."""
    for row in rows:
        kind = str(row.payload["kind"])
        if not KINDS[kind](context, row.subject_id, time.monotonic() + SLICE_SECONDS):
            outbox.go_on(context, row, row.payload, seconds=0)
    return [Outcome(row) for row in rows]
