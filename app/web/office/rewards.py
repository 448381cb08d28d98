"""Kinds of rewards in the office, and rewards given to a member by hand."""

from uuid import UUID

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import clock
from app.db.bonus import BonusKind
from app.loyalty.coupons import RewardValue, takes_off
from app.services import bonus_rules, programs, reward_giving, reward_types, reward_words
from app.services.errors import InvalidForm, Refused
from app.services.programs import LocationView, ProgramView
from app.services.reward_types import RewardTypeView
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors
from app.web.office.member_rewards import worth
from app.web.office.members import member_page

Page = Response | str | tuple[str, int]
_EXAMPLE_BILL = 1250  # minor units


@blueprint.get("/rewards")
@staff_only(*OFFICE)
def rewards() -> str:
    program, places = _program(), _places()
    kinds = reward_types.all_of(ctx(), program.id)
    return render_template(
        "office/rewards.html",
        program=program,
        kinds=[(kind, worth(program, kind), _limits(program, kind, places)) for kind in kinds],
        may_manage=actor().may_manage,
    )


@blueprint.get("/rewards/new")
@staff_only(*MANAGERS)
def rewards_new() -> str:
    return _form({"value": RewardValue.ITEM.value, "valid_days": "30"}, {}, None)


@blueprint.post("/rewards/new")
@staff_only(*MANAGERS)
def rewards_make() -> Page:
    return _saved(None)


@blueprint.get("/rewards/<uuid:type_id>")
@staff_only(*MANAGERS)
def rewards_one(type_id: UUID) -> str:
    kind = reward_types.get(ctx(), actor(), type_id)
    return _form(reward_types.as_typed(kind, _program().currency), {}, kind)


@blueprint.post("/rewards/<uuid:type_id>")
@staff_only(*MANAGERS)
def rewards_change(type_id: UUID) -> Page:
    return _saved(reward_types.get(ctx(), actor(), type_id))


@blueprint.post("/rewards/<uuid:type_id>/stop")
@staff_only(*MANAGERS)
def rewards_stop(type_id: UUID) -> Response:
    reward_types.set_active(ctx(), actor(), type_id, False)
    return redirect(url_for("office.rewards"), 303)


@blueprint.post("/rewards/<uuid:type_id>/resume")
@staff_only(*MANAGERS)
def rewards_resume(type_id: UUID) -> Response:
    reward_types.set_active(ctx(), actor(), type_id, True)
    return redirect(url_for("office.rewards"), 303)


@blueprint.post("/members/<uuid:member_id>/rewards")
@staff_only(*OFFICE)
def rewards_give(member_id: UUID) -> Page:
    try:
        reward_giving.give(ctx(), actor(), member_id, request.form, key=_key())
    except (InvalidForm, Refused) as wrong:
        if isinstance(wrong, Refused) and wrong.kind in ("not-allowed", "member-not-found"):
            raise
        return member_page(member_id, reward_form=request.form, reward_errors=shown_errors(wrong)), 422
    return _back_to(member_id)


@blueprint.post("/members/<uuid:member_id>/rewards/<uuid:reward_id>/take-back")
@staff_only(*MANAGERS)
def rewards_take_back(member_id: UUID, reward_id: UUID) -> Page:
    reward_giving.take_back(ctx(), actor(), reward_id, key=_key())
    return _back_to(member_id)


def _saved(kind: RewardTypeView | None) -> Page:
    try:
        reward_types.save(ctx(), actor(), request.form, kind.id if kind else None)
    except InvalidForm as invalid:
        return _form(request.form.to_dict(), shown_errors(invalid), kind), 422
    return redirect(url_for("office.rewards", saved=1), 303)


def _form(form: dict[str, str], errors: dict[str, str], kind: RewardTypeView | None) -> str:
    program = _program()
    return render_template(
        "office/reward_form.html",
        program=program,
        kind=kind,
        form=form,
        errors=errors,
        places=_places(),
        weekdays=[(day, text().weekdays([day])) for day in range(7)],
        points=bonus_rules.get(ctx(), program.id).kind is BonusKind.POINTS,
        bill=_EXAMPLE_BILL,
        off=takes_off(kind.value, kind.value_amount, _EXAMPLE_BILL) if kind else 0,
        most_remind=reward_types.MOST_REMIND_DAYS,
    )


def _limits(program: ProgramView, kind: RewardTypeView, places: list[LocationView]) -> list[str]:
    now = clock.now()
    names = {str(place.id): place.name for place in places}
    return reward_words.limits(text(), kind.limits(now, program.time_zone), names, program.time_zone, now)


def _program() -> ProgramView:
    return programs.get(ctx(), actor().program_id)


def _places() -> list[LocationView]:
    return programs.locations(ctx(), actor().program_id)


def _back_to(member_id: UUID) -> Response:
    return redirect(url_for("office.members_one", member_id=member_id, _anchor="rewards-title"), 303)


def _key() -> str:
    """The form's own key; without one a double click could not be told from two gifts."""
    key = request.form.get("key", "")
    if not key:
        abort(400)
    return key
