"""The till: one box for cards and phone numbers, and what a cashier does with the member who was found.

Everything that changes something is a form whose answer is a redirect, so that a reload only looks again. Phone
numbers are never part of an address: addresses are kept in logs.
"""

from uuid import UUID

from flask import Blueprint, Response, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.i18n import N_
from app.loyalty import card_codes
from app.loyalty.ledger import Kind
from app.services import cards, frames, limits, members, messages, programs, reversal, till
from app.services.errors import InvalidForm, Refused
from app.services.forms import minor_units
from app.services.members import JoinRequest
from app.services.programs import LocationView, ProgramView
from app.services.views import EntryView, MemberView
from app.web.access import TILL, actor, ctx, current_staff, staff_only
from app.web.brand import stamps_picture
from app.web.language import text
from sms.digits import ascii_digits
from sms.phones import PhoneError, masked, normalise, shown

blueprint = Blueprint("till", __name__, url_prefix="/till")

_SHOWN_ACTS = 6
_LOCATION = "till_location"
_RESULT = "till_result"
Page = AnyResponse | str | tuple[str, int]


@blueprint.get("")
@staff_only(*TILL)
def box() -> Page:
    return _page()


@blueprint.get("/m/<uuid:member_id>")
@staff_only(*TILL)
def member(member_id: UUID) -> Page:
    return _page(members.by_id(ctx(), actor(), member_id), result=_take_result(member_id))


@blueprint.post("/find")
@staff_only(*TILL)
def find() -> Page:
    """Look up what was scanned or typed. An unknown phone number is offered to join."""
    code = request.form.get("code", "")[:100]
    try:
        limits.spend(ctx(), limits.LOOKUP, "till", str(actor().staff_id))
        found = members.find(ctx(), actor(), code)
    except Refused as refusal:
        unknown = refusal.kind == "member-not-found"
        number = code if unknown and card_codes.read(code) is None else ""
        return _page(refusal=refusal, joining=number, mistyped="" if number else code)
    return redirect(url_for("till.member", member_id=found.id), 303)


@blueprint.post("/m/<uuid:member_id>/stamps")
@staff_only(*TILL)
def give(member_id: UUID) -> Page:
    try:
        answer, _ = till.give_stamps(
            ctx(),
            actor(),
            request.form.get("card_code", ""),
            count=_count(request.form.get("count", "")),
            amount_minor=_amount(request.form.get("amount", "")),
            receipt_no=request.form.get("receipt_no", "")[:200],
            location=_sent_location(),
            key=_key(),
        )
    except Refused as refusal:
        return _not_done(member_id, refusal, request.form)
    issued = [reward["name"] for reward in answer["issued"]]
    return _done(UUID(answer["member_id"]), {"kind": "given", "count": answer["given"], "rewards": issued})


@blueprint.post("/m/<uuid:member_id>/redeem")
@staff_only(*TILL)
def redeem(member_id: UUID) -> Page:
    try:
        reward_id = _uuid(request.form.get("reward_id", ""))
        answer, _ = till.redeem_reward(ctx(), actor(), reward_id, location=_sent_location(), key=_key())
    except Refused as refusal:
        return _not_done(member_id, refusal)
    return _done(UUID(answer["member_id"]), {"kind": "redeemed", "rewards": [answer["redeemed_name"]]})


@blueprint.post("/m/<uuid:member_id>/undo")
@staff_only(*TILL)
def undo(member_id: UUID) -> Page:
    try:
        answer, _ = till.undo(ctx(), actor(), _uuid(request.form.get("operation_id", "")), key=_key())
    except Refused as refusal:
        return _not_done(member_id, refusal)
    return _done(UUID(answer["member_id"]), {"kind": "undone"})


@blueprint.post("/join")
@staff_only(*TILL)
def join() -> Page:
    """Make a customer a member by the phone number that was typed. The terms were said aloud."""
    phone = request.form.get("phone", "")[:100]
    if request.form.get("terms") != "on":
        refusal = Refused(
            "terms-not-accepted", N_("Tell the customer the terms, and tick the box when they agree."), field="terms"
        )
        return _page(refusal=refusal, joining=phone, typed=request.form)
    wanted = JoinRequest(phone=phone, name=request.form.get("name", ""), via="till", consents=_said_aloud())
    try:
        joined, new = members.join(ctx(), actor(), wanted, source="till")
    except InvalidForm as invalid:
        return _page(refusal=next(iter(invalid.errors.values())), typed=request.form)
    except Refused as refusal:
        return _page(refusal=refusal, typed=request.form)
    if new:
        messages.send_card_link(ctx(), joined)
    return _done(joined.id, {"kind": "joined" if new else "known"})


@blueprint.post("/m/<uuid:member_id>/rejoin")
@staff_only(*TILL)
def rejoin(member_id: UUID) -> Page:
    """Bring back the card of someone who left and now joins again."""
    left = members.by_id(ctx(), actor(), member_id)
    wanted = JoinRequest(phone=left.phone, via="till", consents=_said_aloud())
    members.join(ctx(), actor(), wanted, source="till")
    return _done(left.id, {"kind": "rejoined"})


@blueprint.post("/location")
@staff_only(*TILL)
def location() -> Page:
    """Remember where this till stands, until the cashier signs out."""
    chosen = request.form.get("location", "")
    if any(str(place.id) == chosen for place in _places()):
        session[_LOCATION] = chosen
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


def _page(
    member: MemberView | None = None,
    *,
    refusal: Refused | None = None,
    result: dict[str, object] | None = None,
    joining: str = "",
    mistyped: str = "",
    typed: dict[str, str] | None = None,
) -> Page:
    program = programs.get(ctx(), actor().program_id)
    places = _places()
    details = _about(program, member) if member else {}
    number = _number(joining, program)
    page = render_template(
        "till/page.html",
        program=program,
        member=member,
        places=places,
        place=_place(places),
        result=result,
        refusal=refusal.text(text()) if refusal else "",
        errors={refusal.field: refusal.text(text())} if refusal and refusal.field else {},
        form=typed or {},
        joining=number,
        mistyped=mistyped,
        joining_shown=shown(number, program.country) if number else "",
        **details,
    )
    return (page, refusal.status) if refusal else page


def _number(typed: str, program: ProgramView) -> str:
    """The phone number that may join, or '' when what was typed is none."""
    try:
        return normalise(typed, program.country)
    except PhoneError:
        return ""


def _about(program: ProgramView, member: MemberView) -> dict[str, object]:
    """What the page shows of a member beside the member."""
    acts = till.history(ctx(), actor(), member.id, limit=_SHOWN_ACTS)
    last = next((act for act in acts if act.kind in (Kind.EARN, Kind.JOIN) and not act.undone), None)
    return {
        "picture": stamps_picture(program, member.stamps),
        "phone": masked(member.phone),
        "acts": acts,
        "last_stamp": last,
        "last_minutes": _minutes_since(last) if last else 0,
        "undoable": reversal.newest_undoable(ctx(), actor(), member.id),
        "last_days": {
            reward.id: cards.last_day(reward.expires_at, program.time_zone)
            for reward in member.rewards
            if reward.expires_at
        },
    }


def _minutes_since(act: EntryView) -> int:
    return max(0, int((clock.now() - act.at).total_seconds() // 60))


def _done(member_id: UUID, result: dict[str, object]) -> AnyResponse:
    session[_RESULT] = result | {"member": str(member_id)}
    return redirect(url_for("till.member", member_id=member_id), 303)


def _not_done(member_id: UUID, refusal: Refused, typed: dict[str, str] | None = None) -> Page:
    if refusal.kind == "idempotency-key-reused":
        said = N_("This form was sent already. Below is how the card is now.")
        refusal = Refused(refusal.kind, said, status=refusal.status)
    return _page(members.by_id(ctx(), actor(), member_id), refusal=refusal, typed=typed)


def _take_result(member_id: UUID) -> dict[str, object] | None:
    """What was just done, told once. What another tab did to another member is dropped."""
    result = session.pop(_RESULT, None)
    return result if isinstance(result, dict) and result.get("member") == str(member_id) else None


def _key() -> str:
    """The form's own key; without one a double click could not be told from two stamps."""
    key = request.form.get("key", "")
    if not key:
        abort(400)
    return key


def _count(typed: str) -> int:
    digits = ascii_digits(typed).strip()
    return int(digits[:9]) if digits.isascii() and digits.isdigit() else 0


def _amount(typed: str) -> int | None:
    return minor_units(typed, programs.get(ctx(), actor().program_id).currency) if typed.strip() else None


def _uuid(typed: str) -> UUID:
    try:
        return UUID(typed)
    except ValueError:
        abort(400)


def _sent_location() -> UUID | None:
    """Where the form was filled in. It comes with the form, so that a re-sent form is the same request."""
    sent = request.form.get("location_id", "")
    return _uuid(sent) if sent else None


def _places() -> list[LocationView]:
    return [place for place in programs.locations(ctx(), actor().program_id) if place.active]


def _place(places: list[LocationView]) -> LocationView | None:
    """Where this till stands: what was chosen, else the cashier's own location, else the only one there is."""
    person = current_staff()
    for wanted in (session.get(_LOCATION), str(person.location_id) if person else None):
        for place in places:
            if str(place.id) == wanted:
                return place
    return places[0] if len(places) == 1 else None


def _said_aloud() -> dict[str, str]:
    program = programs.get(ctx(), actor().program_id)
    wording = text().gettext(N_("Said at the till: I accept the terms of %(name)s."), name=program.name)
    return {"terms": f"{wording}\n\n{program.terms_text}".strip()[:4000]}
