"""Coupons: rewards that may be kept in the wallet by themselves, and what their passes show."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import Reward, RewardStatus
from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.db.rewards import RewardType
from app.i18n import LANGUAGES, N_, Translator, translator
from app.loyalty import coupon_codes
from app.loyalty.coupons import RewardValue
from app.loyalty.credit import day_of, last_day
from app.services import cards, members, programs, reward_words
from app.services.context import Actor, Context
from app.services.member_views import reward_view
from app.services.programs import LocationView, ProgramView
from app.services.views import RewardView
from passes.card import Card, CardField, CardLocation, CardLook, StampCount

_USE_BY = N_("Use by")
_COUPON = N_("Coupon")
_WHEN_AND_WHERE = N_("When and where")
_STATUS = N_("This coupon")
_MEMBER = N_("Member")
_MORE = N_("More about it")
_TERMS = N_("Terms")
_CONTACT = N_("Contact")
LABELS = (_USE_BY, _COUPON, _WHEN_AND_WHERE, _STATUS, _MEMBER, _MORE, _TERMS, _CONTACT)


@dataclass(frozen=True, slots=True)
class Coupon:
    """A reward with a pass of its own, whose it is, and which version of the pass there is.

    `version` 0: it was given without one. `details` are the kind's as they are now, the rest was promised.
    """

    reward: RewardView
    type_id: UUID
    details: str
    version: int
    changed_at: datetime
    closed_at: datetime | None
    program_id: UUID
    program_version: int
    pass_type: str
    member_id: UUID
    member_name: str
    member_status: MemberStatus
    language: str
    card_id: UUID
    link_generation: int

    @property
    def voided(self) -> bool:
        """Whether its pass is no longer good for anything."""
        return self.reward.status is not RewardStatus.ISSUED or self.member_status is not MemberStatus.ACTIVE


def find(ctx: Context, reward_ids: Collection[UUID]) -> dict[UUID, Coupon]:
    """Those of these rewards that have passes of their own, after what has lapsed was closed."""
    found = _read(ctx, reward_ids)
    lapsed = {(coupon.program_id, coupon.member_id) for coupon in found.values() if _lapsed(coupon)}
    for program_id, member_id in lapsed:
        members.by_id(ctx, Actor(program_id), member_id)
    return _read(ctx, reward_ids) if lapsed else found


def as_kept(ctx: Context, reward_id: UUID) -> Coupon | None:
    """The coupon as its rows are, for whoever has not shown yet that it is theirs: nothing is closed."""
    return _read(ctx, [reward_id]).get(reward_id)


def current(ctx: Context, coupon: Coupon) -> Coupon | None:
    """The coupon, after what has lapsed was closed."""
    return find(ctx, [coupon.reward.id]).get(coupon.reward.id) if _lapsed(coupon) else coupon


def of_member(ctx: Context, member_id: UUID, reward_id: UUID) -> Coupon | None:
    """This coupon, if it is this member's."""
    kept = as_kept(ctx, reward_id)
    return current(ctx, kept) if kept is not None and kept.member_id == member_id else None


def _lapsed(coupon: Coupon) -> bool:
    reward = coupon.reward
    return reward.status is RewardStatus.ISSUED and reward.expires_at is not None and reward.expires_at <= clock.now()


def _read(ctx: Context, reward_ids: Collection[UUID]) -> dict[UUID, Coupon]:
    with ctx.sessions() as session:
        rows = session.execute(
            select(Reward, RewardType, Member, MemberCard, Program.version, Program.pass_type_identifier)
            .join(RewardType, RewardType.id == Reward.type_id)
            .join(Member, Member.id == Reward.member_id)
            .join(MemberCard, MemberCard.member_id == Member.id)
            .join(Program, Program.id == Reward.program_id)
            .where(Reward.id.in_(reward_ids), Reward.pass_version > 0)
        ).all()
        return {
            reward.id: Coupon(
                reward=reward_view(reward),
                type_id=type_.id,
                details=type_.details,
                version=reward.pass_version,
                changed_at=reward.pass_changed_at or reward.issued_at,
                closed_at=reward.closed_at,
                program_id=reward.program_id,
                program_version=version,
                pass_type=pass_type,
                member_id=member.id,
                member_name=member.name,
                member_status=member.status,
                language=member.language,
                card_id=card.id,
                link_generation=card.link_generation,
            )
            for reward, type_, member, card, version, pass_type in rows
        }


def token(ctx: Context, reward_id: UUID, link_generation: int) -> str:
    """What a phone shows to get the coupon's newest version. It ends with the member's personal link."""
    return ctx.derived_token("apple-coupon", reward_id, link_generation)


def code(ctx: Context, reward_id: UUID, link_generation: int) -> str:
    """What the coupon's QR code holds. It ends with the member's personal link, as the card's does."""
    digest = ctx.keyed_hash("coupon-code", f"{reward_id}:{link_generation}")
    return coupon_codes.code_of(reward_id, int(digest, 16) >> 256 - coupon_codes.SEAL_BITS)


def named_by(ctx: Context, session: Session, program_id: UUID, text: str) -> tuple[UUID, UUID] | None:
    """The reward whose coupon was scanned, and its member; None when the text is no coupon's code, or not ours."""
    found = coupon_codes.read(text)
    if found is None:
        return None
    reward_id, printed = found
    row = session.execute(
        select(Reward.member_id, MemberCard.link_generation)
        .join(MemberCard, MemberCard.member_id == Reward.member_id)
        .where(Reward.id == reward_id, Reward.program_id == program_id, Reward.pass_version > 0)
    ).one_or_none()
    own = code(ctx, reward_id, row.link_generation if row else 1)
    return (reward_id, row.member_id) if row and hmac.compare_digest(own.encode(), printed.encode()) else None


def look(ctx: Context, program: ProgramView, language: str, coupon: Coupon) -> CardLook:
    """What coupons with the same places share in one language: the programme's look."""
    shared = cards.program_look(ctx, program, language)
    text = translator(language)
    places = tuple(
        CardLocation(place.latitude, place.longitude, place.name)
        for place in programs.locations(ctx, program.id)
        if place.latitude is not None and place.longitude is not None and _is_here(place, coupon.reward)
    )
    return replace(
        shared,
        description=text.gettext(N_("Coupon of %(name)s"), name=program.name),
        strings={
            other: {text.gettext(label): translator(other).gettext(label) for label in LABELS} for other in LANGUAGES
        },
        locations=places[: cards.MOST_LOCATIONS],
    )


def _is_here(place: LocationView, reward: RewardView) -> bool:
    return place.active and (not reward.location_ids or str(place.id) in reward.location_ids)


def card(ctx: Context, program: ProgramView, coupon: Coupon) -> Card:
    """The coupon in its member's language, as both wallets show it. People pass coupons on: it tells neither the card's
    code nor its page."""
    text, reward = translator(coupon.language), coupon.reward
    worth = reward_words.worth(text, reward.name, reward.value, reward.value_amount, program.currency)
    places = {str(place.id): place.name for place in programs.locations(ctx, program.id)}
    lines = reward_words.limits(text, reward.limits, places, program.time_zone, clock.now())
    header: tuple[CardField, ...] = ()
    if reward.expires_at is not None:
        last = text.short_date(last_day(reward.expires_at, program.time_zone))
        header = (CardField("until", text.gettext(_USE_BY), last),)
    named = "" if reward.value in (RewardValue.ITEM, RewardValue.ACCESS) else reward.name
    back = (
        CardField("details", text.gettext(_MORE), coupon.details),
        CardField("limits", text.gettext(_WHEN_AND_WHERE), "\n".join(lines)),
        CardField("terms", text.gettext(_TERMS), program.terms_text),
        CardField("contact", text.gettext(_CONTACT), program.contact_text),
    )
    return Card(
        serial=str(reward.id),
        authentication_token=token(ctx, reward.id, coupon.link_generation),
        version=coupon.version,
        code=code(ctx, reward.id, coupon.link_generation),
        code_text=worth,
        stamps=StampCount(0, 1),
        header=header,
        primary=(CardField("worth", named or text.gettext(_COUPON), worth),),
        secondary=(CardField("member", text.gettext(_MEMBER), coupon.member_name),) if coupon.member_name else (),
        # The only field that speaks on the lock screen.
        auxiliary=(CardField("status", text.gettext(_STATUS), _standing(text, program, coupon), "%@"),),
        back=tuple(field for field in back if field.value),
        voided=coupon.voided,
        expires_at=reward.expires_at,
    )


def _standing(text: Translator, program: ProgramView, coupon: Coupon) -> str:
    match coupon.reward.status:
        case RewardStatus.REDEEMED:
            used_on = day_of(coupon.closed_at or coupon.changed_at, program.time_zone)
            return text.gettext(N_("Used on %(day)s"), day=text.short_date(used_on))
        case RewardStatus.EXPIRED:
            return text.gettext(N_("Its last day has passed"))
        case RewardStatus.WITHDRAWN:
            return text.gettext(N_("Taken back"))
        case RewardStatus.ISSUED if coupon.voided:
            return text.gettext(N_("Cannot be used now"))
    begins = coupon.reward.valid_from
    if begins is not None and begins > clock.now():
        first = text.short_date(day_of(begins, program.time_zone))
        return text.gettext(N_("Can be used from %(first)s on"), first=first)
    return text.gettext(N_("Ready to use"))
