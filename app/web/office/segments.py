"""Segments: choosing members by conditions, and lists of phone numbers to choose by."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.loyalty.segments import EVERYONE, Group
from app.services import phone_lists, programs, segment_forms, segments
from app.services.errors import InvalidForm, Refused
from app.services.register_file import MOST_BYTES
from app.services.segment_forms import Draft
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors
from sms.phones import masked, shown

Page = Response | str | tuple[str, int]


@blueprint.url_value_preprocessor
def _room_for_a_list(endpoint: str | None, _values: dict[str, object] | None) -> None:
    """Before the form is read, which is long before the view."""
    if endpoint == "office.segments_list_add":
        request.max_content_length = MOST_BYTES + 100_000


@blueprint.get("/segments", endpoint="segments")
@staff_only(*OFFICE)
def segments_page() -> str:
    here = actor()
    return render_template(
        "office/segments.html",
        program=programs.get(ctx(), here.program_id),
        segments=segments.every(ctx(), here),
        lists=phone_lists.every(ctx(), here),
        may_manage=here.may_manage,
        note=request.args.get("note", ""),
    )


@blueprint.get("/segments/new")
@staff_only(*OFFICE)
def segments_new() -> str:
    return _page({}, Draft("all"), EVERYONE)


@blueprint.post("/segments/new")
@staff_only(*OFFICE)
def segments_add() -> Page:
    return _saved(None)


@blueprint.get("/segments/<uuid:segment_id>")
@staff_only(*OFFICE)
def segments_edit(segment_id: UUID) -> str:
    view = segments.get(ctx(), actor(), segment_id)
    draft = segment_forms.draft_of(view.tree, programs.get(ctx(), actor().program_id).currency)
    return _page({"name": view.name}, draft, view.tree, segment_id=segment_id)


@blueprint.post("/segments/<uuid:segment_id>")
@staff_only(*OFFICE)
def segments_save(segment_id: UUID) -> Page:
    return _saved(segment_id)


@blueprint.post("/segments/<uuid:segment_id>/remove")
@staff_only(*OFFICE)
def segments_remove(segment_id: UUID) -> Response:
    segments.remove(ctx(), actor(), segment_id)
    return _back("removed")


@blueprint.post("/segments/builder")
@staff_only(*OFFICE)
def segments_builder() -> str:
    """The builder after one of its buttons, as a part of whatever page it is in."""
    draft = segment_forms.draft(request.form)
    return render_template(
        "office/_segment_fragment.html", draft=draft, choices=segments.choices(ctx(), actor(), draft), errors={}
    )


@blueprint.post("/segments/count")
@staff_only(*OFFICE)
def segments_count() -> str:
    """How many members what is being typed has, as a part of the page."""
    try:
        return _result(segments.from_form(ctx(), actor(), request.form))
    except InvalidForm:
        return _result(None)


def _result(tree: Group | None) -> str:
    """How many members a segment has, and some of them; None is one that is not filled in yet."""
    here = actor()
    country = programs.get(ctx(), here.program_id).country
    look, refused = None, ""
    try:
        look = segments.look(ctx(), here, tree) if tree is not None else None
    except Refused as refusal:
        refused = refusal.text(text())
    return render_template(
        "office/_segment_result.html",
        look=look,
        refused=refused,
        phone=lambda number: shown(number, country) if here.may_manage else masked(number),
    )


@blueprint.get("/segments/lists/new")
@staff_only(*MANAGERS)
def segments_list_new() -> str:
    return _list_page({}, {})


@blueprint.post("/segments/lists/new")
@staff_only(*MANAGERS)
def segments_list_add() -> Page:
    """Who may see numbers only: a list of one number tells whether it is a member's."""
    form = request.form.to_dict()
    file = request.files.get("file")
    if file is None or not file.filename:
        return _list_page(form, {"file": text().gettext("Choose the file first.")}), 422
    with file.stream:
        data = file.read()
    try:
        report = phone_lists.add(ctx(), actor(), form, data)
    except InvalidForm as invalid:
        return _list_page(form, shown_errors(invalid)), 422
    return render_template("office/segments_list_report.html", report=report, name=form.get("name", ""))


@blueprint.post("/segments/lists/<uuid:list_id>/remove")
@staff_only(*MANAGERS)
def segments_list_remove(list_id: UUID) -> Response:
    phone_lists.remove(ctx(), actor(), list_id)
    return _back("list-removed")


def _saved(segment_id: UUID | None) -> Page:
    form = request.form.to_dict()
    draft = segment_forms.draft(form)
    if segment_forms.acted(form):
        return _page(form, draft, _tree(form), segment_id=segment_id)
    try:
        segments.save(ctx(), actor(), form, segment_id)
    except InvalidForm as invalid:
        return _page(form, draft, None, shown_errors(invalid), segment_id=segment_id), 422
    return _back("saved")


def _tree(form: dict[str, str]) -> Group | None:
    try:
        return segments.from_form(ctx(), actor(), form)
    except InvalidForm:
        return None


def _page(
    form: dict[str, str],
    draft: Draft,
    tree: Group | None,
    errors: dict[str, str] | None = None,
    *,
    segment_id: UUID | None = None,
) -> str:
    here = actor()
    return render_template(
        "office/segments_edit.html",
        name=segments.get(ctx(), here, segment_id).name if segment_id else "",
        segment_id=segment_id,
        form=form,
        draft=draft,
        choices=segments.choices(ctx(), here, draft),
        result=_result(tree),
        errors=errors or {},
    )


def _list_page(form: dict[str, str], errors: dict[str, str]) -> str:
    return render_template("office/segments_list.html", form=form, errors=errors, most=phone_lists.MOST_ROWS)


def _back(note: str) -> Response:
    return redirect(url_for("office.segments", note=note), 303)
