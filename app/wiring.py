"""The composition root: settings in, connections and providers out. The only place that chooses providers."""

import json
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import requests
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter
from pydantic import SecretStr
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import clock, embedded
from app.db.engine import make_engine, make_sessions
from app.services import doorbell
from app.services.context import Context
from app.services.pace import Pace
from app.services.peppers import PepperStore
from app.settings import Settings
from certs import identity
from certs.identity import CertificateError, SigningIdentity
from passes.apple.push import Push, PushError, Result, Verdict
from passes.apple.push_auth import CertificateAuth, TokenAuth
from passes.apple.push_client import PushClient
from passes.google import account
from passes.google.client import GoogleWallet
from passes.google.errors import AccountError
from passes.google.root_keys import RootKeys
from sms.console import ConsoleProvider
from sms.gateway import GatewayProvider
from sms.gateway_settings import settings_from
from sms.provider import SmsProvider
from sms.quick_line import QuickLine
from sms.twilio import TwilioProvider
from sms.twilio_webhooks import WebhookKeys

# An issuer has 20 calls in any second: what a burst lets through comes on top of the pace.
GOOGLE_CALLS_A_SECOND, GOOGLE_BURST = 16, 4
PUSHING_SECONDS = 10.0  # for a batch: less than a worker that is to stop is given


class Wired:
    """A context, and the engines that are held while it is used."""

    def __init__(self, settings: Settings) -> None:
        self._engines = None
        if settings.env == "demo":
            settings = with_own_secret(settings)
        database_url = settings.database_url.get_secret_value()
        redis_url = settings.redis_url.get_secret_value()
        if not (database_url and redis_url):
            self._engines = embedded.start(settings.data)
            database_url = database_url or self._engines.database_url
            redis_url = redis_url or self._engines.redis_url
        engine = make_engine(database_url, pool_size=settings.web_threads)
        self._redis_url = redis_url
        valkey = connect_valkey(redis_url)
        certs_folder = settings.data / "certs"
        self.context = Context(
            settings=settings,
            engine=engine,
            sessions=make_sessions(engine),
            valkey=valkey,
            limiter=make_limiter(valkey),
            sms=sms_provider(settings),
            twilio_keys=webhook_keys(settings),
            identity=Identities(certs_folder).find,
            google=GoogleClients(settings, valkey).of_this_thread,
            google_keys=_root_keys(settings).at,
            peppers=PepperStore(settings),
        )
        doorbell.ring_after_commits(self.context.sessions, valkey)

    def patient_valkey(self) -> Redis:
        """A connection for a worker that waits at its queue."""
        return connect_valkey(self._redis_url, patient=True)

    def close(self) -> None:
        self.context.engine.dispose()
        self.context.valkey.close()
        if self._engines is not None:
            self._engines.close()


class Identities:
    """The signing identities of one folder: parsed once (a key takes 30 ms), and anew after an import."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, SigningIdentity]] = {}

    def find(self, pass_type: str) -> SigningIdentity:
        """The identity of this pass type. Raises CertificateError."""
        folder = self._folder / pass_type
        try:
            imported = folder.stat().st_mtime_ns
        except FileNotFoundError:
            imported = 0
        known = self._known.get(pass_type)
        if known is None or known[0] != imported:
            known = self._known[pass_type] = (imported, identity.load(folder))
        return known[1]


class GoogleClients:
    """A client of Google Wallet for each thread; all processes keep one pace."""

    def __init__(self, settings: Settings, valkey: Redis) -> None:
        self._settings = settings
        self._pace = Pace(valkey, "google", GOOGLE_CALLS_A_SECOND, GOOGLE_BURST)
        self._threads = threading.local()

    def of_this_thread(self) -> GoogleWallet:
        """Raises AccountError when the service account can't be used."""
        if not hasattr(self._threads, "client"):
            settings = self._settings
            self._threads.client = GoogleWallet(
                account.from_info(_json(settings.google_account.get_secret_value()), "LEIMA_GOOGLE_ACCOUNT"),
                pace=self._pace,
                base_url=settings.google_api_url,
                ca_bundle=str(settings.ca_file) if settings.ca_file else None,
            )
        client: GoogleWallet = self._threads.client
        return client


class PushClients:
    """Clients of Apple's push service: with a team's push key one for all pass types, else one for each certificate.

    For one thread. A certificate that was imported anew gets a new client.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clients: dict[object, PushClient] = {}

    def send(self, pushes: Sequence[Push]) -> list[Result]:
        """Send all; the results are in the order of `pushes`. A pass type that can't be pushed to says so in them."""
        results: dict[int, Result] = {}
        for topic in dict.fromkeys(push.topic for push in pushes):
            places = [place for place, push in enumerate(pushes) if push.topic == topic]
            own = [pushes[place] for place in places]
            try:
                sent = self._client(topic).send(own)
            except (CertificateError, PushError) as error:
                sent = [Result(push, Verdict.REFUSED, reason="NoCredentials", detail=str(error)) for push in own]
            results.update(zip(places, sent, strict=True))
        return [results[place] for place in range(len(pushes))]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _client(self, topic: str) -> PushClient:
        settings = self._context.settings
        key = settings.apns_key.get_secret_value()
        proof = "key" if key else self._context.identity(topic)
        if proof not in self._clients:
            host, _, port = settings.apns_address.rpartition(":")
            auth = (
                TokenAuth.from_p8(settings.apns_team_id, settings.apns_key_id, key.encode())
                if key
                else CertificateAuth(self._context.identity(topic))
            )
            self._clients[proof] = PushClient(
                (host, int(port)),
                auth=auth,
                clock=clock.now,
                ca_pem=settings.ca_file.read_text() if settings.ca_file else None,
                send_seconds=PUSHING_SECONDS,
            )
        return self._clients[proof]


def sms_provider(settings: Settings) -> SmsProvider:
    """The provider that the settings choose."""
    line = QuickLine(str(settings.ca_file) if settings.ca_file else None, answer_seconds=settings.sms_answer_seconds)
    match settings.sms_provider:
        case "console":
            return ConsoleProvider(sys.stderr, discreet=settings.env == "production")
        case "gateway":
            return GatewayProvider(settings_from(settings.sms_gateway.get_secret_value()), line)
        case "twilio":
            secret = settings.twilio_api_secret.get_secret_value()
            token = settings.twilio_auth_token.get_secret_value()
            return TwilioProvider(
                settings.twilio_account_sid,
                (settings.twilio_api_key, secret) if secret else (settings.twilio_account_sid, token),
                settings.sms_sender,
                status_callback=lambda reference: f"{settings.base_url}/sms/twilio/status/{reference}",
                line=line,
                base_url=settings.twilio_api_url,
            )


def webhook_keys(settings: Settings) -> WebhookKeys:
    """What Twilio may sign its webhooks with."""
    return WebhookKeys(settings.twilio_auth_token.get_secret_value() or None, settings.twilio_shared)


def sms_pace(settings: Settings, valkey: Redis) -> Pace:
    """The sender's pace in parts, kept by all workers together."""
    return Pace(valkey, f"sms-{settings.sms_sender}", settings.sms_parts_per_second, 4)


def _root_keys(settings: Settings) -> RootKeys:
    session = requests.Session()
    if settings.ca_file:
        session.trust_env, session.verify = False, str(settings.ca_file)
    return RootKeys(session, settings.google_keys_url)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise AccountError("LEIMA_GOOGLE_ACCOUNT is not JSON. Download the service account's key as JSON") from None


def connect_valkey(url: str, *, patient: bool = False) -> Redis:
    """A client that gives up soon: nothing that a person waits for may hang on a cache. A worker that waits for its
    queue is `patient`: it may be told nothing for minutes."""
    return Redis.from_url(
        url,
        socket_timeout=None if patient else 2,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 1),
        decode_responses=False,
    )


def make_limiter(valkey: Redis) -> RateLimiter:
    """Counts tries in this Valkey, in a window that moves."""
    return MovingWindowRateLimiter(
        RedisStorage("redis://", connection_pool=valkey.connection_pool, key_prefix="limits")
    )


def with_own_secret(settings: Settings) -> Settings:
    """The settings with a secret: for a demo, one made once and kept in the data folder."""
    if settings.secret:
        return settings
    return settings.model_copy(update={"secret_key": SecretStr(_kept_secret(settings.data / "secret_key"))})


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(48))
        part.replace(path)
    return path.read_text().strip()
