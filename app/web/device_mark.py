"""A mark of our own in the browser, by which the guard tells two friends from one person with two numbers.

It is set, and read, only where the programme gives something for friends.
"""

import re
import secrets

from flask import Response, after_this_request, request

from app.services import device_marks, referral_rules
from app.services.programs import ProgramView
from app.services.views import MemberView
from app.web.access import ctx

_MARK = re.compile(r"[\w-]{22}", re.ASCII)
_KEPT = 400 * 24 * 3600  # seconds: browsers keep nothing for longer


def of_joining(program: ProgramView) -> str:
    """The mark of the browser in which somebody joins, new if need be; empty where nothing is given for friends."""
    return _found() or _left() if referral_rules.of_view(ctx(), program).active else ""


def note(program: ProgramView, member: MemberView, *, at_once: bool = False) -> None:
    """The member's page was opened. A browser is known from the second time on, or, with `at_once`, the first: what
    draws previews of links keeps no cookies, and would be a new browser each time."""
    if not referral_rules.of_view(ctx(), program).active:
        return
    found = _found()
    mark = found or _left()
    if found or at_once:
        device_marks.note(ctx(), member.id, mark)


def _found() -> str:
    mark = request.cookies.get(_name(), "")
    return mark if _MARK.fullmatch(mark) else ""


def _left() -> str:
    """A new mark, which goes with the answer."""
    mark = secrets.token_urlsafe(16)

    @after_this_request
    def leave(response: Response) -> Response:
        response.set_cookie(_name(), mark, max_age=_KEPT, secure=_is_https(), httponly=True, samesite="Lax", path="/")
        return response

    return mark


def _name() -> str:
    return "__Host-leima-mark" if _is_https() else "leima-mark"


def _is_https() -> bool:
    return ctx().settings.base_url.startswith("https://")
