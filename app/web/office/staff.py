"""The staff: who may sign in, and as what."""

from uuid import UUID

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.people import Role
from app.services import programs
from app.services import staff as people
from app.services.errors import InvalidForm, Refused
from app.services.views import StaffView
from app.web.access import MANAGERS, actor, ctx, current_staff, remember, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, language_options, role_name, shown_errors, typed_form


@blueprint.get("/staff")
@staff_only(*MANAGERS)
def staff() -> str:
    here = actor()
    return render_template(
        "office/staff.html",
        people=people.every(ctx(), here.program_id),
        places={place.id: place.name for place in programs.locations(ctx(), here.program_id)},
        may_change=_appointable(),
        role_name=role_name,
        saved="saved" in request.args,
    )


@blueprint.get("/staff/new")
@staff_only(*MANAGERS)
def staff_new() -> str:
    language = programs.get(ctx(), actor().program_id).language
    return _page(None, {"role": Role.CASHIER.value, "language": language, "active": "on"}, {})


@blueprint.post("/staff/new")
@staff_only(*MANAGERS)
def staff_add() -> Response | tuple[str, int]:
    return _save(None, request.form.to_dict())


@blueprint.get("/staff/<uuid:staff_id>")
@staff_only(*MANAGERS)
def staff_edit(staff_id: UUID) -> str:
    person = _changeable(staff_id)
    form = {
        "name": person.name,
        "login": person.login,
        "role": person.role.value,
        "language": person.language,
        "location_id": str(person.location_id or ""),
        "active": "on" if person.active else "",
        "may_grant_credit": "on" if person.may_grant_credit else "",
    }
    return _page(person, form, {})


@blueprint.post("/staff/<uuid:staff_id>")
@staff_only(*MANAGERS)
def staff_save(staff_id: UUID) -> Response | tuple[str, int]:
    return _save(_changeable(staff_id), typed_form("active"))


def _save(person: StaffView | None, form: dict[str, str]) -> Response | tuple[str, int]:
    try:
        saved = people.save(ctx(), actor(), form, person.id if person else None)
    except InvalidForm as invalid:
        return _page(person, form, shown_errors(invalid)), 422
    except Refused as refusal:
        return _page(person, form, shown_errors(refusal)), refusal.status
    if saved.id == _self().id and saved.active:
        remember(saved)  # a new password of one's own signs out everywhere but here
    return redirect(url_for("office.staff", saved=1), 303)


def _page(person: StaffView | None, form: dict[str, str], errors: dict[str, str]) -> str:
    places = [place for place in programs.locations(ctx(), actor().program_id) if place.active]
    nowhere = text().gettext("Chosen at the till")
    return render_template(
        "office/staff_member.html",
        staff_member=person,
        form=form,
        errors=errors,
        roles=[(role.value, role_name(role)) for role in _appointable()],
        languages=language_options(),
        places=[("", nowhere), *((str(place.id), place.name) for place in places)],
        shortest=people.SHORTEST_PASSWORD,
    )


def _changeable(staff_id: UUID) -> StaffView:
    person = people.get(ctx(), actor(), staff_id)
    if person.role not in _appointable():
        abort(403)
    return person


def _appointable() -> tuple[Role, ...]:
    return people.may_appoint(_self().role)


def _self() -> StaffView:
    person = current_staff()
    if person is None:
        abort(401)
    return person
