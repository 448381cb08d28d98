"""Making the people of an old register members, some hundred at once, in as few statements as for one."""

import secrets
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import insert as plain_insert
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Consent, Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.db.purchases import Purchase
from app.db.register import OldCard, RegisterImport, RegisterRow
from app.loyalty import card_codes
from app.loyalty.ledger import Kind, Unit
from app.loyalty.stamps import full_cards, lasts_until
from app.services import purchase_book, register_stamps, tiering
from app.services.card_news import announce, stamps_news
from app.services.context import Context
from app.services.register_people import Person
from app.services.register_stamps import Opening
from app.services.stamp_rules import CardRules

VIA = "import"
_DETAILS = [field.name for field in fields(Person) if field.name not in ("phone", "old_card")]


def details(person: Person) -> dict[str, object]:
    """What a RegisterRow keeps of somebody besides the phone and the card; days as text, nothing that is empty."""
    kept = {name: getattr(person, name) for name in _DETAILS}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in kept.items() if value}


def join_all(ctx: Context, session: Session, job: RegisterImport, batch: Sequence[RegisterRow]) -> tuple[int, int]:
    """Have these join; return how many are new, and how many were members before.

    Known people keep everything as it is, and only get their old card; who left or is blocked not even that.
    """
    now = clock.now()
    program = session.get_one(Program, job.program_id)
    by_phone = {row.phone: row for row in sorted(batch, key=lambda row: row.phone)}
    purchase_book.lock_phones(session, program.id, list(by_phone))
    cards = register_stamps.cards_of(session, program, job)
    new = _insert_members(session, program, by_phone, cards, now)
    brought = {member_id: register_stamps.opening(row, cards) for member_id, row in new.items()}
    _insert_cards(ctx, session, program, new, brought, now)
    acts = _insert_stamps(session, program, job, new, now)
    register_stamps.give(session, program, job, brought, acts, now)
    if job.options["wording"]:
        _insert_consents(session, str(job.options["wording"]), new, now)
    if job.options["invite"]:
        _note_whom(session, job, list(new))
    _insert_old_cards(session, program, by_phone, now)
    _attach_purchases(ctx, session, program, new, now)
    tiering.look_soon(session, program, list(new), now)
    return len(new), len(by_phone) - len(new)


def _insert_members(
    session: Session,
    program: Program,
    by_phone: dict[str, RegisterRow],
    cards: Sequence[CardRules],
    now: datetime,
) -> dict[UUID, RegisterRow]:
    """Make members of those who are none; return whom each row made."""
    if not by_phone:
        return {}
    made = session.execute(
        insert(Member)
        .on_conflict_do_nothing(index_elements=["program_id", "phone"])
        .returning(Member.id, Member.phone),
        [_member_values(program, row, cards, now) for row in by_phone.values()],
    )
    return {member_id: by_phone[phone] for member_id, phone in made}


def _member_values(program: Program, row: RegisterRow, cards: Sequence[CardRules], now: datetime) -> dict[str, object]:
    kept: dict[str, Any] = row.details
    stamps: int = kept.get("stamps", 0)
    rewards = full_cards(stamps, program.stamps_needed)
    lapses = [lasts_until(now, program.stamp_valid_days, program.time_zone)] if stamps else []
    lapses += [lasts_until(now, program.reward_valid_days, program.time_zone)] if rewards else []
    lapses += [one.lapses(program, now) for one in register_stamps.opening(row, cards)]
    return {
        "id": uuid7(),
        "program_id": program.id,
        "phone": row.phone,
        "name": kept.get("name", ""),
        "email": kept.get("email", ""),
        "birth_date": _day(kept.get("birth_date")),
        "city": kept.get("city", ""),
        "language": kept.get("language", program.language),
        "via": VIA,
        "status": MemberStatus.ACTIVE,
        "joined_at": _joined_at(program, _day(kept.get("joined_on")), now),
        "stamps": stamps - rewards * program.stamps_needed,
        "rewards": rewards,
        "next_expiry_at": min((moment for moment in lapses if moment is not None), default=None),
    }


def _day(kept: str | None) -> date | None:
    return date.fromisoformat(kept) if kept else None


def _joined_at(program: Program, day: date | None, now: datetime) -> datetime:
    """The beginning of the day that the old register has, in the programme's zone; without one: now."""
    if day is None:
        return now
    return min(now, datetime.combine(day, time.min, tzinfo=ZoneInfo(program.time_zone)).astimezone(UTC))


def _insert_cards(
    ctx: Context,
    session: Session,
    program: Program,
    new: dict[UUID, RegisterRow],
    brought: dict[UUID, list[Opening]],
    now: datetime,
) -> None:
    cards = []
    for member_id, row in new.items():
        card_id = uuid7()
        kept: dict[str, Any] = row.details
        stamps: int = kept.get("stamps", 0)
        reward = program.reward_name if full_cards(stamps, program.stamps_needed) else ""
        further = register_stamps.shown(session, program, brought[member_id])
        cards.append(
            {
                "id": card_id,
                "member_id": member_id,
                "code": card_codes.code_from(secrets.token_bytes(card_codes.RANDOM_BYTES)),
                "link_generation": 1,
                "link_hash": ctx.keyed_hash("card-link", ctx.derived_token("card-link", card_id)),
                "version": 1,
                "changed_at": now.replace(microsecond=0),
                "news": stamps_news(program, kept.get("language", program.language), stamps, reward, further),
            }
        )
    _write(session, MemberCard, cards)


def _insert_stamps(
    session: Session, program: Program, job: RegisterImport, new: dict[UUID, RegisterRow], now: datetime
) -> dict[UUID, UUID]:
    """The opening balance of the first card, as stamps for joining; full cards turn into rewards, as at the till.
    Returns member → the act that was begun."""
    acts: dict[UUID, UUID] = {}
    entries: list[dict[str, object]] = []
    rewards: list[dict[str, object]] = []
    stamps_end = lasts_until(now, program.stamp_valid_days, program.time_zone)
    rewards_end = lasts_until(now, program.reward_valid_days, program.time_zone)
    for member_id, row in new.items():
        kept: dict[str, Any] = row.details
        if not (stamps := kept.get("stamps", 0)):
            continue
        given = [
            _reward(program, member_id, now, rewards_end) for _ in range(full_cards(stamps, program.stamps_needed))
        ]
        rewards += given
        changes = [(Unit.STAMP, Kind.JOIN, stamps, stamps_end, None)]
        for reward in given:
            changes.append((Unit.STAMP, Kind.CONVERT, -program.stamps_needed, None, None))
            changes.append((Unit.REWARD, Kind.CONVERT, 1, rewards_end, reward["id"]))
        ids = [uuid7() for _ in changes]
        acts[member_id] = ids[0]
        entries += [
            {
                "id": entry_id,
                "program_id": program.id,
                "member_id": member_id,
                "operation_id": ids[0],
                "unit": unit,
                "kind": kind,
                "amount": amount,
                "at": now,
                "expires_at": expires_at,
                "reward_id": reward_id,
                "staff_id": job.staff_id,
            }
            for entry_id, (unit, kind, amount, expires_at, reward_id) in zip(ids, changes, strict=True)
        ]
    _write(session, Reward, rewards)
    _write(session, LedgerEntry, entries)
    return acts


def _reward(program: Program, member_id: UUID, now: datetime, expires_at: datetime | None) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "program_id": program.id,
        "member_id": member_id,
        "name": program.reward_name,
        "status": RewardStatus.ISSUED,
        "issued_at": now,
        "expires_at": expires_at,
    }


def _insert_consents(session: Session, wording: str, new: dict[UUID, RegisterRow], now: datetime) -> None:
    _write(
        session,
        Consent,
        [
            {
                "id": uuid7(),
                "member_id": member_id,
                "purpose": "sms_marketing",
                "granted": True,
                "source": VIA,
                "wording": wording,
                "at": now,
            }
            for member_id, row in new.items()
            if row.details.get("consent")
        ],
    )


def _note_whom(session: Session, job: RegisterImport, new: Sequence[UUID]) -> None:
    """Write down whom each row made a member: they are to be invited."""
    session.execute(
        update(RegisterRow)
        .where(RegisterRow.import_id == job.id, RegisterRow.phone == Member.phone, Member.id.in_(new))
        .values(member_id=Member.id)
        .execution_options(synchronize_session=False)
    )


def _insert_old_cards(session: Session, program: Program, by_phone: dict[str, RegisterRow], now: datetime) -> None:
    wanted = [row.phone for row in by_phone.values() if row.old_card]
    if not wanted:
        return
    active = session.execute(
        select(Member.id, Member.phone).where(
            Member.program_id == program.id, Member.phone.in_(wanted), Member.status == MemberStatus.ACTIVE
        )
    )
    cards = [
        {"program_id": program.id, "number": by_phone[phone].old_card, "member_id": member_id, "created_at": now}
        for member_id, phone in active
    ]
    if cards:
        session.execute(insert(OldCard).on_conflict_do_nothing(), cards)


def _attach_purchases(
    ctx: Context, session: Session, program: Program, new: dict[UUID, RegisterRow], now: datetime
) -> None:
    """Few have bought something with their number before: they go one by one, as whoever joins does."""
    waiting = session.scalars(
        select(Purchase.phone)
        .where(Purchase.program_id == program.id, Purchase.phone.in_([row.phone for row in new.values()]))
        .distinct()
    ).all()
    if not waiting:
        return
    query = select(Member).where(Member.program_id == program.id, Member.phone.in_(waiting)).order_by(Member.id)
    for member in session.scalars(query.with_for_update(of=Member, key_share=True)).unique():
        announce(session, program, member, now, purchase_book.attach(ctx, session, program, member, now))


def _write(session: Session, table: type, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(plain_insert(table), rows)
