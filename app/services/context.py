"""What every service is handed: the connections and secrets of this installation. Built by app.wiring."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from limits.strategies import RateLimiter
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.services.peppers import Peppers
from app.settings import Settings
from certs.identity import SigningIdentity
from passes.google.callbacks import RootKey
from passes.google.client import GoogleWallet
from sms.provider import SmsProvider
from sms.twilio_webhooks import WebhookKeys


@dataclass(frozen=True, slots=True)
class Context:
    """The connections and secrets of one process.

    `identity` finds a signing identity by its pass type. `google` gives the calling thread's client, `google_keys` the
    keys that sign Google's callbacks at a moment. `peppers` are what 7-digit codes are keyed with, as they are now.
    """

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    valkey: Redis
    limiter: RateLimiter
    sms: SmsProvider
    twilio_keys: WebhookKeys
    identity: Callable[[str], SigningIdentity]
    google: Callable[[], GoogleWallet]
    google_keys: Callable[[datetime], Sequence[RootKey]]
    peppers: Callable[[], Peppers]

    def keyed_hash(self, purpose: str, value: str) -> str:
        """The hash under which a secret value is stored and found: HMAC-SHA256, 64 hex digits."""
        return hmac.new(self.settings.secret, f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()

    def derived_token(self, purpose: str, subject: UUID, generation: int = 1) -> str:
        """A token that only this installation can make again: 128 bits as 22 URL-safe characters."""
        digest = hmac.new(self.settings.secret, f"{purpose}:{subject}:{generation}".encode(), hashlib.sha256)
        return urlsafe_b64encode(digest.digest()[:16]).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a member of staff, a till's API key, or (neither) the customer or the installation itself."""

    program_id: UUID
    staff_id: UUID | None = None
    api_key_id: UUID | None = None
    location_id: UUID | None = None
    may_manage: bool = False
    may_grant: bool = False  # give credit by hand

    @property
    def scope(self) -> UUID:
        """Whose idempotency keys these are."""
        return self.staff_id or self.api_key_id or self.program_id
