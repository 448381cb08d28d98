"""For how long what is kept: the rules, and what they would do tonight before they are saved. And erasing a member."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.keeping import ErasedBy
from app.services import erasing, members, programs, retention_preview, retention_rules
from app.services.errors import InvalidForm, Refused
from app.services.retention_preview import Outlook
from app.web.access import MANAGERS, OWNERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors, typed_form
from sms.phones import shown


@blueprint.get("/retention")
@staff_only(*MANAGERS)
def retention() -> str:
    rules = retention_rules.get(ctx(), actor().program_id)
    return _page(retention_rules.as_typed(rules), {}, retention_preview.outlook(ctx(), actor(), rules))


@blueprint.post("/retention")
@staff_only(*OWNERS)
def retention_save() -> Response | str | tuple[str, int]:
    """First what the rules would do is shown; saved they are when it was seen."""
    form = typed_form("code_to_erase")
    try:
        rules = retention_rules.read(form)
        outlook = retention_preview.outlook(ctx(), actor(), rules)
        if form.get("seen") != "yes":
            return _page(form, {}, outlook, asks=True)
        retention_rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid), None), 422
    return redirect(url_for("office.retention", saved=1), 303)


def _page(form: dict[str, str], errors: dict[str, str], outlook: Outlook | None, *, asks: bool = False) -> str:
    return render_template(
        "office/retention.html",
        form=form,
        errors=errors,
        outlook=outlook,
        asks=asks,
        program=programs.get(ctx(), actor().program_id),
        saved="saved" in request.args and not errors and not asks,
        warned_days=retention_rules.WARNED_DAYS,
    )


@blueprint.get("/members/<uuid:member_id>/erase")
@staff_only(*MANAGERS)
def members_erase(member_id: UUID) -> str:
    return _erase_page(member_id, {})


@blueprint.post("/members/<uuid:member_id>/erase")
@staff_only(*MANAGERS)
def members_erase_now(member_id: UUID) -> Response | tuple[str, int]:
    if request.form.get("sure") != "on":
        return _erase_page(member_id, {"sure": "required"}), 422
    try:
        erasing.erase(ctx(), actor(), member_id, ErasedBy.STAFF, request.form.get("why", ""))
    except Refused as refusal:
        if refusal.field != "why":
            raise
        return _erase_page(member_id, shown_errors(refusal)), 422
    return redirect(url_for("office.members", erased=1), 303)


def _erase_page(member_id: UUID, errors: dict[str, str]) -> str:
    member = members.by_id(ctx(), actor(), member_id)
    program = programs.get(ctx(), actor().program_id)
    return render_template(
        "office/member_erase.html",
        member=member,
        program=program,
        phone=shown(member.phone, program.country),
        reasons=[(why.value, text().gettext(name)) for why, name in erasing.WHY_NAMES.items()],
        form=request.form,
        errors=errors,
    )
