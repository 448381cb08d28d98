"""Stamps given, rewards used, acts undone."""

from uuid import UUID

from flask import request

from app.services import till
from app.services.errors import Refused
from app.web.access import TILL, actor, ctx, staff_only
from app.web.till.page import (
    Page,
    blueprint,
    done,
    draw,
    in_till_words,
    not_done,
    once_key,
    proof_for,
    proof_of,
    sent_amount,
    sent_id,
    sent_location,
    sent_receipt,
)
from sms.digits import ascii_digits


@blueprint.post("/m/<uuid:member_id>/stamps")
@staff_only(*TILL)
def give(member_id: UUID) -> Page:
    try:
        answer, _ = till.give_stamps(
            ctx(),
            actor(),
            member_id=member_id,
            count=_count(request.form.get("count", "")),
            amount_minor=sent_amount(),
            receipt_no=sent_receipt(),
            location=sent_location(),
            card=request.form.get("stamp_card", "")[:60] or None,
            key=once_key(),
        )
    except Refused as refusal:
        return not_done(member_id, refusal, request.form)
    issued = [reward["name"] for reward in answer["issued"]]
    told = {"count": answer["given"], "rewards": issued, "bonus": answer.get("bonus_given", 0)}
    return done(UUID(answer["member_id"]), {"kind": "given", **told})


@blueprint.post("/m/<uuid:member_id>/redeem")
@staff_only(*TILL)
def redeem(member_id: UUID) -> Page:
    reward_id = sent_id("reward_id")
    try:
        answer, _ = till.redeem_reward(
            ctx(),
            actor(),
            reward_id,
            proof=proof_for(member_id, reward_id) or proof_of(member_id),
            bill_minor=sent_amount("reward_bill"),
            location=sent_location(),
            key=once_key(),
        )
    except Refused as refusal:
        return not_done(member_id, refusal, request.form)
    told = {"rewards": [answer["redeemed_name"]], "off_minor": answer.get("off_minor")}
    return done(UUID(answer["member_id"]), {"kind": "redeemed", **told})


@blueprint.post("/m/<uuid:member_id>/undo")
@staff_only(*TILL)
def undo(member_id: UUID) -> Page:
    try:
        answer, _ = till.undo(ctx(), actor(), sent_id("operation_id"), key=once_key())
    except Refused as refusal:
        return not_done(member_id, refusal)
    told = {"bonus_missing": answer.get("bonus_missing_minor", 0), "bonus_lapsed": answer.get("bonus_lapsed_minor", 0)}
    return done(UUID(answer["member_id"]), {"kind": "undone", **told})


@blueprint.post("/undo")
@staff_only(*TILL)
def undo_coupon() -> Page:
    """Take back the use of a group's coupon, which has no member to show."""
    try:
        till.undo(ctx(), actor(), sent_id("operation_id"), key=once_key())
    except Refused as refusal:
        return draw(refusal=in_till_words(refusal))
    return done(None, {"kind": "undone"})


def _count(typed: str) -> int:
    digits = ascii_digits(typed).strip()
    return int(digits[:9]) if digits.isascii() and digits.isdigit() else 0
