"""A programme's stamp cards in the office: what they are, adding, changing, stopping and removing them."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.ledger import LedgerEntry
from app.db.programs import Program
from app.db.rewards import RewardType
from app.db.stamps import MemberStamps, StampCard
from app.i18n import N_, major_units
from app.services import refresh, stamp_rules
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader, plain_line
from app.services.programs import ProgramView
from app.services.recent import Recent
from app.services.stamp_rules import CardRules

MOST_CARDS = 5  # further ones; a phone shows the stamps of three
MOST_PRODUCTS = 50
_LONGEST_PRODUCT = 60

# Saving cards, or a kind of reward, makes another version of the programme.
_in_use: Recent[tuple["StampCardView", ...]] = Recent(256)


@dataclass(frozen=True, slots=True)
class StampCardView:
    """A stamp card with its rules. `members` have stamps on it now; one that was used can be stopped, not removed."""

    card: CardRules
    products: tuple[str, ...]
    active: bool = True
    members: int = 0
    used: bool = True
    reward_type: str = ""


def all_of(ctx: Context, program_id: UUID) -> list[StampCardView]:
    """The first card, then the further ones in their order, those that were stopped last."""
    with ctx.sessions() as session:
        program = session.get_one(Program, program_id)
        held = (
            select(func.count())
            .where(MemberStamps.stamp_card_id == StampCard.id, MemberStamps.stamps > 0)
            .scalar_subquery()
        )
        rows = session.execute(
            select(StampCard, held, _USED, RewardType.name)
            .outerjoin(RewardType, RewardType.id == StampCard.reward_type_id)
            .where(StampCard.program_id == program_id)
            .order_by(StampCard.active.desc(), StampCard.position)
        )
        first = StampCardView(stamp_rules.first_card(program), tuple(program.stamp_products))
        return [first] + [
            StampCardView(
                stamp_rules.card_rules(program, row), tuple(row.stamp_products), row.active, members, used, name or ""
            )
            for row, members, used, name in rows
        ]


def in_use(ctx: Context, program: ProgramView) -> tuple[StampCardView, ...]:
    """The cards that a customer can collect stamps on, the first one first. `members` is not counted."""

    def read() -> tuple[StampCardView, ...]:
        with ctx.sessions() as session:
            row = session.get_one(Program, program.id)
            further = session.execute(
                select(StampCard, RewardType.name)
                .outerjoin(RewardType, RewardType.id == StampCard.reward_type_id)
                .where(StampCard.program_id == program.id, StampCard.active)
                .order_by(StampCard.position)
            )
            return (
                StampCardView(stamp_rules.first_card(row), tuple(row.stamp_products)),
                *(
                    StampCardView(
                        stamp_rules.card_rules(row, card), tuple(card.stamp_products), reward_type=reward or ""
                    )
                    for card, reward in further
                ),
            )

    return _in_use.get((program.id, program.version), read)


_USED = select(LedgerEntry.id).where(LedgerEntry.stamp_card_id == StampCard.id).exists()


def as_typed(ctx: Context, actor: Actor, card_id: UUID | None) -> dict[str, str]:
    """A card as the fields of its form; None is the first one. Raises Refused: stamp-card-not-found."""
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        row = _own(session, actor, card_id) if card_id else program
        rules = stamp_rules.rules_of(program, row)
        typed = {
            "name": row.name if isinstance(row, StampCard) else row.stamp_card_name,
            "stamps_needed": str(rules.needed),
            "smallest_purchase": _typed_amount(rules.smallest_purchase_minor, program.currency),
            "per_amount": _typed_amount(rules.per_minor or 0, program.currency),
            "products": "\n".join(row.stamp_products),
            "stamp_valid_days": str(rules.valid_days or ""),
            "join_stamps": str(rules.join_stamps),
            "birthday_stamps": str(rules.birthday_stamps),
            "reward_name": row.reward_name,
            "reward_valid_days": str(rules.reward_valid_days or ""),
        }
        if isinstance(row, StampCard):
            typed |= {"reward_type_id": str(row.reward_type_id or ""), "active": "on" if row.active else ""}
        return typed


def reward_types(ctx: Context, program_id: UUID) -> list[tuple[UUID, str]]:
    """What a full card may give beside a thing by its plain name: the kinds of rewards that the programme gives."""
    with ctx.sessions() as session:
        query = select(RewardType.id, RewardType.name).where(RewardType.program_id == program_id, RewardType.active)
        return [(type_id, name) for type_id, name in session.execute(query.order_by(func.lower(RewardType.name)))]


def save(ctx: Context, actor: Actor, form: Mapping[str, str], card_id: UUID | None = None) -> UUID:
    """Add a further card, or change one; all cards in wallets are made again. Amounts are typed in major units,
    `products` one a line. Raises InvalidForm, Refused: stamp-card-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, card_id) if card_id else None
        reader = FormReader(form)
        values = _read(session, program, reader)
        mine = session.scalars(select(StampCard).where(StampCard.program_id == program.id)).all()
        if any(other.name == values["name"] and other is not row for other in mine):
            reader.wrong("name", "name-taken", N_("Another stamp card has this name."))
        if row is None and len(mine) >= MOST_CARDS:
            message = N_("There can be %(most)s more stamp cards. Remove one first, or change one that was stopped.")
            reader.wrong("form", "too-many-stamp-cards", message, {"most": MOST_CARDS})
        if reader.errors:
            raise InvalidForm(reader.errors)
        if row is None:
            place = max((other.position for other in mine), default=0) + 1
            row = StampCard(id=uuid7(), program_id=program.id, position=place, created_at=clock.now())
            session.add(row)
        for name, value in values.items():
            setattr(row, name, value)
        row.active = form.get("active", "on") == "on"
        _changed(session, program)
        record(session, actor, "stamp-card.saved", row.id)
        return row.id


def save_first(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Change what of the first card is not set with the programme itself: its name, what earns, birthdays. Raises
    InvalidForm."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        reader = FormReader(form)
        values = _earning(reader, program, program.stamps_needed)
        values["stamp_card_name"] = reader.line("name", 40, optional=True)
        if reader.errors:
            raise InvalidForm(reader.errors)
        for name, value in values.items():
            setattr(program, name, value)
        _changed(session, program)
        record(session, actor, "stamp-card.saved", program.id)


def remove(ctx: Context, actor: Actor, card_id: UUID) -> None:
    """Remove a card that nobody ever got a stamp on. Raises Refused: stamp-card-not-found, stamp-card-used."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, card_id)
        if session.scalar(select(StampCard.id).where(StampCard.id == card_id, _USED)):
            message = N_("Stamps have been given on this card. Stop it instead: what members have is kept.")
            raise Refused("stamp-card-used", message, status=409)
        session.delete(row)
        _changed(session, program)
        record(session, actor, "stamp-card.removed", card_id)


def _read(session: Session, program: Program, reader: FormReader) -> dict[str, object]:
    needed = reader.number("stamps_needed", 1, 30)
    types = {
        str(type_id) for type_id in session.scalars(select(RewardType.id).where(RewardType.program_id == program.id))
    }
    chosen = reader.choice("reward_type_id", types | {""})
    joining = reader.number("join_stamps", 0, 29, optional=True) or 0
    if needed is not None and joining >= needed:
        message = N_("Joining must not fill the card by itself: give fewer stamps than a full card needs.")
        reader.wrong("join_stamps", "join-stamps-fill-card", message)
    return {
        "name": reader.line("name", 40),
        "stamps_needed": needed,
        "smallest_purchase_minor": reader.amount("smallest_purchase", program.currency),
        "stamp_valid_days": reader.number("stamp_valid_days", 1, 3650, optional=True),
        "join_stamps": joining,
        "reward_name": reader.line("reward_name", 60),
        "reward_valid_days": reader.number("reward_valid_days", 1, 3650, optional=True),
        "reward_type_id": UUID(chosen) if chosen else None,
        **_earning(reader, program, needed),
    }


def _earning(reader: FormReader, program: Program, needed: int | None) -> dict[str, object]:
    birthday = reader.number("birthday_stamps", 0, 29, optional=True) or 0
    if needed is not None and birthday >= needed:
        message = N_("A birthday must not fill the card by itself: give fewer stamps than a full card needs.")
        reader.wrong("birthday_stamps", "birthday-stamps-fill-card", message)
    return {
        "stamp_per_minor": reader.amount("per_amount", program.currency) or None,
        "stamp_products": _products(reader),
        "birthday_stamps": birthday,
    }


def _products(reader: FormReader) -> list[str]:
    typed = [plain_line(line, len(line)) for line in reader.form.get("products", "").splitlines()]
    products = list(dict.fromkeys(line for line in typed if line))
    if len(products) > MOST_PRODUCTS or any(len(product) > _LONGEST_PRODUCT for product in products):
        message = N_("Enter up to %(most)s products, one a line, each of %(longest)s characters at most.")
        params = {"most": MOST_PRODUCTS, "longest": _LONGEST_PRODUCT}
        reader.wrong("products", "invalid-products", message, params)
    return products


def _changed(session: Session, program: Program) -> None:
    program.version += 1
    session.flush()
    refresh.announce(session, program.id)


def _own(session: Session, actor: Actor, card_id: UUID) -> StampCard:
    row = session.get(StampCard, card_id)
    if row is None or row.program_id != actor.program_id:
        raise Refused("stamp-card-not-found", N_("There is no such stamp card."), status=404)
    return row


def _typed_amount(minor: int, currency: str) -> str:
    return str(major_units(minor, currency)) if minor else ""
