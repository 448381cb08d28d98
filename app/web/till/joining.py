"""Customers who join, or join again, at the till."""

from uuid import UUID

from flask import request

from app.i18n import N_
from app.services import join_rules, members, messages, programs
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.members import JoinRequest
from app.web import asked as asking
from app.web.access import TILL, actor, ctx, staff_only
from app.web.language import text
from app.web.till.page import Page, blueprint, done, draw


@blueprint.post("/join")
@staff_only(*TILL)
def join() -> Page:
    """Make a customer a member by the phone number that was typed. The terms were said aloud."""
    phone = request.form.get("phone", "")[:100]
    if request.form.get("terms") != "on":
        refusal = Refused(
            "terms-not-accepted", N_("Tell the customer the terms, and tick the box when they agree."), field="terms"
        )
        return draw(refusal=refusal, joining=phone, typed=request.form)
    reader, asked = FormReader(request.form), join_rules.get(ctx(), actor().program_id)
    wanted = JoinRequest(
        phone=phone,
        via="till",
        consents=_said_aloud(),
        referral=request.form.get("referral", "")[:60],
        **asking.told(asked, reader),
    )
    try:
        if reader.errors:
            raise InvalidForm(reader.errors)
        joined, new = members.join(ctx(), actor(), wanted, source="till")
    except InvalidForm as invalid:
        again = "" if "phone" in invalid.errors else phone
        return draw(refusal=next(iter(invalid.errors.values())), joining=again, typed=request.form)
    except Refused as refusal:
        return draw(refusal=refusal, typed=request.form)
    if new:
        messages.send_card_link(ctx(), joined)
    return done(joined.id, {"kind": "joined" if new else "known"})


@blueprint.post("/m/<uuid:member_id>/rejoin")
@staff_only(*TILL)
def rejoin(member_id: UUID) -> Page:
    """Bring back the card of someone who left and now joins again."""
    left = members.by_id(ctx(), actor(), member_id)
    wanted = JoinRequest(phone=left.phone, via="till", consents=_said_aloud())
    members.join(ctx(), actor(), wanted, source="till")
    return done(left.id, {"kind": "rejoined"})


def _said_aloud() -> dict[str, str]:
    program = programs.get(ctx(), actor().program_id)
    wording = text().gettext(N_("Said at the till: I accept the terms of %(name)s."), name=program.name)
    return {"terms": f"{wording}\n\n{program.terms_text}".strip()[:4000]}
