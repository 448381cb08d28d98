"""API keys for tills and web shops."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.services import api_keys, programs
from app.services.api_keys import ApiKeyView
from app.services.errors import InvalidForm
from app.web.access import OWNERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors


@blueprint.get("/keys")
@staff_only(*OWNERS)
def keys() -> str:
    return _page({}, {})


@blueprint.post("/keys")
@staff_only(*OWNERS)
def keys_add() -> str | tuple[str, int]:
    """The page with the new key's secret: it is not stored, so there is no address to be sent to."""
    form = request.form.to_dict()
    try:
        made, secret = api_keys.create(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return _page({}, {}, made, secret)


@blueprint.post("/keys/<uuid:key_id>/revoke")
@staff_only(*OWNERS)
def keys_revoke(key_id: UUID) -> Response:
    api_keys.revoke(ctx(), actor(), key_id)
    return redirect(url_for("office.keys", revoked=1), 303)


def _page(form: dict[str, str], errors: dict[str, str], made: ApiKeyView | None = None, secret: str = "") -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)
    places = programs.locations(ctx(), here.program_id)
    return render_template(
        "office/keys.html",
        program=program,
        keys=api_keys.every(ctx(), here.program_id),
        names={place.id: place.name for place in places},
        places=[("", text().gettext("Told with each request")), *((str(p.id), p.name) for p in places if p.active)],
        form=form,
        errors=errors,
        made=made,
        secret=secret,
        revoked="revoked" in request.args,
    )
