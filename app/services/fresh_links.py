"""A new link to a card when somebody else may have the old one. All goes through the member's phone: who only knows the
number, or only has the old link, gets nothing new and can end nothing.

The SMS has a link that holds for an hour and once. Opened and confirmed, it raises the card's generation: its old page,
what leads there, its QR code and its passes in wallets stop at once.
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from limits import parse
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.delivery import GoogleObject, InstallEvent, Wallet
from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.i18n import N_
from app.logs import log
from app.loyalty import card_codes
from app.services import (
    apple_devices,
    card_links,
    coupon_wallets,
    google_voiding,
    limits,
    sms_sending,
    sms_texts,
    tasks,
)
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.programs import ProgramView, program_view
from app.services.views import MemberView
from sms.phones import PhoneError, normalise

LASTS = timedelta(hours=1)
_AT_ONCE = parse("1 per minute")
_A_DAY = parse("3 per day")


def ask(ctx: Context, program_id: UUID, typed: str) -> None:
    """Send the way to a new link to this number, if it has a card. Nothing tells whether it has.

    Raises InvalidForm when this is no number.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, program_id)
        try:
            phone = normalise(typed, program.country)
        except PhoneError as error:
            raise InvalidForm({"phone": Refused("invalid-phone", error.message, error.params, field="phone")}) from None
        found = select(Member).where(Member.program_id == program.id, Member.phone == phone)
        member = session.scalars(found).unique().one_or_none()
        if member is not None and member.status is not MemberStatus.ERASED:
            _queue(ctx, session, program, member)


def ask_for(ctx: Context, member: MemberView) -> None:
    """Send the member the way to a new link."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, member.program_id)
        _queue(ctx, session, program, session.get_one(Member, member.id))


def _queue(ctx: Context, session: Session, program: Program, member: Member) -> None:
    try:
        for limit in (_AT_ONCE, _A_DAY):
            limits.spend(ctx, limit, "fresh-link", ctx.keyed_hash("sms-limit", member.phone))
    except Refused:
        log().info("sms.withheld")
        return
    sms_sending.queue(
        session,
        program,
        member.phone,
        language=member.language,
        template=sms_texts.FRESH_LINK,
        params={card_links.UNTIL: int((clock.now() + LASTS).timestamp())},
        member_id=member.id,
    )


def opened(ctx: Context, token: str) -> tuple[ProgramView, str]:
    """The programme whose card this token may make a new link for, and the member's language. Raises Refused (404)."""
    with ctx.sessions() as session:
        member = _of(ctx, session, token)
        return program_view(session.get_one(Program, member.program_id)), member.language


def renew(ctx: Context, token: str) -> str:
    """End the old link and everything that was made by it; return the new page's token. Raises Refused (404)."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        member_id = _of(ctx, session, token).id
        query = select(Member).where(Member.id == member_id).with_for_update(of=Member, key_share=True)
        session.scalars(query.execution_options(populate_existing=True)).unique().one()
        member = _of(ctx, session, token)  # of two at once the second finds that the first was quicker
        _make_anew(ctx, session, member, now)
        record(session, Actor(member.program_id), "member.link-renewed", member.id)
        return ctx.derived_token("card-link", member.card.id, member.card.link_generation)


def _of(ctx: Context, session: Session, token: str) -> Member:
    query = select(Member).join(MemberCard).where(MemberCard.id == card_links.card_of(token))
    member = session.scalars(query).unique().one_or_none()
    if (
        member is None
        or member.status is MemberStatus.ERASED
        or not card_links.opens(ctx, member.card, token, clock.now())
    ):
        raise Refused(
            "fresh-link-over",
            N_("This link was used already, or is older than an hour. Ask for a new one on the page for joining."),
            status=404,
        )
    return member


def _make_anew(ctx: Context, session: Session, member: Member, now: datetime) -> None:
    card = member.card
    card.link_generation += 1
    card.link_hash = ctx.keyed_hash("card-link", ctx.derived_token("card-link", card.id, card.link_generation))
    card.code = card_codes.code_from(secrets.token_bytes(10))
    card.version, card.renewed_at = card.version + 1, now
    card.changed_at = max(now.replace(microsecond=0), card.changed_at + timedelta(seconds=1))
    session.flush()
    phones = coupon_wallets.forget_phones(session, member.id)
    coupons_at_google = coupon_wallets.forget_google(session, member.id)
    apple_devices.forget_card(session, member.program_id, card.id)
    apple_devices.forget_empty(session, phones)
    at_google = delete(GoogleObject).where(GoogleObject.card_id == card.id).returning(GoogleObject.installs)
    installs = session.execute(at_google).scalar()
    if installs:
        session.add(
            InstallEvent(
                id=uuid7(),
                program_id=member.program_id,
                card_id=card.id,
                wallet=Wallet.GOOGLE,
                added=False,
                at=now,
            )
        )
    if installs is not None or coupons_at_google:
        tasks.start(session, member.program_id, google_voiding.KIND, card.id)
