"""Bonus at the till: money that pays the bill, points that a reward is given for."""

from uuid import UUID

from flask import request

from app.services import bonus_use
from app.services.errors import Refused
from app.web.access import TILL, actor, ctx, staff_only
from app.web.till.page import (
    Page,
    blueprint,
    done,
    not_done,
    once_key,
    proof_of,
    sent_amount,
    sent_id,
    sent_location,
)

# What the service calls its fields → what the form does.
_FIELDS = {"amount": "bonus_bill", "amount_minor": "bonus_bill", "use_minor": "bonus_part"}


@blueprint.post("/m/<uuid:member_id>/bonus")
@staff_only(*TILL)
def use_bonus(member_id: UUID) -> Page:
    """Take bonus off the bill of a member who has shown the card, or told the code that was sent."""
    try:
        answer, _ = bonus_use.pay(
            ctx(),
            actor(),
            member_id,
            bill_minor=sent_amount("bonus_bill") or 0,
            wanted_minor=sent_amount("bonus_part"),
            proof=proof_of(member_id),
            receipt_no=request.form.get("bonus_receipt_no", "")[:200],
            location=sent_location(),
            key=once_key(),
        )
    except Refused as refusal:
        return not_done(member_id, _here(refusal), request.form)
    return done(member_id, {"kind": "bonus-used", "used": answer["used_minor"], "left": answer["left_minor"]})


@blueprint.post("/m/<uuid:member_id>/bonus/reward")
@staff_only(*TILL)
def buy_reward(member_id: UUID) -> Page:
    """Give a reward for its price in points. It can then be used at once, or later."""
    try:
        answer, _ = bonus_use.buy(
            ctx(),
            actor(),
            member_id,
            sent_id("reward_type_id"),
            proof=proof_of(member_id),
            location=sent_location(),
            key=once_key(),
        )
    except Refused as refusal:
        return not_done(member_id, refusal)
    names = [reward["name"] for reward in answer["issued"]]
    return done(member_id, {"kind": "bought", "rewards": names, "left": answer["bonus"]})


def _here(refusal: Refused) -> Refused:
    """The same refusal, at the field of this form."""
    field = _FIELDS.get(refusal.field, refusal.field)
    return Refused(refusal.kind, refusal.message, refusal.params, field=field, status=refusal.status)
