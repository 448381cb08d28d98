"""The one box: what is scanned, typed or held before the camera, and where this till stands."""

from collections.abc import Mapping
from uuid import UUID

from flask import Response, abort, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.loyalty import card_codes
from app.services import code_redeeming, frames, limits, members, recognise, reward_use
from app.services.errors import Refused
from app.services.recognise import What
from app.services.views import MemberView
from app.web.access import TILL, actor, ctx, staff_only
from app.web.till.page import LOCATION, Page, blueprint, draw, here, keep_proof, places, sent_last4, take_result


@blueprint.get("")
@staff_only(*TILL)
def box() -> Page:
    return draw(result=take_result(None))


@blueprint.get("/m/<uuid:member_id>")
@staff_only(*TILL)
def member(member_id: UUID) -> Page:
    return draw(members.by_id(ctx(), actor(), member_id), result=take_result(member_id))


@blueprint.post("/find")
@staff_only(*TILL)
def find() -> Page:
    """Look up what was scanned or typed. An unknown phone number is offered to join."""
    typed = request.form.get("code", "")[:200]
    try:
        limits.spend(ctx(), limits.LOOKUP, "till", str(actor().staff_id))
        found = recognise.recognise(ctx(), actor(), typed)
    except Refused as refusal:
        unknown = refusal.kind == "member-not-found"
        number = typed if unknown and card_codes.read(typed) is None else ""
        return draw(refusal=refusal, joining=number, mistyped="" if number else typed)
    if found.member is None:
        return show_credit(found.code)
    # A card's proof is kept; a phone number ends an earlier one: who calls out a number has shown nothing.
    keep_proof(found.reward_id or found.member.id, found.proof)
    if found.reward_id is not None:
        return _show_coupon(found.member, found.reward_id)
    if found.code and found.what is not What.CARD:
        return draw(found.member, code=found.code)
    return redirect(url_for("till.member", member_id=found.member.id), 303)


def _show_coupon(member: MemberView, reward_id: UUID) -> Page:
    """The member with the reward whose coupon was scanned; or why it can be used no more."""
    refusal = reward_use.why_closed(ctx(), actor(), reward_id)
    if refusal is not None:
        return draw(member, refusal=refusal)
    return redirect(url_for("till.member", member_id=member.id, reward=reward_id), 303)


@blueprint.post("/credit")
@staff_only(*TILL)
def credit() -> Page:
    """Look a credit up by its code: with the phone's last digits, or although the code is also somebody's number."""
    return show_credit(request.form.get("code", "")[:40], sent_last4())


def show_credit(
    code: str, last4: str | None = None, *, refusal: Refused | None = None, typed: Mapping[str, str] | None = None
) -> Page:
    """The credit with this code and the form to use it. A miss is one line, and the digits stay to be mended."""
    try:
        found = code_redeeming.check(ctx(), actor(), code, last4, location=here())
    except Refused as missed:
        if missed.field == "phone_last4":
            # That the digits are asked for is no mistake of anybody's.
            asked = missed.kind == "phone-digits-needed"
            return draw(code=code, asking_last4=True, refusal=None if asked else missed, typed=typed)
        return draw(refusal=missed, joining=code, mistyped=code)
    return draw(credit=found, code=code, last4=last4, refusal=refusal, typed=typed)


@blueprint.post("/location")
@staff_only(*TILL)
def location() -> Page:
    """Remember where this till stands, until the cashier signs out."""
    chosen = request.form.get("location", "")
    if any(str(place.id) == chosen for place in places()):
        session[LOCATION] = chosen
    return redirect(url_for("till.box"), 303)


@blueprint.post("/frame")
@staff_only(*TILL)
def frame() -> AnyResponse | dict[str, str]:
    """A camera frame as the body: {"text": …} when there is a QR code in it, else 204."""
    if (request.content_length or 0) > frames.MOST_BYTES:
        abort(413)
    limits.spend(ctx(), limits.LOOKUP, "till-frame", str(actor().staff_id))
    found = frames.read_qr(request.get_data())
    return {"text": found} if found else Response(status=204)
