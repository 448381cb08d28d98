"""Members: joining, being found, leaving, being blocked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app import clock
from app.db.people import Consent, Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.i18n import LANGUAGES, N_
from app.loyalty import card_codes
from app.loyalty.ledger import Kind
from app.services import (
    coupon_wallets,
    guard,
    join_answers,
    join_rules,
    purchase_book,
    referrals,
    sms_rules,
    tiering,
)
from app.services.audit import record
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import plain_line
from app.services.join_rules import DETAILS, JoinForm
from app.services.ledger_book import occasion
from app.services.member_views import view
from app.services.new_members import insert_or_lock
from app.services.settling import settle
from app.services.stamp_earning import give_each
from app.services.views import MemberView
from sms.phones import PhoneError, normalise

PURPOSES = ("terms", "sms_marketing", "email_marketing")
_CHANNEL = re.compile(r"[^a-z0-9-]+")
EMAIL = re.compile(r"[^@\s\0]+@[^@\s\0]+\.[^@\s.\0]+")  # NUL is what PostgreSQL cannot keep


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a newcomer told us, as typed. `consents` maps a purpose to the wording that was shown and agreed to,
    `answers` the id of a question of the programme's own to the answer."""

    phone: str
    name: str = ""
    email: str = ""
    birth_date: date | None = None
    city: str = ""
    language: str = ""
    via: str = ""
    consents: Mapping[str, str] = field(default_factory=dict)
    referral: str = ""  # the code of the member whose link it was
    mark: str = ""  # of the browser: app.services.device_marks
    answers: Mapping[str, str] = field(default_factory=dict)

    @property
    def details(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in DETAILS}


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
    asked = join_rules.of(session, program)
    values = _checked(request, program, asked, needed=source == "web")
    purchase_book.lock_phone(session, program.id, str(values["phone"]))
    member, new = insert_or_lock(ctx, session, program, values)
    if new:
        _keep_answers(session, member, asked, request, source)
        sms_rules.require_country(session, program, member.phone)
        guard.watch(ctx, session, actor, guard.JOIN)
    if member.status is MemberStatus.BLOCKED:
        raise Refused("member-blocked", N_("This number cannot join by itself. Please ask the staff."), status=403)
    returning = member.status is MemberStatus.LEFT
    if returning:
        member.status, member.left_at = MemberStatus.ACTIVE, None
        coupon_wallets.member_changed(session, member.id, now)
    for purpose, wording in request.consents.items():
        session.add(Consent(member_id=member.id, purpose=purpose, granted=True, source=source, wording=wording, at=now))
    settle(session, member, now)
    if new:
        give_each(session, program, member, occasion(actor, now), Kind.JOIN)
    issued = purchase_book.attach(ctx, session, program, member, now) if new or returning else []
    act, by = occasion(actor, now), (request.referral, request.mark)
    issued += referrals.joined(ctx, session, program, member, act, *by, new=new, returned=returning)
    if new or returning:
        tiering.review(session, program, member, now, silent=True)
        announce(session, program, member, now, issued)
        record(session, actor, "member.joined" if new else "member.rejoined", member.id)
    return member, new


def faults(
    request: JoinRequest, country: str, asked: JoinForm | None = None, *, needed: bool = False
) -> dict[str, Refused]:
    """Everything that is wrong with what a newcomer typed: field → what to do about it. Empty when nothing is.

    With `asked`, also with the answers; with `needed`, also what must be told and is not.
    """
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
    if asked is None:
        return errors
    try:
        join_rules.read_answers(asked, request.answers, needed=needed)
    except InvalidForm as invalid:
        errors = invalid.errors | errors
    return (asked.missing(request.details, request.answers) if needed else {}) | errors


def _checked(request: JoinRequest, program: Program, asked: JoinForm, *, needed: bool) -> dict[str, object]:
    """The columns' values. A detail that the programme does not ask for is not kept."""
    if errors := faults(request, program.country, asked, needed=needed):
        raise InvalidForm(errors)
    return {
        "phone": normalise(request.phone, program.country),
        "name": plain_line(request.name, 80) if asked.asks("name") else "",
        "email": request.email.strip() if asked.asks("email") else "",
        "birth_date": request.birth_date if asked.asks("birth_date") else None,
        "city": plain_line(request.city, 60) if asked.asks("city") else "",
        "language": request.language if request.language in LANGUAGES else program.language,
        "via": channel_tag(request.via),
    }


def _keep_answers(session: Session, member: Member, asked: JoinForm, request: JoinRequest, source: str) -> None:
    """A newcomer's answers. At the till and through the API a must is one only if the owner wants it so."""
    strict = source in ("till", "api") and not asked.till_skips
    if strict and (missing := asked.missing(request.details, request.answers)):
        raise InvalidForm(missing)
    join_answers.keep(session, member.id, join_rules.read_answers(asked, request.answers, needed=False))


def channel_tag(text: str) -> str:
    """A join channel's tag: lower-case letters, digits and hyphens, 32 at most; empty when nothing is left."""
    return _CHANNEL.sub("-", text.lower()).strip("-")[:32]


def fetch(
    session: Session, actor: Actor, condition: ColumnElement[bool], *, lock: bool = False, erased: bool = False
) -> Member:
    """The member of the actor's programme that fits, on request with its row locked.

    Who was erased is found with `erased` only. Raises Refused when there is none.
    """
    query = select(Member).join(MemberCard).where(Member.program_id == actor.program_id, condition)
    if not erased:
        query = query.where(Member.status != MemberStatus.ERASED)
    if lock:
        query = query.with_for_update(of=Member, key_share=True).execution_options(populate_existing=True)
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


def by_id(ctx: Context, actor: Actor, member_id: UUID, *, erased: bool = False) -> MemberView:
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        return _settled_view(session, program, fetch(session, actor, Member.id == member_id, erased=erased))


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
            coupon_wallets.member_changed(session, member.id, now)
            announce(session, program, member, now, silent=True)
            record(session, actor, f"member.{status}", member.id)
        return view(session, program, member)


def leave(ctx: Context, token: str) -> None:
    """The customer leaves, by the link on their own page."""
    member = by_link(ctx, token)
    set_status(ctx, Actor(member.program_id), member.id, MemberStatus.LEFT)
