"""The members: finding one, their history, and blocking a card."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.people import MemberStatus
from app.i18n import LANGUAGES
from app.loyalty.card_codes import grouped
from app.services import join_answers, member_search, nps_desk, old_cards, programs, receipts, till
from app.services import members as book
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.office.credit import shown_credit
from app.web.office.frame import blueprint
from app.web.office.member_rewards import of_member
from app.web.office.member_tier import shown_tier
from sms.phones import masked, shown


@blueprint.get("/members")
@staff_only(*OFFICE)
def members() -> str:
    return _page("", None)


@blueprint.post("/members")
@staff_only(*OFFICE)
def members_found() -> str:
    """Searching is a POST, so that no phone number gets into an address, a history or a log."""
    return _page(request.form.get("text", ""), _uuid(request.form.get("after", "")))


@blueprint.get("/members/<uuid:member_id>")
@staff_only(*OFFICE)
def members_one(member_id: UUID) -> str:
    return member_page(member_id)


def member_page(member_id: UUID, **more: object) -> str:
    """One member, with `more` for a form on their page that was wrong."""
    here = actor()
    member = book.by_id(ctx(), here, member_id)
    program = programs.get(ctx(), here.program_id)
    return render_template(
        "office/member.html",
        program=program,
        member=member,
        phone=_phone(member.phone, program.country),
        card_code=grouped(member.card_code),
        language=LANGUAGES[member.language],
        history=till.history(ctx(), here, member.id, limit=50),
        receipts=receipts.newest(ctx(), here, member.id),
        card_url=book.card_url(ctx(), member) if here.may_manage else "",
        may_manage=here.may_manage,
        old_cards=old_cards.of_member(ctx(), here, member.id),
        join_answers=join_answers.of_member(ctx(), member) if here.may_manage else [],
        nps_answers=nps_desk.of_member(ctx(), here, member.id),
        **shown_credit(program, member.id),
        **shown_tier(program, member),
        **(of_member(program, member) | more),
    )


@blueprint.post("/members/<uuid:member_id>/block")
@staff_only(*MANAGERS)
def members_block(member_id: UUID) -> Response:
    return _turn(member_id, MemberStatus.ACTIVE, MemberStatus.BLOCKED)


@blueprint.post("/members/<uuid:member_id>/unblock")
@staff_only(*MANAGERS)
def members_unblock(member_id: UUID) -> Response:
    return _turn(member_id, MemberStatus.BLOCKED, MemberStatus.ACTIVE)


def _turn(member_id: UUID, before: MemberStatus, after: MemberStatus) -> Response:
    """Only between active and blocked: who left comes back by joining again, never by the office's hand."""
    if book.by_id(ctx(), actor(), member_id).status is before:
        book.set_status(ctx(), actor(), member_id, after)
    return redirect(url_for("office.members_one", member_id=member_id), 303)


def _page(text: str, after: UUID | None) -> str:
    here = actor()
    found, more = member_search.search(ctx(), here, text, after=after, by_number=here.may_manage)
    program = programs.get(ctx(), here.program_id)
    return render_template(
        "office/members.html",
        program=program,
        members=[(member, _phone(member.phone, program.country)) for member in found],
        typed=text,
        more=more,
        later=after is not None,
        erased="erased" in request.args,
        may_manage=here.may_manage,
    )


def _phone(phone: str, country: str) -> str:
    """The number for those who may see it; for others only enough to tell two members apart."""
    return shown(phone, country) if actor().may_manage else masked(phone)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
