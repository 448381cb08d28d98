"""Who may open which page. Every view says so with one of these decorators; a test walks the URL map for it."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from flask import abort, current_app, g, redirect, request, session, url_for

from app.db.people import Role
from app.services import api_keys, limits, staff
from app.services.context import Actor, Context
from app.services.views import StaffView

View = Callable[..., Any]

TILL = (Role.CASHIER, Role.MANAGER, Role.OWNER)
OFFICE = (Role.MARKETER, Role.MANAGER, Role.OWNER)
MANAGERS = (Role.MANAGER, Role.OWNER)
OWNERS = (Role.OWNER,)


def ctx() -> Context:
    """This installation's connections."""
    context: Context = current_app.extensions["leima"]
    return context


def public(view: View) -> View:
    """Anybody may open this page."""
    view.access = "public"  # type: ignore[attr-defined]
    return view


def staff_only(*roles: Role) -> Callable[[View], View]:
    """Only signed-in staff with one of these roles. Others are asked to sign in, or told that they may not."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            person = current_staff()
            if person is None:
                wanted = request.full_path.rstrip("?") if request.method == "GET" else None
                return redirect(url_for("staff.sign_in", next=wanted))
            if person.role not in roles:
                abort(403)
            return view(*args, **kwargs)

        guarded.access = frozenset(roles)  # type: ignore[attr-defined]
        return guarded

    return decorate


def key_only(view: View) -> View:
    """Only requests with a valid API key, at a pace that a till needs."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        g.api_actor = api_keys.actor_of(ctx(), secret.strip() if scheme.lower() == "bearer" else "")
        limits.spend(ctx(), limits.API, "api", str(g.api_actor.api_key_id))
        return view(*args, **kwargs)

    guarded.access = "key"  # type: ignore[attr-defined]
    return guarded


def current_staff() -> StaffView | None:
    """Who is signed in, or None. Looked up once a request, so that a blocked member of staff is out at once."""
    if "staff" not in g:
        g.staff = None
        staff_id, version = session.get("staff_id"), session.get("staff_version")
        if isinstance(staff_id, str) and isinstance(version, int):
            g.staff = staff.by_session(ctx(), UUID(staff_id), version)
    person: StaffView | None = g.staff
    return person


def remember(person: StaffView) -> None:
    """Sign this person in. The old session goes, so that nobody can plant one before (session fixation)."""
    session.clear()
    session.permanent = True
    session["staff_id"], session["staff_version"] = str(person.id), person.session_version


def actor() -> Actor:
    """For whom the signed-in person acts. Only inside views guarded by staff_only: elsewhere it is our mistake."""
    person = current_staff()
    if person is None:
        raise LookupError("nobody is signed in")
    return Actor(
        person.program_id,
        staff_id=person.id,
        location_id=person.location_id,
        may_manage=person.role in MANAGERS,
        may_grant=person.role in MANAGERS or person.may_grant_credit,
    )
