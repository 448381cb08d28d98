"""The page /sandbox/phones: pretend phones side by side, drawn as they are, changing while one looks.

Programs ask for JSON (Accept: application/json) at the same addresses: the tour adds phones and reads their cards so.
"""

import json
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from sandbox import fault_panel
from sandbox.fault_panel import FaultPanel
from sandbox.iphone import Iphone
from sandbox.pass_face import LANGUAGES
from sandbox.pass_service import Unavailable
from sandbox.phone_drawing import digest_of, drawn, hour, ink_on, pictures, qr_svg, tenth, told
from sandbox.phone_shelf import APPS, SMS, NotPossible, Shelf, Stand
from sandbox.phone_texts import shown_number

_HEARTBEAT = 15.0
_SHOWN_EVENTS = 30
_MOST_BYTES = 64 * 1024


def create_app(shelf: Shelf, faults: FaultPanel, base_url: str) -> Flask:
    """The page's app. `base_url` is where Leima itself is looked at."""
    app = Flask(__name__, static_url_path="/sandbox/static")
    app.config.update(MAX_CONTENT_LENGTH=_MOST_BYTES, TRUSTED_HOSTS=["localhost", "127.0.0.1"])
    app.before_request(_refuse_other_sites)
    app.after_request(_headers)
    app.jinja_env.filters.update(hour=hour, tenth=tenth, number=shown_number)
    app.jinja_env.globals.update(nonce=_nonce, qr=qr_svg, drawn=drawn, ink_on=ink_on, LANGUAGES=LANGUAGES, SMS=SMS)
    app.jinja_env.globals.update(shelf=shelf)

    @app.get("/")
    def front() -> AnyResponse:
        return redirect(url_for("phones"))

    @app.get("/sandbox/phones")
    def phones() -> str | Response:
        if _wants_json():
            return jsonify([told(shelf, stand) for stand in shelf.stands.values()])
        return _page(shelf, faults, base_url)

    @app.post("/sandbox/phones")
    def add() -> AnyResponse | tuple[Response | str, int]:
        form = request.form
        kind = "android" if form.get("kind") == "android" else "iphone"
        address = form.get("address", "").strip() or form.get("member", "")
        try:
            stand = shelf.add(kind, address, _language(), form.get("number", "").strip())
        except NotPossible as error:
            if _wants_json():
                return jsonify(error=str(error)), 422
            return _page(shelf, faults, base_url, str(error)), 422
        return _done(stand)

    @app.get("/sandbox/phones/events")
    def events() -> Response:
        return Response(_events(shelf), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @app.get("/sandbox/phones/<stand_id>")
    def phone(stand_id: str) -> str | Response:
        stand = _found(shelf, stand_id)
        if _wants_json():
            return jsonify(told(shelf, stand))
        return render_template("phone.html", stand=stand, now=clock.now())

    @app.post("/sandbox/phones/<stand_id>/<act>")
    def do(stand_id: str, act: str) -> AnyResponse | tuple[Response | str, int]:
        stand = _found(shelf, stand_id)
        try:
            _act(shelf, stand, act)
        except NotPossible as error:
            if _wants_json():
                return jsonify(error=str(error)), 422
            return _page(shelf, faults, base_url, str(error)), 422
        return _done(stand)

    @app.get("/sandbox/phones/<stand_id>/pictures/<digest>")
    def picture(stand_id: str, digest: str) -> Response:
        for kind, content in pictures(_found(shelf, stand_id)):
            if digest_of(content) == digest:
                return Response(content, mimetype=kind, headers={"Cache-Control": "private, max-age=86400"})
        abort(404)

    @app.post("/sandbox/faults")
    def fail() -> AnyResponse:
        form = request.form
        service, _, fault = form.get("fault", "").partition("-")
        if form.get("end"):
            faults.end_all()
        elif fault in fault_panel.CHOICES.get(service, {}):
            amount = form.get("amount", "")
            faults.start(service, fault, int(amount) if amount.isdecimal() else 1, form.get("unit", "requests"))
        return redirect(f"{url_for('phones')}#faults", 303)

    return app


def _page(shelf: Shelf, faults: FaultPanel, base_url: str, error: str = "") -> str:
    return render_template(
        "phones.html",
        stands=list(shelf.stands.values()),
        version=shelf.versions(0, 0)[0],
        members=shelf.members(),
        faults=faults,
        choices=fault_panel,
        base_url=base_url,
        error=error,
        now=clock.now(),
    )


def _act(shelf: Shelf, stand: Stand, act: str) -> None:
    phone = stand.phone
    if act == "remove-card":
        shelf.drop_card(stand)
    elif act == "add-card":
        shelf.take_card(stand)
    elif act == "off":
        phone.switch_off()
    elif act == "on":
        shelf.switch_on(stand)
    elif act == "language":
        shelf.set_language(stand, _language())
    elif act == "throw-away":
        shelf.throw_away(stand)
    elif act in APPS:
        shelf.show(stand, act)
    elif act == "text":
        shelf.text(stand, request.form.get("text", ""))
    elif act == "follow":
        shelf.follow(stand, request.form.get("link", ""))
    elif act == "install":
        shelf.install(stand)
    elif act == "coupon":
        shelf.take_coupon(stand, request.form.get("link", ""))
    elif act == "refresh" and isinstance(phone, Iphone):
        try:
            for serial in stand.card_ids:
                phone.refresh(serial)
        except Unavailable as error:
            raise NotPossible(f"The card could not be updated. {error}.") from None
    else:
        abort(404)


def _events(shelf: Shelf) -> Iterator[str]:
    """Server-sent events: the versions of all phones, whenever one has changed."""
    version = 0
    while not shelf.closed:
        version, phones = shelf.versions(version, _HEARTBEAT)
        yield f"data: {json.dumps(phones)}\n\n"


def _found(shelf: Shelf, stand_id: str) -> Stand:
    if stand_id not in shelf.stands:
        abort(404)
    return shelf.stands[stand_id]


def _language() -> str:
    language = request.form.get("language", "en")
    return language if language in LANGUAGES else "en"


def _wants_json() -> bool:
    return bool(request.accept_mimetypes.best == "application/json")


def _done(stand: Stand) -> AnyResponse:
    return jsonify(id=stand.id) if _wants_json() else redirect(f"{url_for('phones')}#phone-{stand.id}", 303)


def _refuse_other_sites() -> None:
    """Forms of other sites may not move our phones. Browsers name a form's origin with every POST."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and urlsplit(origin).netloc != request.host:
        abort(403)


def _nonce() -> str:
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    value: str = g.nonce
    return value


def _headers(response: Response) -> Response:
    style = f"'self' 'nonce-{g.nonce}'" if "nonce" in g else "'self'"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; style-src {style}; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
