"""What the till's pages share: how they are drawn, what was just done, and the proofs that this browser holds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.i18n import N_
from app.loyalty.credit import last_day
from app.loyalty.ledger import Kind, Unit
from app.services import (
    bonus_use,
    card_tier,
    double_windows,
    group_pricing,
    join_rules,
    members,
    programs,
    referral_links,
    reversal,
    spending_proofs,
    till,
)
from app.services.code_redeeming import CheckedCode
from app.services.errors import Refused
from app.services.forms import minor_units
from app.services.programs import LocationView, ProgramView
from app.services.views import EntryView, MemberView
from app.web.access import actor, ctx, current_staff
from app.web.brand import counted_picture, stamps_picture
from app.web.language import text
from app.web.rewards import ShownReward, shown_rewards
from app.web.tiers import badge
from sms.phones import PhoneError, masked, normalise, shown

blueprint = Blueprint("till", __name__, url_prefix="/till")

Page = AnyResponse | str | tuple[str, int]
LOCATION = "till_location"
_SHOWN_ACTS = 6
_RESULT = "till_result"
_PROOFS = "till_proofs"
_MOST_PROOFS = 4  # customers whom one cashier serves at the same time, in several windows


def draw(
    member: MemberView | None = None,
    *,
    refusal: Refused | None = None,
    result: Mapping[str, object] | None = None,
    credit: CheckedCode | None = None,
    code: str = "",
    last4: str | None = None,
    asking_last4: bool = False,
    joining: str = "",
    mistyped: str = "",
    typed: Mapping[str, str] | None = None,
) -> Page:
    """The till with what was found: a `member`, a `credit` by its `code` (or, before it can be told, the phone's last
    digits are asked for), or a number that may join."""
    program = programs.get(ctx(), actor().program_id)
    open_places = places()
    number = _number(joining, program)
    page = render_template(
        "till/page.html",
        program=program,
        member=member,
        credit=credit,
        code=code,
        last4=last4,
        asking_last4=asking_last4,
        places=open_places,
        place=_place(open_places),
        result=result,
        refusal=refusal.text(text()) if refusal else "",
        refused=refusal.kind if refusal else "",
        errors={refusal.field: refusal.text(text())} if refusal and refusal.field else {},
        form=typed or {},
        joining=number,
        mistyped=mistyped,
        joining_shown=shown(number, program.country) if number else "",
        asked=join_rules.get(ctx(), program.id) if number else None,
        friends=bool(number) and referral_links.is_offered(ctx(), program),
        last_day=lambda moment: last_day(moment, program.time_zone),
        moment_of=datetime.fromisoformat,
        **(_about(program, member, _place(open_places)) if member else {}),
    )
    return (page, refusal.status) if refusal else page


def done(member_id: UUID | None, result: Mapping[str, object]) -> AnyResponse:
    """Go and see how things stand now, with the result told once."""
    session[_RESULT] = {**result, "member": str(member_id) if member_id else ""}
    return redirect(url_for("till.member", member_id=member_id) if member_id else url_for("till.box"), 303)


def not_done(member_id: UUID, refusal: Refused, typed: Mapping[str, str] | None = None) -> Page:
    return draw(members.by_id(ctx(), actor(), member_id), refusal=in_till_words(refusal), typed=typed)


def in_till_words(refusal: Refused) -> Refused:
    """The same refusal; what is said of keys to the makers of tills is said of forms to cashiers."""
    if refusal.kind != "idempotency-key-reused":
        return refusal
    return Refused(refusal.kind, N_("This form was sent already. Below is how the card is now."), status=refusal.status)


def take_result(member_id: UUID | None) -> dict[str, Any] | None:
    """What was just done, told once. What another tab did to another member is dropped."""
    result = session.pop(_RESULT, None)
    whose = str(member_id) if member_id else ""
    return result if isinstance(result, dict) and result.get("member") == whose else None


def keep_proof(whose: UUID, proof: str) -> None:
    """Keep what shows that the customer, or the coupon of a reward, is here; or with '' forget it. It holds for who is
    signed in."""
    kept = {other: held for other, held in _proofs().items() if other != str(whose)}
    newest = {str(whose): proof} if proof else {}
    session[_PROOFS] = dict(list((kept | newest).items())[-_MOST_PROOFS:])


def proof_of(member_id: UUID) -> str:
    """The proof that is kept for this member, or ''."""
    return str(_proofs().get(str(member_id), ""))


def proof_for(member_id: UUID, reward_id: UUID) -> str:
    """The proof that is kept for this reward of the member: its coupon's, else the card's. '' for none that holds."""
    kept = (str(_proofs().get(str(whose), "")) for whose in (reward_id, member_id))
    return next((held for held in kept if spending_proofs.is_valid(ctx(), actor(), member_id, held, reward_id)), "")


def _proofs() -> dict[str, str]:
    kept = session.get(_PROOFS)
    return kept if isinstance(kept, dict) else {}


def once_key() -> str:
    """The form's own key; without one a double click could not be told from two stamps."""
    key = request.form.get("key", "")
    if not key:
        abort(400)
    return key


def sent_amount(name: str = "amount") -> int | None:
    """What was typed as an amount, in minor units; None when the field is empty. Raises Refused."""
    typed = request.form.get(name, "")
    return minor_units(typed, programs.get(ctx(), actor().program_id).currency) if typed.strip() else None


def sent_receipt() -> str:
    return request.form.get("receipt_no", "")[:200]


def sent_id(name: str) -> UUID:
    try:
        return UUID(request.form.get(name, ""))
    except ValueError:
        abort(400)


def sent_location() -> UUID | None:
    """Where the form was filled in. It comes with the form, so that a re-sent form is the same request."""
    return sent_id("location_id") if request.form.get("location_id") else None


def sent_last4() -> str | None:
    """The last digits of the customer's phone; None when they were not asked for, '' when there is no customer."""
    sent = request.form.get("phone_last4")
    return None if sent is None else sent[:20]


def here() -> UUID | None:
    """The location at which this till stands, if that is known."""
    place = _place(places())
    return place.id if place else None


def places() -> list[LocationView]:
    return [place for place in programs.locations(ctx(), actor().program_id) if place.active]


def _place(open_places: list[LocationView]) -> LocationView | None:
    """Where this till stands: what was chosen, else the cashier's own location, else the only one there is."""
    person = current_staff()
    for wanted in (session.get(LOCATION), str(person.location_id) if person else None):
        for place in open_places:
            if str(place.id) == wanted:
                return place
    return open_places[0] if len(open_places) == 1 else None


def _number(typed: str, program: ProgramView) -> str:
    """The phone number that may join, or '' when what was typed is none."""
    try:
        return normalise(typed, program.country)
    except PhoneError:
        return ""


def _about(program: ProgramView, member: MemberView, place: LocationView | None) -> dict[str, object]:
    """What the page shows of a member beside the member."""
    acts = till.history(ctx(), actor(), member.id, limit=_SHOWN_ACTS)
    stamps = [act for act in acts if act.kind in (Kind.EARN, Kind.JOIN) and act.unit is Unit.STAMP]
    last = next((act for act in stamps if not act.undone), None)
    now = clock.now()
    return {
        "picture": stamps_picture(program, member.stamps),
        "further": [(shown, counted_picture(program, shown)) for shown in member.further_stamps],
        "times": double_windows.factor_now(ctx(), program.id, place.id if place else None, member.double_until),
        "double_until": member.double_until if member.double_until and now < member.double_until else None,
        "phone": masked(member.phone),
        "tier_badge": badge(program, member.tier.tier) if member.tier and member.tier.tier else None,
        "tier_goal": card_tier.next_goal(text(), program.currency, member.tier) if member.tier else "",
        "groups": [(group.name, group_pricing.lines(text(), program.currency, group)) for group in member.groups],
        "acts": acts,
        "last_stamp": last,
        "last_minutes": _minutes_since(last, now) if last else 0,
        "may_grant": actor().may_grant,
        "offers": bonus_use.offers(ctx(), program.id),
        "undoable": reversal.newest_undoable(ctx(), actor(), member.id),
        "waiting": spending_proofs.is_waiting(ctx(), actor(), member.id),
        "usable_rewards": {one.id for one in member.rewards if proof_for(member.id, one.id)},
        "proven": spending_proofs.is_valid(ctx(), actor(), member.id, proof_of(member.id)),
        "rewards": _picked_first(shown_rewards(program, member.rewards, place.id if place else None)),
        "usable_credits": [credit for credit in member.credits if credit.valid_from <= now],
        "later_credits": [credit for credit in member.credits if credit.valid_from > now],
    }


def _picked_first(rewards: list[ShownReward]) -> list[ShownReward]:
    """The reward whose own coupon was scanned stands first, then those that can be used now."""
    picked = request.args.get("reward", "")
    return sorted(rewards, key=lambda one: (str(one.reward.id) != picked, one.obstacle is not None))


def _minutes_since(act: EntryView, now: datetime) -> int:
    return max(0, int((now - act.at).total_seconds() // 60))
