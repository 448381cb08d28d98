"""Prices that groups have: set in the office, asked for by tills."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from uuid_utils.compat import uuid7

from app.db.people import Member
from app.db.programs import Program
from app.db.tiers import GroupPrice
from app.i18n import N_, Translator
from app.loyalty.group_prices import EVERYTHING, Price, best
from app.services import member_groups, refresh
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.group_views import groups_of
from app.services.members import fetch
from app.services.tier_views import GroupView, PriceView
from sms.digits import ascii_digits

MOST_PRICES = 200
LONGEST_PRODUCT = 60
_WHOLE_BP = 10_000
_EVERYTHING = N_("Everything")
_PRICE = N_("%(product)s: %(price)s")
_OFF = N_("%(product)s: %(share)s%% off")


@dataclass(frozen=True, slots=True)
class Asked:
    """A product as the till calls it, and its list price in minor units."""

    product: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What the member pays for it, and the name of the group by which; '' when it is the list price."""

    product: str
    amount_minor: int
    price_minor: int
    group: str


def prices(ctx: Context, actor: Actor, member_id: UUID, asked: Sequence[Asked]) -> list[Answered]:
    """What a member pays for these products, in their order. Raises Refused: member-not-found."""
    with ctx.sessions() as session:
        member = fetch(session, actor, Member.id == member_id)
        groups = groups_of(session, [member.id]).get(member.id, ())
    known = [
        Price(group.id, price.product, price.price_minor, price.off_bp) for group in groups for price in group.prices
    ]
    names = {group.id: group.name for group in groups}
    answers = []
    for one in asked:
        paid, by = best(known, one.product, one.amount_minor)
        answers.append(Answered(one.product, one.amount_minor, paid, names[by.group_id] if by else ""))
    return answers


def add(ctx: Context, actor: Actor, group_id: UUID, form: Mapping[str, str]) -> None:
    """Set a group's price of `product` (empty: everything): `kind` price or off, `price` in major units, `off` in
    percent. One that is there is replaced. Raises InvalidForm, Refused: group-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        group = member_groups.own(session, actor, group_id)
        reader = FormReader(form)
        product = reader.line("product", LONGEST_PRODUCT, optional=True)
        kind = reader.choice("kind", ("off", "price"), "off")
        price_minor, off_bp = None, None
        if kind == "price":
            price_minor = reader.amount("price", program.currency)
            if product == EVERYTHING:
                reader.wrong("product", "required", N_("Say which product has this price."))
            if not form.get("price", "").strip():
                reader.wrong("price", "required", N_("Please fill this in."))
        else:
            off_bp = _share(reader)
        own = select(GroupPrice).where(GroupPrice.group_id == group_id)
        row = session.scalars(own.where(GroupPrice.product == product)).one_or_none()
        if row is None and len(session.scalars(own.limit(MOST_PRICES)).all()) == MOST_PRICES:
            reader.wrong("product", "too-many", N_("A group has %(most)s prices at most."), {"most": MOST_PRICES})
        if reader.errors:
            raise InvalidForm(reader.errors)
        if row is None:
            row = GroupPrice(id=uuid7(), group_id=group_id, product=product)
            session.add(row)
        row.price_minor, row.off_bp = price_minor, off_bp
        if group.on_card:
            refresh.announce(session, program.id)
        record(session, actor, "group.price-set", group_id)


def _share(reader: FormReader) -> int | None:
    """Hundredths of a percent, from 0.01 to 100 percent."""
    text = ascii_digits(reader.form.get("off", "")).strip().replace(",", ".").replace("٫", ".").rstrip("%٪ ")
    whole, _, rest = text.partition(".")
    if re.fullmatch("[0-9]+", whole + rest) and len(whole) <= 3 and len(rest) <= 2:
        share = int(Decimal(f"{whole or 0}.{rest or 0}").scaleb(2))
        if 0 < share <= _WHOLE_BP:
            return share
    reader.wrong("off", "invalid-share", N_("Enter a number of percent, from 0.01 to 100."))
    return None


def remove(ctx: Context, actor: Actor, group_id: UUID, price_id: UUID) -> None:
    """Raises Refused: group-not-found, price-not-found."""
    with ctx.sessions.begin() as session:
        group = member_groups.own(session, actor, group_id)
        row = session.get(GroupPrice, price_id)
        if row is None or row.group_id != group_id:
            raise Refused("price-not-found", N_("There is no such price."), status=404)
        session.delete(row)
        if group.on_card:
            refresh.announce(session, actor.program_id)
        record(session, actor, "group.price-removed", group_id)


def in_words(text: Translator, currency: str, price: PriceView) -> str:
    """A price as a line for people."""
    product = price.product or text.gettext(_EVERYTHING)
    if price.price_minor is not None:
        return text.gettext(_PRICE, product=product, price=text.money(price.price_minor, currency))
    share = Decimal(price.off_bp or 0).scaleb(-2).normalize()
    return text.gettext(_OFF, product=product, share=share)


def lines(text: Translator, currency: str, group: GroupView) -> list[str]:
    """What being in a group gives: its details, and its prices."""
    found = [group.details] if group.details else []
    return found + [in_words(text, currency, price) for price in group.prices]
