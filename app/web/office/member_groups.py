"""Groups of members: who is in them, what they are shown, and their prices."""

from collections.abc import Callable
from uuid import UUID

from flask import Response as FlaskResponse
from flask import redirect, render_template, request, stream_with_context, url_for
from werkzeug.wrappers import Response

from app.services import group_pricing, member_groups, phone_files, programs
from app.services.errors import InvalidForm, Refused
from app.services.register_file import MOST_BYTES
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors
from sms.phones import masked, shown

Page = Response | str | tuple[str, int]


@blueprint.url_value_preprocessor
def _room_for_a_file(endpoint: str | None, _values: dict[str, object] | None) -> None:
    """Before the form is read, which is long before the view."""
    if endpoint == "office.member_groups_file":
        request.max_content_length = MOST_BYTES + 100_000


@blueprint.get("/groups", endpoint="member_groups")
@staff_only(*OFFICE)
def member_groups_page() -> str:
    here = actor()
    return render_template(
        "office/member_groups.html",
        groups=member_groups.every(ctx(), here),
        may_manage=here.may_manage,
        note=request.args.get("note", ""),
    )


@blueprint.get("/groups/new")
@staff_only(*MANAGERS)
def member_groups_new() -> str:
    return _edit_page({}, {}, None)


@blueprint.post("/groups/new")
@staff_only(*MANAGERS)
def member_groups_make() -> Page:
    return _saved(None)


@blueprint.get("/groups/<uuid:group_id>")
@staff_only(*OFFICE)
def member_groups_one(group_id: UUID) -> str:
    return _one_page(group_id)


@blueprint.post("/groups/<uuid:group_id>")
@staff_only(*OFFICE)
def member_groups_more(group_id: UUID) -> str:
    """The next members. A POST, so that nobody's id gets into an address."""
    return _one_page(group_id, after=_uuid("after"))


@blueprint.get("/groups/<uuid:group_id>/edit")
@staff_only(*MANAGERS)
def member_groups_edit(group_id: UUID) -> str:
    group = member_groups.one(ctx(), actor(), group_id)
    form = {"name": group.name, "details": group.details, "on_card": "on" if group.on_card else ""}
    return _edit_page(form, {}, group_id)


@blueprint.post("/groups/<uuid:group_id>/edit")
@staff_only(*MANAGERS)
def member_groups_save(group_id: UUID) -> Page:
    return _saved(group_id)


@blueprint.post("/groups/<uuid:group_id>/remove")
@staff_only(*MANAGERS)
def member_groups_remove(group_id: UUID) -> Page:
    try:
        member_groups.remove(ctx(), actor(), group_id)
    except Refused as refusal:
        if refusal.status == 404:
            raise
        return _edit_page({}, {"form": refusal.text(text())}, group_id), refusal.status
    return redirect(url_for("office.member_groups", note="removed"), 303)


@blueprint.post("/groups/<uuid:group_id>/add")
@staff_only(*MANAGERS)
def member_groups_add(group_id: UUID) -> Page:
    typed = request.form.get("code", "")[:200]
    return _acted(
        group_id, lambda: member_groups.add(ctx(), actor(), group_id, typed), "added", {"code": typed}, "code"
    )


@blueprint.post("/groups/<uuid:group_id>/file")
@staff_only(*MANAGERS)
def member_groups_file(group_id: UUID) -> Page:
    file = request.files.get("file")
    if file is None or not file.filename:
        return _one_page(group_id, errors={"file": text().gettext("Choose the file first.")}), 422
    with file.stream:
        data = file.read()
    try:
        report = member_groups.add_file(ctx(), actor(), group_id, data)
    except InvalidForm as invalid:
        return _one_page(group_id, errors=shown_errors(invalid)), 422
    group = member_groups.one(ctx(), actor(), group_id)
    return render_template("office/member_groups_report.html", group=group, report=report)


@blueprint.post("/groups/<uuid:group_id>/take-out")
@staff_only(*MANAGERS)
def member_groups_take_out(group_id: UUID) -> Page:
    member_id = _uuid("member_id") or group_id
    member_groups.take_out(ctx(), actor(), group_id, member_id)
    if request.form.get("back") == "member":
        return redirect(url_for("office.members_one", member_id=member_id), 303)
    return _back(group_id, "taken-out")


@blueprint.post("/members/<uuid:member_id>/groups")
@staff_only(*MANAGERS)
def member_groups_of_member(member_id: UUID) -> Response:
    """Put a member into a group, on the member's own page."""
    group_id = _uuid("group_id")
    if group_id is not None:
        member_groups.put(ctx(), actor(), group_id, member_id)
    return redirect(url_for("office.members_one", member_id=member_id), 303)


@blueprint.post("/groups/<uuid:group_id>/prices")
@staff_only(*MANAGERS)
def member_groups_price(group_id: UUID) -> Page:
    form = request.form.to_dict()
    return _acted(group_id, lambda: group_pricing.add(ctx(), actor(), group_id, form), "priced", form)


@blueprint.post("/groups/<uuid:group_id>/prices/<uuid:price_id>/remove")
@staff_only(*MANAGERS)
def member_groups_price_remove(group_id: UUID, price_id: UUID) -> Response:
    group_pricing.remove(ctx(), actor(), group_id, price_id)
    return _back(group_id, "priced")


@blueprint.post("/groups/<uuid:group_id>/members.csv")
@staff_only(*MANAGERS)
def member_groups_csv(group_id: UUID) -> FlaskResponse:
    lines = member_groups.export(ctx(), actor(), group_id)
    answer = FlaskResponse(stream_with_context(lines), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="group.csv"'
    return answer


def _acted(group_id: UUID, act: Callable[[], object], note: str, form: dict[str, str], field: str = "form") -> Page:
    try:
        act()
    except InvalidForm as invalid:
        return _one_page(group_id, form=form, errors=shown_errors(invalid)), 422
    except Refused as refusal:
        if refusal.kind == "group-not-found":
            raise
        return _one_page(group_id, form=form, errors={field: refusal.text(text())}), refusal.status
    return _back(group_id, note)


def _saved(group_id: UUID | None) -> Page:
    form = request.form.to_dict()
    try:
        saved = member_groups.save(ctx(), actor(), form, group_id)
    except InvalidForm as invalid:
        return _edit_page(form, shown_errors(invalid), group_id), 422
    return _back(saved, "saved")


def _edit_page(form: dict[str, str], errors: dict[str, str], group_id: UUID | None) -> str:
    group = member_groups.one(ctx(), actor(), group_id) if group_id else None
    if group and not form:
        form = {"name": group.name, "details": group.details, "on_card": "on" if group.on_card else ""}
    return render_template("office/member_groups_edit.html", group=group, form=form, errors=errors)


def _one_page(
    group_id: UUID,
    *,
    after: UUID | None = None,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)
    group = member_groups.one(ctx(), here, group_id)
    people, more = member_groups.people(ctx(), here, group_id, after)
    return render_template(
        "office/member_groups_one.html",
        program=program,
        group=group,
        prices=[(price.id, group_pricing.in_words(text(), program.currency, price)) for price in group.prices],
        people=people,
        more=more,
        later=after is not None,
        phone=lambda number: shown(number, program.country) if here.may_manage else masked(number),
        may_manage=here.may_manage,
        form={"kind": "off"} | (form or {}),
        errors=errors or {},
        most=phone_files.MOST_ROWS,
        note=request.args.get("note", ""),
    )


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(request.form.get(name, ""))
    except ValueError:
        return None


def _back(group_id: UUID, note: str) -> Response:
    return redirect(url_for("office.member_groups_one", group_id=group_id, note=note), 303)
