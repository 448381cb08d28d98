"""Coupon codes for a company's staff or a club, who are no members: made in one go, and shown once.

Only hashes are kept, so nobody can read the codes again. Whoever lost them takes them back and makes new ones.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.credit import CodeGroup, Credit, CreditSource, CreditStatus
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.credit import day_of, validity
from app.services import credit_codes, credit_rights
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.credit_rows import grant_entry, insert_rows
from app.services.credits import Gift, read_gift
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.saved_answers import Answer, fingerprint, once

MOST_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Made:
    """Codes that were made now. `codes` is empty when this repeats an earlier request: they were shown then.

    `seal` proves to `sheet` that codes sent back are these.
    """

    group_id: UUID
    count: int
    codes: tuple[str, ...]
    seal: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands on coupons: the same amount and time for all, and a code for each."""

    name: str
    amount_minor: int
    valid_from: datetime
    expires_at: datetime
    codes: tuple[str, ...]


def make(
    ctx: Context, actor: Actor, form: Mapping[str, str], *, key: str, draw_one: credit_codes.Draw | None = None
) -> Made:
    """A new group with its first codes: `name`, `amount` in major units, `first_day` (empty: today), `last_day`,
    `count` (1 to MOST_AT_ONCE).

    Raises InvalidForm, Refused: not-allowed, code-space-full, idempotency-key-reused.
    """
    credit_rights.require_giving(actor)
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        name, count, gift = _read(form, program, now)
        request = {"name": name, "count": count, "gift": gift}
        valid_from, expires_at = validity(gift.first_day, gift.last_day, program.time_zone)

        def group() -> CodeGroup:
            row = CodeGroup(
                id=uuid7(),
                program_id=program.id,
                name=name,
                amount_minor=gift.amount_minor,
                valid_from=valid_from,
                expires_at=expires_at,
                staff_id=actor.staff_id,
                created_at=now,
            )
            session.add(row)
            session.flush()
            return row

        making = _Making(ctx, session, actor, count, now, draw_one)
        answer, _ = once(session, actor, key, fingerprint("code-group.make", request), lambda: making.fill(group()))
    return making.made(answer)


def more(
    ctx: Context,
    actor: Actor,
    group_id: UUID,
    form: Mapping[str, str],
    *,
    key: str,
    draw_one: credit_codes.Draw | None = None,
) -> Made:
    """As many as `count` more codes of a group, for the same amount and the same days.

    Raises as `make` does, and Refused: code-group-not-found, code-group-over.
    """
    credit_rights.require_giving(actor)
    now = clock.now()
    reader = FormReader(form)
    count = _count(reader)
    if reader.errors:
        raise InvalidForm(reader.errors)
    with ctx.sessions.begin() as session:
        making = _Making(ctx, session, actor, count, now, draw_one)

        def act() -> Answer:
            group = own(session, actor, group_id, lock=True)
            if group.expires_at <= now:
                raise Refused(
                    "code-group-over", N_("The last day of this group is over. Make a new group."), status=409
                )
            return making.fill(group)

        asked = fingerprint("code-group.more", {"group_id": group_id, "count": count})
        answer, _ = once(session, actor, key, asked, act)
    return making.made(answer)


def sheet(ctx: Context, actor: Actor, group_id: UUID, codes_text: str, seal: str) -> Sheet:
    """The coupons of codes that were shown, which the page sends back, because they are kept nowhere.

    The seal comes first: else this would be a place to guess codes at. It also shows that they may be seen. Raises
    Refused: code-group-not-found, not-these-codes.
    """
    codes = tuple(codes_text.split())
    with ctx.sessions() as session:
        group = own(session, actor, group_id)
        sealed = hmac.compare_digest(_seal(ctx, group.id, codes).encode(), seal.encode())
        if not sealed or not credit_codes.are_of_group(ctx, session, group.id, group.program_id, codes):
            raise Refused(
                "not-these-codes",
                N_("These are not this group's codes, or they were taken back. Make new ones."),
                status=409,
            )
        return Sheet(group.name, group.amount_minor, group.valid_from, group.expires_at, codes)


def own(session: Session, actor: Actor, group_id: UUID, *, lock: bool = False) -> CodeGroup:
    """The programme's group. Raises Refused: code-group-not-found."""
    group = session.get(CodeGroup, group_id, with_for_update=lock)
    if group is None or group.program_id != actor.program_id:
        raise Refused("code-group-not-found", N_("There is no such group of codes."), status=404)
    return group


@dataclass(slots=True)
class _Making:
    """One making of codes. The codes are here and in what is returned, not in the answer that is saved."""

    ctx: Context
    session: Session
    actor: Actor
    count: int
    at: datetime
    draw_one: credit_codes.Draw | None
    codes: Sequence[str] = ()

    def fill(self, group: CodeGroup) -> Answer:
        credits = [_credit(group, self.actor, self.at) for _ in range(self.count)]
        self.codes = credit_codes.issue_many(self.ctx, self.session, credits, self.draw_one)
        insert_rows(self.session, credits)
        insert_rows(self.session, [grant_entry(credit) for credit in credits])
        record(self.session, self.actor, "code-group.made", group.id, codes=self.count)
        return {"group_id": str(group.id), "count": self.count}

    def made(self, answer: Answer) -> Made:
        group_id, codes = UUID(answer["group_id"]), tuple(self.codes)
        return Made(group_id, answer["count"], codes, _seal(self.ctx, group_id, codes) if codes else "")


def _credit(group: CodeGroup, actor: Actor, at: datetime) -> Credit:
    return Credit(
        id=uuid7(),
        program_id=group.program_id,
        group_id=group.id,
        source=CreditSource.GROUP,
        status=CreditStatus.OPEN,
        amount_minor=group.amount_minor,
        balance_minor=group.amount_minor,
        valid_from=group.valid_from,
        expires_at=group.expires_at,
        granted_at=at,
        staff_id=actor.staff_id,
        api_key_id=actor.api_key_id,
    )


def _read(form: Mapping[str, str], program: Program, at: datetime) -> tuple[str, int, Gift]:
    reader = FormReader(form)
    name, count = reader.line("name", 60), _count(reader)
    try:
        gift = read_gift(form, program.currency, day_of(at, program.time_zone))
    except InvalidForm as invalid:
        raise InvalidForm(reader.errors | invalid.errors) from None
    if reader.errors:
        raise InvalidForm(reader.errors)
    return name, count, gift


def _count(reader: FormReader) -> int:
    return reader.number("count", 1, MOST_AT_ONCE) or 0


def _seal(ctx: Context, group_id: UUID, codes: Sequence[str]) -> str:
    return ctx.keyed_hash("coupon-sheet", f"{group_id}:{' '.join(codes)}")
