"""Credit used at the till, by its code or by a customer who is known; and the code that lets a caller spend."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import request

from app.services import code_redeeming, credit_use, members, spending_proofs
from app.services.errors import Refused
from app.web.access import TILL, actor, ctx, staff_only
from app.web.till.finding import show_credit
from app.web.till.page import (
    Page,
    blueprint,
    done,
    draw,
    in_till_words,
    keep_proof,
    not_done,
    once_key,
    proof_of,
    sent_amount,
    sent_last4,
    sent_location,
    sent_receipt,
)

_AMOUNTS = frozenset({"amount", "amount_minor"})


@blueprint.post("/credit/use")
@staff_only(*TILL)
def use_code() -> Page:
    """Take the bill off the credit with this code."""
    code, last4 = request.form.get("code", "")[:40], sent_last4()
    try:
        answer, _ = code_redeeming.redeem(
            ctx(),
            actor(),
            code,
            amount_minor=sent_amount() or 0,
            receipt_no=sent_receipt(),
            location=sent_location(),
            phone_last4=last4,
            key=once_key(),
        )
    except Refused as refusal:
        if refusal.field in _AMOUNTS:
            return show_credit(code, last4, refusal=_at(refusal, "amount"), typed=request.form)
        if refusal.field == "phone_last4":
            return show_credit(code, last4, typed=request.form)
        return draw(refusal=in_till_words(refusal))
    return done(UUID(answer["member_id"]) if answer["member_id"] else None, _used(answer))


@blueprint.post("/m/<uuid:member_id>/credit")
@staff_only(*TILL)
def use_credit(member_id: UUID) -> Page:
    """Take the bill off the credits of a member who has shown the card, or told the code that was sent."""
    try:
        answer, _ = credit_use.use(
            ctx(),
            actor(),
            member_id,
            bill_minor=sent_amount("bill") or 0,
            proof=proof_of(member_id),
            receipt_no=request.form.get("bill_receipt_no", "")[:200],
            location=sent_location(),
            key=once_key(),
        )
    except Refused as refusal:
        return not_done(member_id, _at(refusal, "bill"), request.form)
    return done(member_id, _used(answer))


@blueprint.post("/m/<uuid:member_id>/send-code")
@staff_only(*TILL)
def send_code(member_id: UUID) -> Page:
    """Send the customer a one-time code, to be told to the cashier."""
    try:
        spending_proofs.send(ctx(), actor(), member_id)
    except Refused as refusal:
        return draw(members.by_id(ctx(), actor(), member_id), refusal=refusal)
    return done(member_id, {"kind": "code-sent"})


@blueprint.post("/m/<uuid:member_id>/unlock")
@staff_only(*TILL)
def unlock(member_id: UUID) -> Page:
    """Take the one-time code that the customer told."""
    try:
        proof, _ = spending_proofs.confirm(ctx(), actor(), member_id, request.form.get("one_time_code", ""))
    except Refused as refusal:
        return draw(members.by_id(ctx(), actor(), member_id), refusal=refusal)
    keep_proof(member_id, proof)
    return done(member_id, {"kind": "unlocked"})


def _used(answer: Mapping[str, Any]) -> dict[str, object]:
    kept = ("entry_id", "redeemed_minor", "left_minor", "lapsed_minor", "expires_at")
    return {"kind": "credit-used", **{name: answer[name] for name in kept}}


def _at(refusal: Refused, field: str) -> Refused:
    """The same refusal, where the form has the amount in this field."""
    if refusal.field not in _AMOUNTS:
        return refusal
    return Refused(refusal.kind, refusal.message, refusal.params, field=field, status=refusal.status)
