"""Credit in the office: giving it to a member, blocking and withdrawing it, and the programme's rules for it."""

from uuid import UUID

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.people import Role
from app.loyalty.credit import day_of, last_day
from app.services import credit_views, credits, members, program_rules, programs
from app.services.errors import InvalidForm, Refused
from app.services.programs import ProgramView
from app.services.views import MemberView
from app.web.access import MANAGERS, OFFICE, actor, ctx, current_staff, staff_only
from app.web.office.frame import blueprint, shown_errors, typed_form
from sms.phones import masked

Page = Response | str | tuple[str, int]


@blueprint.get("/credit")
@staff_only(*MANAGERS)
def credit_rules() -> str:
    return _rules(program_rules.as_typed(program_rules.get(ctx(), actor().program_id)), {})


@blueprint.post("/credit")
@staff_only(*MANAGERS)
def credit_rules_save() -> Page:
    form = typed_form("partial_use", "code_on_card")
    try:
        program_rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _rules(form, shown_errors(invalid)), 422
    return redirect(url_for("office.credit_rules", saved=1), 303)


@blueprint.get("/members/<uuid:member_id>/credit")
@staff_only(*Role)
def credit_form(member_id: UUID) -> Page:
    """Where whoever has the right, of whatever role, gives credit; a cashier comes here from the till."""
    if not actor().may_grant:
        return _back_to(member_id)
    return _form(members.by_id(ctx(), actor(), member_id), {"sms": "on"}, {})


@blueprint.post("/members/<uuid:member_id>/credit")
@staff_only(*Role)
def credit_give(member_id: UUID) -> Page:
    form = typed_form("sms")
    try:
        credits.grant(ctx(), actor(), member_id, form, key=_key())
    except (InvalidForm, Refused) as wrong:
        if isinstance(wrong, Refused) and wrong.kind in ("not-allowed", "member-not-found"):
            raise
        return _form(members.by_id(ctx(), actor(), member_id), form, shown_errors(wrong)), 422
    return _back_to(member_id)


@blueprint.post("/members/<uuid:member_id>/credit/<uuid:credit_id>/withdraw")
@staff_only(*MANAGERS)
def credit_withdraw(member_id: UUID, credit_id: UUID) -> Page:
    credits.withdraw(ctx(), actor(), credit_id, key=_key())
    return _back_to(member_id)


@blueprint.post("/members/<uuid:member_id>/credit/<uuid:credit_id>/block")
@staff_only(*MANAGERS)
def credit_block(member_id: UUID, credit_id: UUID) -> Page:
    credits.set_blocked(ctx(), actor(), credit_id, True)
    return _back_to(member_id)


@blueprint.post("/members/<uuid:member_id>/credit/<uuid:credit_id>/unblock")
@staff_only(*MANAGERS)
def credit_unblock(member_id: UUID, credit_id: UUID) -> Page:
    credits.set_blocked(ctx(), actor(), credit_id, False)
    return _back_to(member_id)


def shown_credit(program: ProgramView, member_id: UUID) -> dict[str, object]:
    """What a page shows of a member's credits: what the panel needs."""
    held = credit_views.of_member(ctx(), actor(), member_id)
    return {
        "credits": held,
        "credit_days": {
            credit.id: (day_of(credit.valid_from, program.time_zone), last_day(credit.expires_at, program.time_zone))
            for credit in held
        },
        "may_grant": actor().may_grant,
    }


def _form(member: MemberView, form: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "office/credit_form.html",
        program=programs.get(ctx(), actor().program_id),
        member=member,
        phone=masked(member.phone),
        form=form,
        errors=errors,
        back=_page_of(member.id),
    )


def _rules(form: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "office/credit_rules.html",
        form=form,
        errors=errors,
        saved="saved" in request.args,
        most_hours=program_rules.LONGEST_UNDO_HOURS,
        most_days=program_rules.LONGEST_ATTACH_DAYS,
    )


def _back_to(member_id: UUID) -> Response:
    return redirect(_page_of(member_id), 303)


def _page_of(member_id: UUID) -> str:
    """The member's page that the signed-in person may open: a cashier's is the till's."""
    person = current_staff()
    if person is not None and person.role in OFFICE:
        return url_for("office.members_one", member_id=member_id, _anchor="credit-title")
    return url_for("till.member", member_id=member_id)


def _key() -> str:
    """The form's own key; without one a double click could not be told from two gifts."""
    key = request.form.get("key", "")
    if not key:
        abort(400)
    return key
