"""A shop whose cards are on phones, a worker in this process, and Apple's push service beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from app.db.delivery import AppleDevice, Channel, OutboxRow, OutboxState
from app.jobs import apple, drain, refresh
from app.jobs.station import Station
from app.services import apple_devices, till
from app.services.context import Context
from app.services.views import MemberView
from app.wiring import PushClients
from certs.identity import SigningIdentity
from sandbox.apns import ApnsSandbox
from tests.factories import Shop

PASS_TYPE = "pass.fi.leima.test"


@dataclass
class AppleShop:
    """The shop, its worker, and the push service."""

    shop: Shop
    ctx: Context
    apns: ApnsSandbox
    clients: PushClients

    def phone(self, member: MemberView, device: str = "") -> str:
        """A phone with this member's card, told of what there is to tell. Returns its push token."""
        token = self.apns.rules.issue(PASS_TYPE)
        self.register(member, token, device or f"device-{token[:8]}")
        self.deliver()
        return token

    def register(self, member: MemberView, token: str, device: str) -> None:
        secret = self.ctx.derived_token("apple-pass", member.card_id)
        card = apple_devices.authenticated(self.ctx, PASS_TYPE, str(member.card_id), secret)
        assert card is not None
        apple_devices.register(self.ctx, card, device, token)

    def stamp(self, member: MemberView, count: int = 1) -> None:
        till.give_stamps(self.ctx, self.shop.cashier, member.card_code, count=count)

    @property
    def station(self) -> Station:
        deliver = {
            Channel.APPLE: partial(apple.push_phones, self.ctx, self.clients),
            Channel.REFRESH: partial(refresh.renew_cards, self.ctx),
        }
        return Station(self.ctx, deliver)

    def deliver(self, channel: Channel = Channel.APPLE) -> None:
        """What the worker does when the bell rings."""
        drain.empty(self.station, channel)

    def pushes(self, token: str) -> list[int]:
        """The priorities of the pushes that this phone got."""
        return [push.priority for push in self.apns.rules.pushes() if push.token == token]

    def rows(self, channel: Channel = Channel.APPLE) -> list[OutboxRow]:
        with self.ctx.sessions() as session:
            return list(session.scalars(select(OutboxRow).where(OutboxRow.channel == channel).order_by(OutboxRow.id)))

    def states(self, channel: Channel = Channel.APPLE) -> list[tuple[UUID, OutboxState]]:
        return [(row.subject_id, row.state) for row in self.rows(channel)]

    def tokens(self) -> list[str]:
        """The tokens of the phones that we know."""
        with self.ctx.sessions() as session:
            return list(session.scalars(select(AppleDevice.push_token).order_by(AppleDevice.id)))


@contextmanager
def open_apple_shop(shop: Shop, identity: SigningIdentity, folder: Path) -> Iterator[AppleShop]:
    """The shop with the push service that trusts this certificate."""
    assert identity.root is not None
    with ApnsSandbox([identity.root.public_bytes(Encoding.PEM)]) as apns:
        ca_file = folder / "ca.pem"
        ca_file.write_text(apns.ca_pem)
        address = f"{apns.address[0]}:{apns.address[1]}"
        settings = shop.ctx.settings.model_copy(update={"apns_address": address, "ca_file": ca_file})
        ctx = replace(shop.ctx, settings=settings)
        clients = PushClients(ctx)
        yield AppleShop(shop, ctx, apns, clients)
        clients.close()
