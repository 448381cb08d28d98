"""Apple's web service: the five calls that phones make for a card (Apple: "Adding a web service to update passes")."""

from typing import Any

from flask import Blueprint, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException

from app.logs import log
from app.services import apple_devices, apple_serials, limits
from app.services.apple_serials import Held
from app.services.errors import Refused
from app.web import apple_door
from app.web.access import ctx, public
from app.web.security import csrf

blueprint = Blueprint("apple", __name__, url_prefix="/apple/v1")
csrf.exempt(blueprint)

_LONGEST_BODY = 4096
_LONGEST_LOG = 16 * 1024
_DEVICE = "/devices/<string:device>/registrations/<string:pass_type>"


@blueprint.post(f"{_DEVICE}/<string:serial>")
@public
def register(device: str, pass_type: str, serial: str) -> Response:
    """201 for a new registration, 200 for one that was there (its push token may be new), 401."""
    held = _held(pass_type, serial)
    token = _json(_LONGEST_BODY).get("pushToken")
    if not (isinstance(token, str) and 0 < len(token) <= 200 and token.isalnum()) or len(device) > 120:
        return Response(status=400)
    return Response(status=201 if apple_serials.register(ctx(), held, device, token) else 200)


@blueprint.delete(f"{_DEVICE}/<string:serial>")
@public
def unregister(device: str, pass_type: str, serial: str) -> Response:
    apple_serials.unregister(ctx(), _held(pass_type, serial), device)
    return Response(status=200)


@blueprint.get(_DEVICE)
@public
def changed(device: str, pass_type: str) -> Response:
    """The serials that changed since the tag. The device's identifier is the secret; strangers get 204."""
    limits.spend(ctx(), limits.DEVICE, "device", request.remote_addr or "")
    found = apple_devices.changed_since(ctx(), device, pass_type, request.args.get("passesUpdatedSince", ""))
    if found is None:
        return Response(status=204)
    return jsonify(serialNumbers=found.serials, lastUpdated=found.tag)


@blueprint.get("/passes/<string:pass_type>/<string:serial>")  # Flask answers HEAD with it too
@public
def current(pass_type: str, serial: str) -> Response:
    """The card as it is now; 304 when the phone has it. Most phones are answered by app.web.apple_door, before this."""
    found = apple_serials.fetch(ctx(), _held(pass_type, serial), request.if_modified_since)
    return Response(found.content, 304 if found.content is None else 200, apple_door.headers(found))


@blueprint.post("/log")
@public
def told_log() -> Response:
    """What phones say went wrong. Counted, and kept short: anybody may send it."""
    limits.spend(ctx(), limits.DEVICE_LOG, "device-log", request.remote_addr or "")
    logs = _json(_LONGEST_LOG).get("logs")
    for line in logs[:20] if isinstance(logs, list) else ():
        log().warning("apple.device_log", text=str(line)[:300])
    return Response(status=200)


@blueprint.errorhandler(HTTPException)
def _plain(error: HTTPException) -> Response:
    """Phones read the status, and nothing else."""
    headers = {"WWW-Authenticate": "ApplePass"} if error.code == 401 else {}
    return Response(status=error.code or 500, headers=headers)


@blueprint.errorhandler(Refused)
def _refused(error: Refused) -> Response:
    return Response(status=error.status)


def _held(pass_type: str, serial: str) -> Held:
    """What the request's token opens. A wrong token is 401, whether or not there is such a card or coupon."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = apple_serials.authenticated(ctx(), pass_type, serial, token.strip() if scheme == "ApplePass" else "")
    if found is None:
        abort(401)
    return found


def _json(longest: int) -> dict[str, Any]:
    if (request.content_length or 0) > longest:
        abort(413)
    body = request.get_json(force=True, silent=True, cache=False)
    return body if isinstance(body, dict) else {}
