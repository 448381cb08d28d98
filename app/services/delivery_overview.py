"""What the office shows of delivery: cards in wallets, what is on its way there, and what did not arrive."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.delivery import AppleRegistration, Channel, GoogleObject, InstallEvent, OutboxRow, OutboxState, Wallet
from app.db.people import Member, MemberCard, MemberStatus
from app.services import dead_rows, google_cards
from app.services.context import Actor, Context
from app.services.dead_rows import DeadRow
from app.services.delivery_reasons import in_words

# SMS have a page of their own.
WALLETS = tuple(channel for channel in Channel if channel is not Channel.SMS)
SHOWN = 50  # rows of one list; with more, one cause is behind most of them
# A worker takes what is due within a second: by then there is none, or more to tell than it manages.
LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Installed:
    """Cards that are in wallets now. `phones` hold the cards in Apple Wallet; `failed` counts what did not arrive."""

    apple: int
    phones: int
    google: int
    google_on: bool
    failed: int


@dataclass(frozen=True, slots=True)
class Moves:
    """How often cards were added to and removed from a wallet in a time."""

    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """A wallet's moves: in 7 days, in 30 days, and since the beginning."""

    wallet: Wallet
    week: Moves = Moves()
    month: Moves = Moves()
    ever: Moves = Moves()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a channel has still to tell, and since when the oldest waits. `late`: nobody took it when it was due."""

    channel: Channel
    rows: int
    oldest: datetime
    late: bool


@dataclass(frozen=True, slots=True)
class Person:
    """The member whose card it is."""

    member_id: UUID
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A row that could not be told, for good or until `next_at`.

    `person` is None when it is about all cards of the programme. `words` are English, to be translated; `error` is what
    the other side said.
    """

    row_id: int
    channel: Channel
    person: Person | None
    words: str
    error: str
    attempts: int
    since: datetime
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything on the page. `dead` and `retried` are the newest, and the next, SHOWN of their lists."""

    installed: Installed
    members: int
    without_wallet: int
    histories: list[History]
    waiting: list[Waiting]
    dead: list[Trouble]
    retried: list[Trouble]
    retried_rows: int

    @property
    def moved(self) -> bool:
        """Whether any card was ever added or removed."""
        return any(history.ever != Moves() for history in self.histories)


def installed(ctx: Context, actor: Actor) -> Installed:
    """Cards in wallets now, and how many updates did not arrive."""
    own = Member.program_id == actor.program_id
    apple = (
        select(func.count(AppleRegistration.card_id.distinct()), func.count(AppleRegistration.device_id.distinct()))
        .join(MemberCard, MemberCard.id == AppleRegistration.card_id)
        .join(Member, Member.id == MemberCard.member_id)
        .where(own)
    )
    google = (
        select(func.count())
        .select_from(GoogleObject)
        .join(MemberCard, MemberCard.id == GoogleObject.card_id)
        .join(Member, Member.id == MemberCard.member_id)
        .where(own, GoogleObject.installs > 0)
    )
    dead = select(func.count()).where(
        OutboxRow.program_id == actor.program_id,
        OutboxRow.state == OutboxState.DEAD,
        OutboxRow.channel.in_(WALLETS),
    )
    with ctx.sessions() as session:
        cards, phones = session.execute(apple).one()
        return Installed(
            apple=cards,
            phones=phones,
            google=session.scalar(google) or 0,
            google_on=google_cards.is_on(ctx),
            failed=session.scalar(dead) or 0,
        )


def delivery(ctx: Context, actor: Actor) -> Delivery:
    """How delivery stands for the actor's programme."""
    program_id = actor.program_id
    dead = dead_rows.newest(ctx, program_id, SHOWN, WALLETS)
    in_wallets = installed(ctx, actor)
    again = _tried_again(program_id)
    with ctx.sessions() as session:
        tried = session.scalars(again.order_by(OutboxRow.due_at, OutboxRow.id).limit(SHOWN)).all()
        people = _people(session, program_id, [*(row.subject_id for row in dead), *(row.subject_id for row in tried)])
        members, without_wallet = _members(session, program_id)
        return Delivery(
            installed=in_wallets,
            members=members,
            without_wallet=without_wallet,
            histories=_histories(session, program_id),
            waiting=_waiting(session, program_id),
            dead=[_trouble(row, people.get(row.subject_id), row.since) for row in dead],
            retried=[_trouble(row, people.get(row.subject_id), row.created_at, row.due_at) for row in tried],
            retried_rows=session.scalar(select(func.count()).select_from(again.subquery())) or 0,
        )


def revive_all(ctx: Context, program_id: UUID, channels: Collection[Channel] = WALLETS) -> None:
    """Try every dead row of the programme on these channels again. The relay finds them within a second.

    When a certificate ran out, each card has one, so this takes a few statements and not one a row. What waits for
    the same subject already is newer: it stays as it is, and is due now.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        dead = session.execute(
            delete(OutboxRow)
            .where(
                OutboxRow.program_id == program_id,
                OutboxRow.state == OutboxState.DEAD,
                OutboxRow.channel.in_(channels),
            )
            .returning(OutboxRow.id, OutboxRow.channel, OutboxRow.subject_id, OutboxRow.notify, OutboxRow.payload)
        ).all()
        again: dict[tuple[Channel, UUID], dict[str, object]] = {}
        # Rows are written in one order, so that this and a refresh under way do not wait for each other.
        for row in sorted(dead, key=lambda row: (row.channel, row.subject_id, row.id)):
            older = again.get((row.channel, row.subject_id), {})
            again[row.channel, row.subject_id] = {
                "channel": row.channel,
                "program_id": program_id,
                "subject_id": row.subject_id,
                "state": OutboxState.WAITING,
                "notify": row.notify or older.get("notify", False),
                "payload": row.payload,
                "due_at": now,
                "attempts": 0,
                "error": "",
                "created_at": now,
            }
        if again:
            made = insert(OutboxRow)
            newer = {
                "due_at": func.least(OutboxRow.due_at, made.excluded.due_at),
                "notify": or_(OutboxRow.notify, made.excluded.notify),
            }
            session.execute(
                made.on_conflict_do_update(
                    index_elements=["channel", "subject_id"], index_where=text("state = 'waiting'"), set_=newer
                ),
                list(again.values()),
            )


def _members(session: Session, program_id: UUID) -> tuple[int, int]:
    """Active members, and those of them whose card is in no wallet."""
    on_phone = select(AppleRegistration.card_id).where(AppleRegistration.card_id == MemberCard.id).exists()
    saved = select(GoogleObject.card_id).where(GoogleObject.card_id == MemberCard.id, GoogleObject.installs > 0)
    active, without = session.execute(
        select(func.count(), func.count().filter(~on_phone, ~saved.exists()))
        .select_from(Member)
        .join(MemberCard, MemberCard.member_id == Member.id)
        .where(Member.program_id == program_id, Member.status == MemberStatus.ACTIVE)
    ).one()
    return active, without


def _histories(session: Session, program_id: UUID) -> list[History]:
    now = clock.now()
    event = InstallEvent
    counts = [
        func.count().filter(event.added.is_(added), event.at > since)
        for since in (now - timedelta(days=7), now - timedelta(days=30), datetime.min.replace(tzinfo=now.tzinfo))
        for added in (True, False)
    ]
    rows = session.execute(select(event.wallet, *counts).where(event.program_id == program_id).group_by(event.wallet))
    found = {
        wallet: History(wallet, Moves(*numbers[:2]), Moves(*numbers[2:4]), Moves(*numbers[4:]))
        for wallet, *numbers in rows
    }
    return [found.get(wallet, History(wallet)) for wallet in Wallet]


def _waiting(session: Session, program_id: UUID) -> list[Waiting]:
    rows = session.execute(
        select(OutboxRow.channel, func.count(), func.min(OutboxRow.created_at), func.min(OutboxRow.due_at))
        .where(OutboxRow.program_id == program_id, OutboxRow.state != OutboxState.DEAD, OutboxRow.channel.in_(WALLETS))
        .group_by(OutboxRow.channel)
        .order_by(OutboxRow.channel)
    )
    late = clock.now() - LATE
    return [Waiting(channel, count, oldest, due < late) for channel, count, oldest, due in rows]


def _tried_again(program_id: UUID) -> Select[OutboxRow]:
    """Rows that were tried in vain and have their next try before them."""
    return select(OutboxRow).where(
        OutboxRow.program_id == program_id,
        OutboxRow.state == OutboxState.WAITING,
        OutboxRow.attempts > 0,
        OutboxRow.channel.in_(WALLETS),
    )


def _people(session: Session, program_id: UUID, card_ids: Collection[UUID]) -> dict[UUID, Person]:
    rows = session.execute(
        select(MemberCard.id, Member.id, Member.name, Member.phone)
        .join(Member, Member.id == MemberCard.member_id)
        .where(MemberCard.id.in_(card_ids), Member.program_id == program_id)
    )
    return {card_id: Person(member_id, name, phone) for card_id, member_id, name, phone in rows}


def _trouble(
    row: OutboxRow | DeadRow, person: Person | None, since: datetime, next_at: datetime | None = None
) -> Trouble:
    words = in_words(row.channel, row.error)
    return Trouble(row.id, row.channel, person, words, row.error, row.attempts, since, next_at)
