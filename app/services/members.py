"""Members: joining, being found, leaving, being blocked."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Consent, Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.i18n import LANGUAGES, N_
from app.loyalty import card_codes
from app.loyalty.ledger import Kind
from app.services import guard, purchase_book, sms_rules
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import plain_line
from app.services.ledger_book import announce, earn_stamps, occasion, settle
from app.services.member_views import view
from app.services.views import MemberView
from sms.phones import PhoneError, normalise

PURPOSES = ("terms", "sms_marketing", "email_marketing")
_CHANNEL = re.compile(r"[^a-z0-9-]+")
EMAIL = re.compile(r"[^@\s\0]+@[^@\s\0]+\.[^@\s.\0]+")  # NUL is what PostgreSQL cannot keep


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a newcomer told us, as typed. `consents` maps a purpose to the wording that was shown and agreed to."""

    phone: str
    name: str = ""
    email: str = ""
    birth_date: date | None = None
    city: str = ""
    language: str = ""
    via: str = ""
    consents: Mapping[str, str] = field(default_factory=dict)


def join(ctx: Context, actor: Actor, request: JoinRequest, *, source: str) -> tuple[MemberView, bool]:
    """Make someone a member; return the member, and whether they are new.

    A known phone number is the same member: nothing of theirs is overwritten. Someone who left is back, with what
    they had. Raises InvalidForm for what was typed wrong, Refused for a blocked member.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        member, new = join_within(ctx, session, program, actor, request, source=source)
        return view(session, program, member), new


def join_within(
    ctx: Context, session: Session, program: Program, actor: Actor, request: JoinRequest, *, source: str
) -> tuple[Member, bool]:
    """`join` within the caller's transaction."""
    now = clock.now()
    values = _checked(request, program)
    purchase_book.lock_phone(session, program.id, str(values["phone"]))
    member, new = _insert_or_lock(ctx, session, program, values)
    if new:
        sms_rules.require_country(session, program, member.phone)
        guard.watch(ctx, session, actor, guard.JOIN)
    if member.status is MemberStatus.BLOCKED:
        raise Refused("member-blocked", N_("This number cannot join by itself. Please ask the staff."), status=403)
    returning = member.status is MemberStatus.LEFT
    if returning:
        member.status, member.left_at = MemberStatus.ACTIVE, None
    for purpose, wording in request.consents.items():
        session.add(Consent(member_id=member.id, purpose=purpose, granted=True, source=source, wording=wording, at=now))
    settle(session, member, now)
    if new and program.join_stamps:
        earn_stamps(session, program, member, occasion(actor, now), Kind.JOIN, program.join_stamps)
    if new or returning:
        issued = purchase_book.attach(session, program, member, now)
        announce(session, program, member, now, issued)
        record(session, actor, "member.joined" if new else "member.rejoined", member.id)
    return member, new


def faults(request: JoinRequest, country: str) -> dict[str, Refused]:
    """Everything that is wrong with what a newcomer typed: field → what to do about it. Empty when nothing is."""
    errors: dict[str, Refused] = {}
    try:
        normalise(request.phone, country)
    except PhoneError as error:
        errors["phone"] = Refused("invalid-phone", error.message, error.params, field="phone")
    email = request.email.strip()
    if email and (len(email) > 254 or not EMAIL.fullmatch(email)):
        errors["email"] = Refused(
            "invalid-email", N_("This e-mail address is not complete. Example: name@example.com"), field="email"
        )
    if request.birth_date and not date(1900, 1, 1) <= request.birth_date <= clock.now().date():
        errors["birth_date"] = Refused(
            "invalid-birth-date", N_("This birthday cannot be right. Please check the year."), field="birth_date"
        )
    for purpose in request.consents:
        if purpose not in PURPOSES:
            errors["consents"] = Refused(
                "invalid-consent", N_("There is no consent called %(name)s."), {"name": purpose}, field="consents"
            )
    return errors


def _checked(request: JoinRequest, program: Program) -> dict[str, object]:
    if errors := faults(request, program.country):
        raise InvalidForm(errors)
    return {
        "phone": normalise(request.phone, program.country),
        "name": plain_line(request.name, 80),
        "email": request.email.strip(),
        "birth_date": request.birth_date,
        "city": plain_line(request.city, 60),
        "language": request.language if request.language in LANGUAGES else program.language,
        "via": channel_tag(request.via),
    }


def channel_tag(text: str) -> str:
    """A join channel's tag: lower-case letters, digits and hyphens, 32 at most; empty when nothing is left."""
    return _CHANNEL.sub("-", text.lower()).strip("-")[:32]


def _insert_or_lock(
    ctx: Context, session: Session, program: Program, values: Mapping[str, object]
) -> tuple[Member, bool]:
    now = clock.now()
    member_id = session.execute(
        insert(Member)
        .values(
            id=uuid7(),
            program_id=program.id,
            status=MemberStatus.ACTIVE,
            joined_at=now,
            stamps=0,
            rewards=0,
            **values,
        )
        .on_conflict_do_nothing(index_elements=["program_id", "phone"])
        .returning(Member.id)
    ).scalar()
    if member_id is not None:
        card_id = uuid7()
        session.add(
            MemberCard(
                id=card_id,
                member_id=member_id,
                code=card_codes.code_from(secrets.token_bytes(10)),
                link_generation=1,
                link_hash=ctx.keyed_hash("card-link", ctx.derived_token("card-link", card_id)),
                version=0,
                changed_at=now.replace(microsecond=0),
            )
        )
        session.flush()
    query = select(Member).where(Member.program_id == program.id, Member.phone == values["phone"])
    return session.scalars(query.with_for_update(of=Member)).unique().one(), member_id is not None


def fetch(session: Session, actor: Actor, condition: ColumnElement[bool], *, lock: bool = False) -> Member:
    """The member of the actor's programme that fits, on request with its row locked.

    Raises Refused when there is none.
    """
    query = select(Member).join(MemberCard).where(Member.program_id == actor.program_id, condition)
    if lock:
        query = query.with_for_update(of=Member).execution_options(populate_existing=True)
    member = session.scalars(query).unique().one_or_none()
    if member is None:
        raise Refused("member-not-found", N_("No member has this card or number."), status=404)
    return member


def by_card_or_phone(program: Program, text: str) -> ColumnElement[bool]:
    """The condition that finds a member by what was scanned or typed. Raises Refused when it is neither."""
    code = card_codes.read(text)
    if code is not None:
        return MemberCard.code == code
    try:
        return Member.phone == normalise(text, program.country)
    except PhoneError:
        raise Refused(
            "unreadable-code",
            N_("This is neither a card code (16 letters and digits) nor a phone number. Please scan or type again."),
            field="code",
        ) from None


def by_phone(program: Program, text: str) -> ColumnElement[bool]:
    """The condition that finds a member by a phone number, also one that looks like a card code. Raises InvalidForm."""
    try:
        return Member.phone == normalise(text, program.country)
    except PhoneError as error:
        raise InvalidForm({"phone": Refused("invalid-phone", error.message, error.params, field="phone")}) from None


def find(ctx: Context, actor: Actor, text: str) -> MemberView:
    """The member whose card or phone number was scanned or typed."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        return _settled_view(session, program, fetch(session, actor, by_card_or_phone(program, text)))


def by_id(ctx: Context, actor: Actor, member_id: UUID) -> MemberView:
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        return _settled_view(session, program, fetch(session, actor, Member.id == member_id))


def by_link(ctx: Context, token: str) -> MemberView:
    """The member whose personal page this token opens. Raises Refused for a token that opens nothing."""
    with ctx.sessions.begin() as session:
        card = session.scalars(
            select(MemberCard).where(MemberCard.link_hash == ctx.keyed_hash("card-link", token))
        ).one_or_none()
        if card is None:
            raise Refused(
                "link-not-found", N_("This card link is not valid. Please ask the shop for a new one."), status=404
            )
        member = session.get_one(Member, card.member_id)
        return _settled_view(session, session.get_one(Program, member.program_id), member)


def _settled_view(session: Session, program: Program, member: Member) -> MemberView:
    """Look without a lock; only a member with something to settle is locked, and looked at again."""
    now = clock.now()
    if member.next_expiry_at is not None and member.next_expiry_at <= now:
        member = fetch(session, Actor(program.id), Member.id == member.id, lock=True)
        if settle(session, member, now):
            announce(session, program, member, now, silent=True)
    return view(session, program, member)


def card_token(ctx: Context, member: MemberView) -> str:
    """The token of the member's personal page."""
    with ctx.sessions() as session:
        generation = session.scalars(select(MemberCard.link_generation).where(MemberCard.id == member.card_id)).one()
    return ctx.derived_token("card-link", member.card_id, generation)


def card_url(ctx: Context, member: MemberView) -> str:
    """The address of the member's personal page."""
    return page_url(ctx, card_token(ctx, member))


def page_url(ctx: Context, token: str) -> str:
    """The address of the personal page that this token opens."""
    return f"{ctx.settings.base_url}/c/{token}"


def set_status(ctx: Context, actor: Actor, member_id: UUID, status: MemberStatus) -> MemberView:
    """Block or unblock a member, or let one leave. Saying it twice is the same as saying it once.

    A blocked member cannot leave: whoever left may join again, and that would end the block.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        member = fetch(session, actor, Member.id == member_id, lock=True)
        if status is MemberStatus.LEFT and member.status is MemberStatus.BLOCKED:
            raise Refused("member-blocked", N_("This card is blocked. A manager can unblock it."), status=403)
        if member.status is not status:
            member.status = status
            member.left_at = now if status is MemberStatus.LEFT else None
            announce(session, program, member, now, silent=True)
            record(session, actor, f"member.{status}", member.id)
        return view(session, program, member)


def leave(ctx: Context, token: str) -> None:
    """The customer leaves, by the link on their own page."""
    member = by_link(ctx, token)
    set_status(ctx, Actor(member.program_id), member.id, MemberStatus.LEFT)


def joins_by_channel(ctx: Context, actor: Actor) -> list[tuple[str, int]]:
    """How many members joined through each channel, most first. '' is no channel."""
    with ctx.sessions() as session:
        count = func.count()
        rows = session.execute(
            select(Member.via, count)
            .where(Member.program_id == actor.program_id)
            .group_by(Member.via)
            .order_by(count.desc(), Member.via)
        )
        return [(via, number) for via, number in rows]
