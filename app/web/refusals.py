"""A service's no, as a page for people or as problem+json (RFC 9457) for machines."""

from flask import Flask, Response, jsonify, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from app.i18n import N_
from app.services.errors import InvalidForm, Refused
from app.web.access import ctx
from app.web.api.problems import title
from app.web.language import text

_MESSAGES = {
    400: N_("This request could not be read. Please go back and try again."),
    403: N_("You may not open this page. Ask the owner if you need it."),
    404: N_("There is nothing at this address."),
    405: N_("This address does not take that kind of request."),
    413: N_("This file is too large. Pictures may have 5 MB at most."),
    415: N_("Send the body as JSON: Content-Type: application/json."),
    429: N_("Too many tries. Please wait a little and try again."),
    500: N_("Something went wrong on our side. Nothing was changed. Please try again."),
}


def problem(kind: str, status: int, detail: str, **more: object) -> Response:
    """A problem+json answer. `kind` is the stable last part of its type."""
    address = f"{ctx().settings.base_url}/api/problems/{kind}"
    response = jsonify({"type": address, "title": title(kind), "status": status, "detail": detail} | more)
    response.status_code = status
    response.content_type = "application/problem+json"
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def install(app: Flask) -> None:
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(InvalidForm, _invalid)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)


def _refused(error: Refused) -> tuple[str, int] | Response:
    answer = _answer(error.kind, error.status, error.text(text()))
    minutes = error.params.get("minutes")
    if error.status == 429 and isinstance(answer, Response) and isinstance(minutes, int):
        answer.headers["Retry-After"] = str(60 * minutes)
    return answer


def _invalid(error: InvalidForm) -> tuple[str, int] | Response:
    errors = {field: refusal.text(text()) for field, refusal in error.errors.items()}
    detail = " ".join(f"{field}: {message}" for field, message in errors.items())
    return _answer("invalid-fields", 422, detail, errors=errors)


def _csrf(_error: CSRFError) -> tuple[str, int] | Response:
    return _answer(
        "bad-request", 400, text().gettext(N_("This form has waited too long. Please reload the page and try again."))
    )


def _http(error: HTTPException) -> tuple[str, int] | Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    message = text().gettext(_MESSAGES.get(status, _MESSAGES[500 if status >= 500 else 400]))
    return _answer((error.name or "error").lower().replace(" ", "-"), status, message)


def _answer(kind: str, status: int, detail: str, **more: object) -> tuple[str, int] | Response:
    """For the API a problem, for a page's script its text alone, for people a page."""
    if request.path.startswith("/api/") and request.path != "/api/docs":
        return problem(kind, status, detail, **more)
    if request.accept_mimetypes.best_match(("text/html", "application/json")) == "application/json":
        response = jsonify(detail=detail)
        response.status_code = status
        return response
    return render_template("refused.html", status=status, message=detail), status
