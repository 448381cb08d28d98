"""Who may do what with credit."""

from app.i18n import N_
from app.services.context import Actor
from app.services.errors import Refused


def require_giving(actor: Actor) -> None:
    """Raises Refused (not-allowed) for who may not give credit."""
    if not actor.may_grant:
        raise Refused("not-allowed", N_("You may not give credit. Ask a manager."), status=403)


def require_blocking(actor: Actor) -> None:
    """Raises Refused (not-allowed) for who may not block credit."""
    if not actor.may_manage:
        raise Refused("not-allowed", N_("Only a manager may block credit. Ask one."), status=403)
