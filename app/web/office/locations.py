"""The places where the programme is used."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.services import programs
from app.services.errors import InvalidForm
from app.services.programs import LocationView
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.office.frame import blueprint, shown_errors, typed_form


@blueprint.get("/locations")
@staff_only(*MANAGERS)
def locations() -> str:
    return render_template(
        "office/locations.html", locations=programs.locations(ctx(), actor().program_id), saved="saved" in request.args
    )


@blueprint.get("/locations/new")
@staff_only(*MANAGERS)
def locations_new() -> str:
    return render_template("office/location.html", location=None, form={"active": "on"}, errors={})


@blueprint.post("/locations/new")
@staff_only(*MANAGERS)
def locations_add() -> Response | tuple[str, int]:
    return _save(None, request.form.to_dict())


@blueprint.get("/locations/<uuid:location_id>")
@staff_only(*MANAGERS)
def locations_edit(location_id: UUID) -> str:
    location = programs.location(ctx(), actor(), location_id)
    form = {
        "name": location.name,
        "address": location.address,
        "latitude": "" if location.latitude is None else str(location.latitude),
        "longitude": "" if location.longitude is None else str(location.longitude),
        "active": "on" if location.active else "",
    }
    return render_template("office/location.html", location=location, form=form, errors={})


@blueprint.post("/locations/<uuid:location_id>")
@staff_only(*MANAGERS)
def locations_save(location_id: UUID) -> Response | tuple[str, int]:
    return _save(programs.location(ctx(), actor(), location_id), typed_form("active"))


def _save(location: LocationView | None, form: dict[str, str]) -> Response | tuple[str, int]:
    try:
        programs.save_location(ctx(), actor(), form, location.id if location else None)
    except InvalidForm as invalid:
        page = render_template("office/location.html", location=location, form=form, errors=shown_errors(invalid))
        return page, 422
    return redirect(url_for("office.locations", saved=1), 303)
