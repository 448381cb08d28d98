"""A shop whose cards are in the pretend Google Wallet, over real TLS."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import requests
from pydantic import SecretStr
from sqlalchemy import select

from app import clock
from app.db.delivery import Channel, OutboxRow
from app.jobs import drain, google, refresh
from app.jobs.station import Station
from app.services import google_cards, google_describing, till
from app.services.context import Context
from app.services.views import MemberView
from passes.google import account
from passes.google.account import SCOPE, Account
from passes.google.client import GoogleWallet
from passes.google.root_keys import RootKeys
from sandbox.google import GoogleSandbox
from tests.factories import Shop, open_shop

PUBLIC = "https://localhost:1"  # nobody listens: the stand-in's callbacks are handed over by the tests


@dataclass
class GoogleShop:
    """`before_call` is what happens right before each call to Google: the moment for things to go wrong."""

    shop: Shop
    sandbox: GoogleSandbox
    session: requests.Session
    calls: list[int]
    began: int
    before_call: Callable[[], object] | None = None

    @property
    def ctx(self) -> Context:
        return self.shop.ctx

    def pace(self, calls: int) -> None:
        self.calls.append(calls)
        if self.before_call is not None:
            self.before_call()

    def save(self, member: MemberView) -> str:
        """The customer follows the link, and puts the card on a phone. Returns the link."""
        link = google_cards.link(self.ctx, member)
        self.session.post(link, data={"user": "phone-1"}).raise_for_status()
        return link

    def saved(self, number: int = 1, **values: object) -> MemberView:
        """A member whose card is on a phone."""
        member = self.shop.member(number, **values)
        self.save(member)
        return member

    def stamp(self, member: MemberView, count: int = 1) -> None:
        till.give_stamps(self.ctx, self.shop.cashier, member.card_code, count=count)

    def deliver(self, channel: Channel = Channel.GOOGLE) -> None:
        """What a channel's worker does until nothing is due."""
        channels = {
            Channel.GOOGLE: partial(google.deliver, self.ctx),
            Channel.REFRESH: partial(refresh.renew_cards, self.ctx),
        }
        drain.empty(Station(self.ctx, channels), channel)

    def shown(self, member: MemberView) -> dict[str, Any]:
        """The object as Google has it."""
        card = self.sandbox.state.shown(google_describing.object_id(self.ctx, member.card_id))
        found: dict[str, Any] = card["object"]
        return found

    def points(self, member: MemberView) -> str:
        return str(self.shown(member)["loyaltyPoints"]["balance"]["string"])

    def notifications(self, member: MemberView) -> int:
        """How often the phone has told of this card."""
        card = self.sandbox.state.shown(google_describing.object_id(self.ctx, member.card_id))
        return len(card["notifications"])

    def changes(self, kind: str, since: int | None = None) -> list[str]:
        """The ids of classes or objects that were written, in order."""
        written = self.sandbox.state.changes(self.began if since is None else since, 0)[1]
        return [change["id"] for change in written if change["kind"] == kind]

    def outbox(self) -> list[OutboxRow]:
        """What Google has not been told."""
        with self.ctx.sessions() as session:
            rows = select(OutboxRow).where(OutboxRow.channel == Channel.GOOGLE).order_by(OutboxRow.id)
            return list(session.scalars(rows))

    def last_callback(self) -> bytes:
        """What Google posted last; it posts in a thread of its own."""
        deadline = time.monotonic() + 10
        while not self.sandbox.sender.sent and time.monotonic() < deadline:
            time.sleep(0.005)
        return str(self.sandbox.sender.sent[-1]["body"]).encode()


def fresh(sandbox: GoogleSandbox) -> GoogleSandbox:
    """As if it had just been started, in no hurry, and at the app's time."""
    sandbox.state.clear()
    sandbox.faults.clear()
    sandbox.sender.sent.clear()
    sandbox.state.now = lambda: clock.now()
    sandbox.state.requests_per_second = 10_000
    return sandbox


def loaded(sandbox: GoogleSandbox) -> Account:
    return account.load(sandbox.account_file)


@contextmanager
def google_shop(
    ctx: Context, sandbox: GoogleSandbox, loaded_account: Account, **settings: object
) -> Iterator[GoogleShop]:
    """The shop of an installation with an issuer account."""
    given = {
        "wallet_url": PUBLIC,
        "google_issuer_id": sandbox.issuer_id,
        "google_account": SecretStr(sandbox.account_file.read_text("utf-8")),
        "google_api_url": sandbox.url,
        "google_save_url": sandbox.save_url,
    }
    session = requests.Session()
    session.trust_env, session.verify = False, str(sandbox.ca_file)
    made: list[GoogleShop] = []
    wallet = GoogleWallet(
        loaded_account.with_scopes([SCOPE]),
        pace=lambda calls: made[0].pace(calls),
        base_url=sandbox.url,
        ca_bundle=str(sandbox.ca_file),
        timeout=5.0,
    )
    on = replace(
        ctx,
        settings=ctx.settings.model_copy(update=given | settings),
        google=lambda: wallet,
        google_keys=RootKeys(session, sandbox.keys_url).at,
    )
    made.append(GoogleShop(open_shop(on), sandbox, session, [], sandbox.state.changes(0, 0)[0]))
    yield made[0]
    wallet.close()
    session.close()
