"""`leima doctor` on delivery: are Apple and Google reached, does a worker run, and what did not arrive."""

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from redis import RedisError

from app import clock
from app.cli.finding import Finding, State
from app.services import doctoring, programs
from app.services import sms_spending as spending
from app.services.context import Context
from app.settings import Settings
from certs import identity
from certs.identity import CertificateError, SigningIdentity
from passes.apple.push import PushError
from passes.apple.push_auth import CertificateAuth, TokenAuth
from passes.apple.push_client import APPLE
from passes.apple.push_connection import ConnectError, Lost, PushConnection
from passes.google.errors import AccountError
from passes.google.outcome import Outcome

APNS_SECONDS = 5.0
GOOGLE_SECONDS = 10.0  # a token, and one call with it
_APPLE, _GOOGLE, _WORKER = "apple push", "google wallet", "worker"

Answer = TypeVar("Answer")


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns or raises. TimeoutError after `seconds`.

    Libraries bound each try, but a name that does not resolve or a host with ten silent addresses takes many.
    """
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(seconds)


def address(settings: Settings) -> Iterator[Finding]:
    """Whether wallets can be told where to ask for new cards."""
    if not settings.wallet_base_url:
        yield Finding(
            State.BAD if settings.google_issuer_id else State.WARNING,
            "wallets",
            "there is no https address for them, so that cards in wallets do not change by themselves: set "
            "LEIMA_PUBLIC_URL or LEIMA_WALLET_URL to https://…",
        )


def apple(context: Context) -> Iterator[Finding]:
    """Whether Apple's push service lets us in. Nothing is pushed."""
    settings = context.settings
    host, _, port = settings.apns_address.rpartition(":")
    if settings.env == "production" and host != APPLE[0]:
        yield Finding(
            State.WARNING,
            _APPLE,
            f"LEIMA_APNS_ADDRESS is {settings.apns_address}, which reaches no customer's phone: unset it",
        )
    own = [found for found in _identities(context) if not found.development or host != APPLE[0]]
    key = settings.apns_key.get_secret_value()
    try:
        token = TokenAuth.from_p8(settings.apns_team_id, settings.apns_key_id, key.encode()) if key else None
    except PushError as error:
        yield Finding(State.BAD, _APPLE, f"LEIMA_APNS_KEY: {error}")
        return
    if token is not None:
        yield from _teams(token, own)
        yield _let_in(settings, (host, int(port)), token, f"push key {token.key_id}")
        return
    for found in own:
        yield _let_in(settings, (host, int(port)), CertificateAuth(found), found.pass_type_identifier)
    if not own:
        yield Finding(State.OK, _APPLE, "not asked: it knows Apple's own certificates only, and there is no valid one")


def _identities(context: Context) -> list[SigningIdentity]:
    """The usable ones: what is wrong with the others has been said of the certificates."""
    usable = []
    for folder in identity.folders(context.settings.data / "certs"):
        try:
            found = identity.load(folder)
            found.ensure_valid(clock.now())
        except CertificateError:
            continue
        usable.append(found)
    return usable


def _teams(key: TokenAuth, own: list[SigningIdentity]) -> Iterator[Finding]:
    for found in own:
        if found.team_identifier != key.team_id:
            yield Finding(
                State.BAD,
                _APPLE,
                f"{found.pass_type_identifier} belongs to team {found.team_identifier}, and the push key to team "
                f"{key.team_id}, so that its cards are not pushed: use a key of its team, or unset LEIMA_APNS_KEY",
            )


def _let_in(settings: Settings, place: tuple[str, int], auth: CertificateAuth | TokenAuth, name: str) -> Finding:
    """Connect, and wait for the first word of HTTP/2: only that proves that the certificate was taken."""
    shown = f"{place[0]}:{place[1]}"

    def connect() -> None:
        tls = ssl.create_default_context(cadata=settings.ca_file.read_text() if settings.ca_file else None)
        tls.set_alpn_protocols(["h2"])
        auth.prepare(tls)
        PushConnection(place, tls, APNS_SECONDS).close()

    try:
        within(APNS_SECONDS + 0.5, connect)
    except TimeoutError:
        return Finding(State.BAD, _APPLE, f"{shown} does not answer. {_open_port(place)}")
    except ConnectError as error:
        return Finding(State.BAD, _APPLE, _advice(error.lost, name, place))
    except OSError as error:
        return Finding(State.BAD, _APPLE, f"LEIMA_CA_FILE cannot be used: {error}")
    return Finding(State.OK, _APPLE, f"{shown} lets {name} in")


def _advice(lost: Lost, name: str, place: tuple[str, int]) -> str:
    match lost.reason:
        case "ConnectFailed" | "Timeout":
            return f"{lost.detail}. {_open_port(place)}"
        case "CertificateRefused":
            return (
                f"{name}: {lost.detail}. See in Apple's developer account whether it was revoked, and import a new one"
            )
        case "UntrustedServer":
            return (
                f"{lost.detail}. Either something between here and {place[0]} opens its connections, or LEIMA_CA_FILE "
                "is not meant for it"
            )
        case _:
            return f"{name}: {lost.detail}. If this stays so, look for a firewall or proxy before {place[0]}"


def _open_port(place: tuple[str, int]) -> str:
    other = f", or port 2197 with LEIMA_APNS_ADDRESS={place[0]}:2197" if place == APPLE else ""
    return f"Let this machine connect to it: open outgoing TCP port {place[1]} in the firewall{other}"


def google(context: Context) -> Iterator[Finding]:
    """Whether Google lets our account act for its issuer."""
    settings = context.settings
    if not settings.google_issuer_id:
        yield Finding(State.OK, _GOOGLE, "not set up: cards are offered for Apple Wallet and as a page")
        return

    def ask() -> tuple[Outcome, str]:
        wallet = context.google()
        try:
            return wallet.check(settings.google_issuer_id), wallet.account.email
        finally:
            wallet.close()

    try:
        done, email = within(GOOGLE_SECONDS, ask)
    except AccountError as error:
        yield Finding(State.BAD, _GOOGLE, str(error))
    except TimeoutError:
        yield Finding(State.BAD, _GOOGLE, f"no answer. {_open_google(settings)}")
    except OSError as error:
        yield Finding(State.BAD, _GOOGLE, f"LEIMA_CA_FILE cannot be used: {error}")
    else:
        if done.delivered:
            yield Finding(
                State.OK,
                _GOOGLE,
                f"issuer {settings.google_issuer_id} answers to {email}. Until Google gives the issuer publishing "
                "access, only its test users get cards, and those are marked TEST ONLY",
            )
        else:
            where = f". {_open_google(settings)}" if done.code in ("no_answer", "token_unavailable") else ""
            said = f" ({done.detail})" if done.detail else ""
            yield Finding(State.BAD, _GOOGLE, f"{done.reason}{said}{where}")


def _open_google(settings: Settings) -> str:
    host = settings.google_api_url.removeprefix("https://")
    return f"Let this machine connect to {host} and oauth2.googleapis.com: open outgoing TCP port 443 in the firewall"


def worker(context: Context) -> Iterator[Finding]:
    """Whether somebody delivers what waits, and what could not be delivered."""
    try:
        idle = doctoring.channels_without_worker(context)
    except RedisError:
        idle = []  # has been said of Valkey
    start = "start `python worker.py`, or `leima serve`, which runs one"
    late, oldest = doctoring.late_rows(context)
    minutes = int((clock.now() - oldest).total_seconds()) // 60 if oldest else 0
    if late and idle:
        yield Finding(
            State.BAD, _WORKER, f"late: {late}, the oldest by {minutes} minutes, and no worker is running: {start}"
        )
    elif late:
        yield Finding(
            State.WARNING,
            _WORKER,
            f"late: {late}, the oldest by {minutes} minutes. See its log; if it only has too much to do, start another "
            "`python worker.py`",
        )
    elif idle:
        yield Finding(State.WARNING, _WORKER, f"no worker is running for {', '.join(idle)}: {start}")
    else:
        yield Finding(State.OK, _WORKER, "runs, and nothing is late")
    for slug, dead in doctoring.dead_rows(context):
        yield Finding(
            State.WARNING,
            "delivery",
            f"{slug}: {dead} did not arrive. The office shows which and why, and tries them again, under Wallets",
        )


def sms_spending(context: Context) -> Iterator[Finding]:
    """Programmes whose SMS are held back today, by their cap or by the provider's alarm."""
    for program in programs.every(context):
        found = spending.standing(context, program.id)
        if found.stopped_at is not None:
            yield Finding(
                State.BAD,
                "sms",
                f"{program.slug}: nothing goes out, as the provider suspects pumping. Look into it, then let the "
                "manager send again, in the office under SMS settings",
            )
        elif found.all_wait:
            yield Finding(
                State.BAD, "sms", f"{program.slug}: today's SMS have cost twice the daily cap: all of them wait"
            )
        elif found.offers_wait:
            yield Finding(State.WARNING, "sms", f"{program.slug}: today's SMS have reached the daily cap: offers wait")
