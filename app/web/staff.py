"""Signing in and out."""

import re
from urllib.parse import unquote, urlsplit

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from app.db.people import Role
from app.services import staff
from app.services.errors import InvalidForm, Refused
from app.web.access import actor, ctx, current_staff, public, remember, staff_only
from app.web.language import text

blueprint = Blueprint("staff", __name__, url_prefix="/staff")

_NO_CONTROLS = re.compile(r"[^\x00-\x1f\x7f\\]*")


@blueprint.get("/sign-in")
@public
def sign_in() -> Response | str:
    person = current_staff()
    if person is not None:
        return redirect(_start_page(person.role))
    return render_template("staff/sign_in.html", error="", login="")


@blueprint.post("/sign-in")
@public
def check() -> Response | tuple[str, int]:
    login = request.form.get("login", "")
    try:
        person = staff.sign_in(ctx(), login, request.form.get("password", ""), request.remote_addr or "")
    except Refused as error:
        page = render_template("staff/sign_in.html", error=error.text(text()), login=login)
        return page, error.status
    remember(person)
    return redirect(_own_page(request.args.get("next", "")) or _start_page(person.role))


@blueprint.post("/sign-out")
@public
def sign_out() -> Response:
    session.clear()
    return redirect(url_for("staff.sign_in"))


@blueprint.get("/password")
@staff_only(*Role)
def password() -> str:
    return _password_page({}, changed="changed" in request.args)


@blueprint.post("/password")
@staff_only(*Role)
def password_change() -> Response | tuple[str, int]:
    try:
        person = staff.change_password(ctx(), actor(), request.form)
    except InvalidForm as invalid:
        return _password_page({field: refusal.text(text()) for field, refusal in invalid.errors.items()}), 422
    remember(person)  # signed out everywhere but here
    return redirect(url_for("staff.password", changed=1), 303)


def _password_page(errors: dict[str, str], *, changed: bool = False) -> str:
    return render_template("staff/password.html", errors=errors, changed=changed, shortest=staff.SHORTEST_PASSWORD)


def _start_page(role: Role) -> str:
    return url_for("till.box") if role is Role.CASHIER else url_for("office.overview")


def _own_page(wanted: str) -> str:
    """The page that was asked for before signing in, if it is one of ours: nobody is sent elsewhere."""
    path = unquote(urlsplit(wanted).path)
    # Browsers drop tabs and line ends, and read a backslash as a slash: "/\t/evil.example" would lead elsewhere.
    if not wanted.startswith("/") or any(not _NO_CONTROLS.fullmatch(part) for part in (wanted, path)):
        return ""
    if wanted.startswith("//") or path.startswith("//"):
        return ""
    pages = current_app.create_url_adapter(request)
    try:
        return wanted if pages is not None and pages.match(path, method="GET") else ""
    except HTTPException:
        return ""
