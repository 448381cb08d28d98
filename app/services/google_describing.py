"""Members' cards as Google Wallet is told of them, and their ids there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from app import clock
from app.db.delivery import GoogleObject
from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.i18n import N_, translator
from app.services import card_bonus, card_extras, card_tier, cards, member_views, members, pictures, programs
from app.services.card_extras import Extras
from app.services.context import Actor, Context
from app.services.programs import ProgramView
from app.services.views import MemberView
from passes.card import CardLook
from passes.google.errors import PassError
from passes.google.objects import ObjectSettings, loyalty_object
from passes.google.texts import Json

# Google's quota: notifications a card in 24 hours. What is beyond is updated silently.
MOST_NOTIFICATIONS = 3
NOTIFICATION_WINDOW = timedelta(hours=24)

# Beside a number Google shows nine letters.
_STAMPS = N_("Stamps")
_REWARDS = N_("Rewards")
CARD = N_("Card")
_COUNT = N_("%(have)s/%(needed)s")


@dataclass(frozen=True, slots=True)
class Described:
    """A card as Google is told: the object, and what is known of it."""

    member: MemberView
    body: Json  # empty when there is a problem
    known: bool  # Google has the object already, as far as we know
    may_notify: bool  # the card's notifications of the last 24 hours are not used up
    problem: str = ""  # why Google can't be told of this card, for staff


def class_id(ctx: Context, program_id: UUID) -> str:
    return f"{ctx.settings.google_issuer_id}.program-{program_id.hex}"


def object_id(ctx: Context, card_id: UUID, generation: int = 1) -> str:
    """The card's object. A card made anew has another, which whoever saved the old one does not see."""
    return f"{ctx.settings.google_issuer_id}.card-{card_id.hex}" + (f"-{generation}" if generation > 1 else "")


def describe(ctx: Context, card_ids: Sequence[UUID]) -> dict[UUID, Described]:
    """These cards as Google is told of them now, in a few queries however many there are."""
    now = clock.now()
    _settle(ctx, card_ids, now)
    with ctx.sessions() as session:
        rows = session.execute(
            select(Member, GoogleObject)
            .select_from(Member)
            .join(Member.card)
            .outerjoin(GoogleObject, GoogleObject.card_id == MemberCard.id)
            .where(MemberCard.id.in_(card_ids))
            .options(contains_eager(Member.card))
        ).all()
        found: list[tuple[ProgramView, list[MemberView]]] = []
        for program in session.scalars(select(Program).where(Program.id.in_({row.Member.program_id for row in rows}))):
            own = [row.Member for row in rows if row.Member.program_id == program.id]
            found.append((programs.program_view(program), member_views.views(session, program, own)))
    views: dict[UUID, tuple[ProgramView, MemberView, Extras]] = {}
    for shared, own_views in found:
        extras = card_extras.of(ctx, shared, own_views)
        views |= {view.card_id: (shared, view, extras[view.id]) for view in own_views}
    described = {}
    for row, known in rows:
        shared, member, more = views[row.card.id]
        page = f"{ctx.settings.base_url}/c/{ctx.derived_token('card-link', row.card.id, row.card.link_generation)}"
        body, problem = _body_or_problem(ctx, shared, member, more, page, now)
        may_notify = len(recent(known.notified_at if known else [], now)) < MOST_NOTIFICATIONS
        described[member.card_id] = Described(member, body, known is not None, may_notify, problem)
    return described


def _settle(ctx: Context, card_ids: Sequence[UUID], now: datetime) -> None:
    """Close what has lapsed on these cards, so that Google is not told of stamps that are over."""
    with ctx.sessions() as session:
        lapsed = session.execute(
            select(Member.id, Member.program_id)
            .join(MemberCard, MemberCard.member_id == Member.id)
            .where(MemberCard.id.in_(card_ids), Member.next_expiry_at <= now)
        ).all()
    for member_id, program_id in lapsed:
        members.by_id(ctx, Actor(program_id), member_id)


def _body_or_problem(
    ctx: Context, program: ProgramView, member: MemberView, extras: Extras, page: str, now: datetime
) -> tuple[Json, str]:
    """The object; or, when Google would refuse it, why. One such card must not hold up the others."""
    text, dressed = translator(member.language), card_tier.dressed(program, member)
    card = cards.card(ctx, program, member, page, extras)
    settings = ObjectSettings(
        object_id=object_id(ctx, member.card_id, member.link_generation),
        class_id=class_id(ctx, program.id),
        stamps_label=text.gettext(_STAMPS),
        stamps_text=text.gettext(_COUNT, have=card.stamps.have, needed=card.stamps.needed),
        rewards=len(member.rewards),
        rewards_text=text.number(len(member.rewards)),
        rewards_label=text.gettext(_REWARDS),
        bonus=card_bonus.shown(ctx, text, program, member),
        hero_url=ctx.settings.wallet_base_url + pictures.stamps_path(ctx, dressed, member),
        account_name=member.name,
        messages=() if member.status is MemberStatus.ERASED else None,
    )
    try:
        look = look_of(ctx, program, member.language)
        return loyalty_object(card, look, settings, now, lambda field: str(text.shown(field.value))), ""
    except PassError as error:
        return {}, str(error)


def look_of(ctx: Context, program: ProgramView, language: str) -> CardLook:
    return replace(cards.program_look(ctx, program, language), strings=_translations(language))


@cache
def _translations(language: str) -> dict[str, dict[str, str]]:
    """As cards.label_translations, with the labels that only Google's cards have."""
    own = translator(language)
    return {
        other: labels | {own.gettext(label): translator(other).gettext(label) for label in (_REWARDS, CARD)}
        for other, labels in cards.label_translations(language).items()
    }


def recent(moments: Sequence[str], now: datetime) -> list[str]:
    return [moment for moment in moments if datetime.fromisoformat(moment) > now - NOTIFICATION_WINDOW]
