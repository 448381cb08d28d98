"""Phones fetching their cards, answered before Flask: after a change in the office all phones come within minutes.

Flask alone adds a tenth of a millisecond, our hooks more. Only what went well is answered here, with a log line
at level debug; all else goes on to the view in app.web.apple, which answers the same, and says no.
"""

import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import http_date, parse_date

from app.logs import log
from app.services import apple_devices, apple_passes
from app.services.context import Context
from app.services.errors import Refused
from passes.apple.package import MIME_TYPE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/apple/v1/passes/"
SCHEME = "ApplePass "
ROUTE = f"{PATH}<string:pass_type>/<string:serial>"


class Door:
    """WSGI: what stands before `app`."""

    def __init__(self, app: Flask, context: Context) -> None:
        self._inner, self._context, self._numbers = app.wsgi_app, context, app.extensions["leima_numbers"]

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        begun = time.perf_counter()
        if path.startswith(PATH) and method in ("GET", "HEAD") and (found := self._fetched(path, environ)):
            status = HTTPStatus.NOT_MODIFIED if found.content is None else HTTPStatus.OK
            start_response(f"{status} {status.phrase}", headers(found))
            self._note(method, status, time.perf_counter() - begun)
            return [found.content] if found.content and method == "GET" else []
        return self._inner(environ, start_response)

    def _fetched(self, path: str, environ: "WSGIEnvironment") -> apple_passes.Fetched | None:
        pass_type, _, serial = path[len(PATH) :].partition("/")
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if not authorization.startswith(SCHEME):
            return None
        try:
            card = apple_devices.authenticated(self._context, pass_type, serial, authorization[len(SCHEME) :].strip())
            if card is None:
                return None
            return apple_passes.fetch(self._context, card, parse_date(environ.get("HTTP_IF_MODIFIED_SINCE")))
        except (Refused, SQLAlchemyError):  # the view tries once more: a connection may have been lost just now
            return None

    def _note(self, method: str, status: HTTPStatus, seconds: float) -> None:
        self._numbers.requests.labels(ROUTE, method, int(status)).inc()
        self._numbers.seconds.labels(ROUTE).observe(seconds)
        log().debug(
            "request.answered", route=ROUTE, method=method, status=status, milliseconds=round(seconds * 1000, 1)
        )


def headers(found: apple_passes.Fetched) -> list[tuple[str, str]]:
    """What goes with the answer, a pass or 'not modified'."""
    common = [("Last-Modified", http_date(found.changed_at)), ("Cache-Control", "no-store")]
    if found.content is None:
        return common
    return [
        ("Content-Type", MIME_TYPE),
        ("Content-Length", str(len(found.content))),
        ("Content-Disposition", 'attachment; filename="card.pkpass"'),
        ("X-Content-Type-Options", "nosniff"),
        *common,
    ]
