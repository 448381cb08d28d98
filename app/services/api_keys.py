"""Keys for tills and web shops. A key is shown once; only its keyed hash is stored."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select
from uuid_utils.compat import uuid7

from app import clock
from app.db.lookup import Lookup
from app.db.programs import ApiKey, Program
from app.i18n import N_
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.staff import own_location

_SPEAKS_FOR = Lookup(
    select(ApiKey.program_id, ApiKey.id, ApiKey.location_id).where(
        ApiKey.key_hash == bindparam("key_hash"), ApiKey.revoked_at.is_(None)
    )
)


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    id: UUID
    name: str
    hint: str
    location_id: UUID | None
    created_at: datetime
    revoked_at: datetime | None


def create(ctx: Context, actor: Actor, form: Mapping[str, str]) -> tuple[ApiKeyView, str]:
    """Make a key named in the form; return it, and the secret that is never shown again. Raises InvalidForm.

    With a `key` in the form the secret is derived from it, so that a double click makes, and shows, one key.
    """
    reader = FormReader(form)
    name = reader.line("name", 60)
    if reader.errors:
        raise InvalidForm(reader.errors)
    once = form.get("key") or secrets.token_urlsafe(16)
    secret = "leima_" + ctx.keyed_hash("api-key-secret", f"{actor.scope}:{once}")[:40]
    key_hash = ctx.keyed_hash("api-key", secret)
    with ctx.sessions.begin() as session:
        session.get_one(Program, actor.program_id, with_for_update=True)
        key = session.scalars(select(ApiKey).where(ApiKey.key_hash == key_hash)).one_or_none()
        if key is None:
            key = ApiKey(
                id=uuid7(),
                program_id=actor.program_id,
                location_id=own_location(session, actor, form.get("location_id", "")),
                name=name,
                key_hash=key_hash,
                hint=secret[-4:],
                created_at=clock.now(),
            )
            session.add(key)
            record(session, actor, "api-key.created", key.id)
            session.flush()
        return _view(key), secret


def every(ctx: Context, program_id: UUID) -> list[ApiKeyView]:
    with ctx.sessions() as session:
        rows = session.scalars(select(ApiKey).where(ApiKey.program_id == program_id).order_by(ApiKey.created_at))
        return [_view(row) for row in rows]


def revoke(ctx: Context, actor: Actor, key_id: UUID) -> None:
    """End a key at once. Ending it twice is the same as once."""
    with ctx.sessions.begin() as session:
        key = session.get(ApiKey, key_id, with_for_update=True)
        if key is None or key.program_id != actor.program_id:
            raise Refused("api-key-not-found", N_("There is no such key."), status=404)
        if key.revoked_at is None:
            key.revoked_at = clock.now()
            record(session, actor, "api-key.revoked", key.id)


def actor_of(ctx: Context, secret: str) -> Actor:
    """Who a request's key speaks for. Raises Refused for an unknown or ended key."""
    found = _SPEAKS_FOR.first(ctx.engine, key_hash=ctx.keyed_hash("api-key", secret))
    if found is None:
        raise Refused("unauthorized", N_("Send a valid API key: Authorization: Bearer leima_…"), status=401)
    program_id, key_id, location_id = found
    return Actor(program_id, api_key_id=key_id, location_id=location_id, may_manage=True, may_grant=True)


def _view(key: ApiKey) -> ApiKeyView:
    return ApiKeyView(key.id, key.name, key.hint, key.location_id, key.created_at, key.revoked_at)
