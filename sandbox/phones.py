"""The page /sandbox/phones: pretend phones side by side, drawn as they are, changing while one looks.

Programs ask for JSON (Accept: application/json) at the same addresses: the tour adds phones and reads their cards so.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import segno
from flask import Flask, Response, abort, g, jsonify, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from sandbox import fault_panel
from sandbox.fault_panel import FaultPanel
from sandbox.iphone import Iphone
from sandbox.pass_face import LANGUAGES
from sandbox.pass_service import Unavailable
from sandbox.phone_shelf import NotPossible, Shelf, Stand

_HEARTBEAT = 15.0
_SHOWN_EVENTS = 30
_MOST_BYTES = 64 * 1024


def create_app(shelf: Shelf, faults: FaultPanel, base_url: str) -> Flask:
    """The page's app. `base_url` is where Leima itself is looked at."""
    app = Flask(__name__, static_url_path="/sandbox/static")
    app.config.update(MAX_CONTENT_LENGTH=_MOST_BYTES, TRUSTED_HOSTS=["localhost", "127.0.0.1"])
    app.before_request(_refuse_other_sites)
    app.after_request(_headers)
    app.jinja_env.filters.update(hour=_hour, tenth=_tenth)
    app.jinja_env.globals.update(nonce=_nonce, qr=qr_svg, drawn=drawn, ink_on=ink_on, LANGUAGES=LANGUAGES)

    @app.get("/")
    def front() -> AnyResponse:
        return redirect(url_for("phones"))

    @app.get("/sandbox/phones")
    def phones() -> str | Response:
        if _wants_json():
            return jsonify([told(stand) for stand in shelf.stands.values()])
        return _page(shelf, faults, base_url)

    @app.post("/sandbox/phones")
    def add() -> AnyResponse | tuple[Response | str, int]:
        form = request.form
        kind = "android" if form.get("kind") == "android" else "iphone"
        try:
            stand = shelf.add(kind, form.get("address", "").strip() or form.get("member", ""), _language())
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
        return jsonify(told(stand)) if _wants_json() else render_template("phone.html", stand=stand, now=clock.now())

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
        for kind, content in _pictures(_found(shelf, stand_id)):
            if _digest(content) == digest:
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
        phone.switch_on()
    elif act == "language":
        shelf.set_language(stand, _language())
    elif act == "throw-away":
        shelf.throw_away(stand)
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


def told(stand: Stand) -> dict[str, Any]:
    """The phone as JSON."""
    phone = stand.phone
    return {
        "id": stand.id,
        "kind": stand.kind,
        "name": stand.name,
        "language": phone.language,
        "on": phone.is_on,
        "cards": [asdict(drawn(stand, card_id)) | {"id": card_id} for card_id in stand.card_ids],
        "lock_screen": [{"at": one.at.isoformat(), "title": one.title, "text": one.text} for one in phone.lock_screen],
        "log": [{"at": one.at.isoformat(), "kind": one.kind, "text": one.text} for one in phone.log.events],
    }


def drawn(stand: Stand, card_id: str, at: datetime | None = None) -> Any:
    """The card's face; each of its pictures is the picture's address on this page, or empty."""
    phone = stand.phone
    face: Any
    if isinstance(phone, Iphone):
        held = phone.passes[card_id]
        face, files = held.face(phone.language, at or clock.now()), held.files
        names: tuple[str, ...] = ("logo", "icon", "strip")
    else:
        face, files = phone.face(card_id), {url: content for url, (_, content) in phone.pictures.items()}
        names = ("logo", "hero")
    shown = {name: files.get(getattr(face, name)) for name in names}
    addresses = {
        name: url_for("picture", stand_id=stand.id, digest=_digest(content)) if content else ""
        for name, content in shown.items()
    }
    return type(face)(**{name: getattr(face, name) for name in face.__dataclass_fields__} | addresses)


def _pictures(stand: Stand) -> Iterator[tuple[str, bytes]]:
    if isinstance(stand.phone, Iphone):
        for held in list(stand.phone.passes.values()):
            yield from (("image/png", file) for name, file in held.files.items() if name.endswith(".png"))
    else:
        yield from list(stand.phone.pictures.values())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def qr_svg(content: str, label: str) -> Markup:
    """A QR code as an inline picture of black on white."""
    code = segno.make(content, micro=False, error="m")
    side = code.symbol_size(border=2)[0]
    path = "".join(
        f"M{run[0][0]} {row}h{len(run)}v1H{run[0][0]}z"
        for row, modules in enumerate(code.matrix_iter(border=2))
        for dark, run in ((dark, list(run)) for dark, run in groupby(enumerate(modules), key=lambda module: module[1]))
        if dark
    )
    return Markup(  # noqa: S704 - nothing in it was typed by anybody but the label, which is escaped
        f'<svg class="qr" viewBox="0 0 {side} {side}" role="img" aria-label="{escape(label)}" '
        f'shape-rendering="crispEdges"><path d="{path}" fill="#000"/></svg>'
    )


def ink_on(background: str) -> str:
    """Black or white, whichever is easier to read on a colour (#rrggbb)."""
    digits = background.lstrip("#")
    red, green, blue = (int(digits[start : start + 2], 16) for start in (0, 2, 4)) if len(digits) == 6 else (0, 0, 0)
    return "#000000" if red * 0.299 + green * 0.587 + blue * 0.114 > 150 else "#ffffff"


def _hour(moment: datetime) -> str:
    """The time as this machine's clock shows it."""
    return f"{moment.astimezone():%H:%M}"


def _tenth(moment: datetime) -> str:
    """The same to a tenth of a second."""
    return f"{moment.astimezone():%H:%M:%S.%f}"[:-5]


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
