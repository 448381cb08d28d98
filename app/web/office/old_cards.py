"""A member's old cards: adding and removing their numbers."""

from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.services import old_cards
from app.services.errors import Refused
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.office.frame import blueprint, shown_errors
from app.web.office.members import member_page


@blueprint.post("/members/<uuid:member_id>/old-cards")
@staff_only(*MANAGERS)
def members_old_card_add(member_id: UUID) -> Response | tuple[str, int]:
    typed = request.form.get("old_card", "")
    try:
        old_cards.add(ctx(), actor(), member_id, typed)
    except Refused as refused:
        if refused.field != "old_card":
            raise
        return member_page(
            member_id, old_card_form={"old_card": typed}, old_card_errors=shown_errors(refused)
        ), refused.status
    return _back(member_id)


@blueprint.post("/members/<uuid:member_id>/old-cards/remove")
@staff_only(*MANAGERS)
def members_old_card_remove(member_id: UUID) -> Response:
    old_cards.remove(ctx(), actor(), member_id, request.form.get("number", ""))
    return _back(member_id)


def _back(member_id: UUID) -> Response:
    return redirect(url_for("office.members_one", member_id=member_id, _anchor="old-cards"), 303)
