"""Pages behind a member's personal link: what each answer carries, and how misses are counted."""

from collections.abc import Callable
from typing import TypeVar

from flask import Response, request

from app.services import limits
from app.services.context import Context
from app.services.errors import Refused
from app.web.access import ctx

Opened = TypeVar("Opened")


def keep_private(response: Response) -> Response:
    """The address opens the card: other sites must not learn it from a Referer, nor search engines."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def opened_by(read: Callable[[Context, str], Opened], token: str, *, limit_name: str = "card-link") -> Opened:
    """What the token opens. Misses are counted: nobody tries links for long, and a real one is never held back."""
    try:
        return read(ctx(), token)
    except Refused:
        limits.spend(ctx(), limits.LINK, limit_name, request.remote_addr or "")
        raise
