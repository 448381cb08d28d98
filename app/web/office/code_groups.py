"""Coupon codes for a company's staff or a club: made, shown once, printed and saved, and taken back."""

import csv
import io
import re
from collections.abc import Mapping
from datetime import date, datetime
from urllib.parse import quote
from uuid import UUID

from flask import abort, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from app import clock
from app.i18n import N_, major_units
from app.loyalty.credit import day_of, last_day
from app.services import code_group_closing, code_group_views, code_lookup, programs
from app.services import code_groups as groups
from app.services.code_groups import Made, Sheet
from app.services.errors import InvalidForm, Refused
from app.services.programs import ProgramView
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import speaking, text
from app.web.office.frame import blueprint, shown_errors
from sms.codes import grouped

Page = Response | str | tuple[str, int]
PER_PAGE = 24  # cards on a sheet of A4, as common sheets of labels are cut
_COLUMNS = ("code", "amount", "currency", "valid from", "last day")


@blueprint.get("/code-groups")
@staff_only(*OFFICE)
def code_groups() -> str:
    return _list({}, {})


@blueprint.post("/code-groups")
@staff_only(*OFFICE)
def code_groups_make() -> Page:
    form = request.form.to_dict()
    try:
        return _shown_once(groups.make(ctx(), actor(), form, key=_key()))
    except (InvalidForm, Refused) as wrong:
        return _list(form, shown_errors(wrong)), _status(wrong)


@blueprint.get("/code-groups/<uuid:group_id>")
@staff_only(*OFFICE)
def code_groups_one(group_id: UUID) -> str:
    return _one(group_id, {}, {})


@blueprint.post("/code-groups/<uuid:group_id>")
@staff_only(*OFFICE)
def code_groups_more(group_id: UUID) -> Page:
    form = request.form.to_dict()
    try:
        return _shown_once(groups.more(ctx(), actor(), group_id, form, key=_key()))
    except (InvalidForm, Refused) as wrong:
        return _one(group_id, form, shown_errors(wrong)), _status(wrong)


@blueprint.post("/code-groups/<uuid:group_id>/sheet")
@staff_only(*OFFICE)
def code_groups_sheet(group_id: UUID) -> str:
    """The cards to cut out, in the programme's language."""
    program, sheet = programs.get(ctx(), actor().program_id), _sent_back(group_id)
    first, last = _days(program, sheet.valid_from, sheet.expires_at)
    with speaking(program.language):
        cards = render_template(
            "office/code_groups_cards.html",
            program=program,
            sheet=sheet,
            first=first if first > day_of(clock.now(), program.time_zone) else None,
            last=last,
            per_page=PER_PAGE,
            grouped=grouped,
        )
    return render_template(
        "office/code_groups_sheet.html",
        sheet=sheet,
        cards=Markup(cards),  # noqa: S704 - a template's output, escaped there
    )


@blueprint.post("/code-groups/<uuid:group_id>/csv")
@staff_only(*OFFICE)
def code_groups_csv(group_id: UUID) -> Response:
    """The codes with their digits in groups: a spreadsheet would take 0012345 for a number, and drop its zeros."""
    program, sheet = programs.get(ctx(), actor().program_id), _sent_back(group_id)
    amount = f"{major_units(sheet.amount_minor, program.currency):f}"
    days = _days(program, sheet.valid_from, sheet.expires_at)
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(_COLUMNS)
    rows.writerows((grouped(code), amount, program.currency, *days) for code in sheet.codes)
    answer = make_response(file.getvalue().encode("utf-8-sig"))  # without the mark, Excel takes it for Latin-1
    answer.content_type = "text/csv; charset=utf-8"
    name = re.sub(r'[\\/:*?"<>|]+', " ", sheet.name).strip(" .")
    answer.headers["Content-Disposition"] = f"attachment; filename=codes.csv; filename*=UTF-8''{quote(name)}.csv"
    return answer


@blueprint.post("/code-groups/<uuid:group_id>/block")
@staff_only(*MANAGERS)
def code_groups_block(group_id: UUID) -> Response:
    code_group_closing.set_blocked(ctx(), actor(), group_id, True)
    return redirect(url_for("office.code_groups_one", group_id=group_id), 303)


@blueprint.post("/code-groups/<uuid:group_id>/unblock")
@staff_only(*MANAGERS)
def code_groups_unblock(group_id: UUID) -> Response:
    code_group_closing.set_blocked(ctx(), actor(), group_id, False)
    return redirect(url_for("office.code_groups_one", group_id=group_id), 303)


@blueprint.post("/code-groups/<uuid:group_id>/withdraw")
@staff_only(*MANAGERS)
def code_groups_withdraw(group_id: UUID) -> Response:
    """All of the group's codes, or those of the making that `made_at` names."""
    try:
        made_at = datetime.fromisoformat(request.form["made_at"]) if request.form.get("made_at") else None
    except ValueError:
        abort(400)
    if made_at is not None and made_at.tzinfo is None:
        abort(400)
    code_group_closing.withdraw(ctx(), actor(), group_id, made_at)
    return redirect(url_for("office.code_groups_one", group_id=group_id), 303)


def _shown_once(made: Made) -> Page:
    """The codes, which no other page can show: so there is no redirect, and a repeat has nothing to show."""
    if not made.codes:
        message = N_("This form was sent twice, and its codes were shown the first time.")
        return _one(made.group_id, {}, {}, again=text().gettext(message)), 409
    program = programs.get(ctx(), actor().program_id)
    group, _ = code_group_views.one(ctx(), actor(), made.group_id)
    first, last = _days(program, group.valid_from, group.expires_at)
    return render_template(
        "office/code_groups_codes.html",
        program=program,
        group=group,
        made=made,
        first=first,
        last=last,
        grouped=grouped,
    )


def _sent_back(group_id: UUID) -> Sheet:
    return groups.sheet(ctx(), actor(), group_id, request.form.get("codes", ""), request.form.get("seal", ""))


def _list(form: Mapping[str, str], errors: Mapping[str, str]) -> str:
    program = programs.get(ctx(), actor().program_id)
    try:
        before = UUID(request.args["before"]) if "before" in request.args else None
    except ValueError:
        abort(404)
    page, older = code_group_views.every(ctx(), actor(), before)
    return render_template(
        "office/code_groups.html",
        program=program,
        groups=page,
        older=older,
        days={group.id: _days(program, group.valid_from, group.expires_at) for group in page},
        form=form,
        errors=errors,
        may_grant=actor().may_grant,
        most=groups.MOST_AT_ONCE,
        digits_from=code_lookup.least_that_needs_digits(),
    )


def _one(group_id: UUID, form: Mapping[str, str], errors: Mapping[str, str], again: str = "") -> str:
    program = programs.get(ctx(), actor().program_id)
    group, batches = code_group_views.one(ctx(), actor(), group_id)
    first, last = _days(program, group.valid_from, group.expires_at)
    return render_template(
        "office/code_groups_one.html",
        program=program,
        group=group,
        batches=batches,
        first=first,
        last=last,
        form=form,
        errors=errors,
        again=again,
        may_grant=actor().may_grant,
        may_manage=actor().may_manage,
        most=groups.MOST_AT_ONCE,
    )


def _days(program: ProgramView, valid_from: datetime, expires_at: datetime) -> tuple[date, date]:
    """The first and the last day, as the programme's shops count."""
    return day_of(valid_from, program.time_zone), last_day(expires_at, program.time_zone)


def _status(wrong: InvalidForm | Refused) -> int:
    """The status of the form's page. What is no matter of the form has a page of its own: that is raised again."""
    if isinstance(wrong, Refused) and wrong.kind in ("not-allowed", "code-group-not-found"):
        raise wrong
    return wrong.status if isinstance(wrong, Refused) else 422


def _key() -> str:
    """The form's own key; without one a double click could not be told from two makings."""
    key = request.form.get("key", "")
    if not key:
        abort(400)
    return key
