"""What Google asks of us: pictures of cards, and word of saves and removals."""

from flask import Blueprint, Response, abort, request

from app.logs import log
from app.services import google_cards, google_installs, limits, pictures
from app.web.access import ctx, public
from app.web.security import csrf
from passes.google.errors import CallbackError, KeysUnavailable

blueprint = Blueprint("google", __name__, url_prefix="/google")
csrf.exempt(blueprint)  # Google signs its callbacks

_A_YEAR = "public, max-age=31536000, immutable"


@blueprint.get("/stamps/<string:name>.png")
@public
def stamps(name: str) -> Response:
    """The picture of so many stamps. Its address never shows anything else."""
    return _picture(pictures.stamps_picture(ctx(), name))


@blueprint.get("/logo/<string:name>.png")
@public
def logo(name: str) -> Response:
    return _picture(pictures.logo_picture(ctx(), name))


@blueprint.get("/coupon/<string:name>.png")
@public
def coupon(name: str) -> Response:
    return _picture(pictures.coupon_picture(ctx(), name))


@blueprint.post("/callback")
@public
def hear() -> Response:
    """A phone saved or removed a card. What Google did not sign for us is refused; what we know already is fine."""
    if not google_cards.is_on(ctx()):
        abort(404)
    limits.spend(ctx(), limits.CALLBACK, "google-callback", request.remote_addr or "")
    try:
        callback = google_installs.verified(ctx(), request.get_data(cache=False))
    except CallbackError as error:
        log().warning("google.callback_refused", reason=error.code)
        return Response(status=400)
    except KeysUnavailable:
        return Response(status=503)  # Google sends it again
    new = google_installs.heard(ctx(), callback)
    log().info("google.callback", event_type=callback.event, object_id=callback.object_id, new=new)
    return Response(status=200)


def _picture(content: bytes) -> Response:
    return Response(content, mimetype="image/png", headers={"Cache-Control": _A_YEAR})
