"""Coupons' own passes in Google Wallet: what Google is told, and when. As app.services.google_cards does for cards."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.delivery import Channel
from app.db.ledger import Reward, RewardStatus
from app.db.people import Member, MemberCard, MemberStatus
from app.db.rewards import GoogleCoupon, GoogleCouponClass
from app.i18n import LANGUAGES, translator
from app.logs import log
from app.services import coupons, google_cards, outbox, pictures, programs, reward_words
from app.services.context import Context
from app.services.coupons import Coupon
from app.services.errors import Refused
from app.services.programs import ProgramView
from passes.card import CardLook
from passes.google.client import GoogleWallet
from passes.google.errors import AccountError, PassError
from passes.google.offers import OfferClassSettings, OfferSettings, OfferState, offer_class, offer_object
from passes.google.outcome import DONE, Outcome, OutcomeKind
from passes.google.save_link import save_link
from passes.google.texts import Json

MARK = ".coupon-"  # in the ids of coupons' objects
_STATES = {
    RewardStatus.ISSUED: OfferState.ACTIVE,
    RewardStatus.REDEEMED: OfferState.COMPLETED,
    RewardStatus.EXPIRED: OfferState.EXPIRED,
    RewardStatus.WITHDRAWN: OfferState.INACTIVE,
}


@dataclass(frozen=True, slots=True)
class DescribedCoupon:
    """A coupon as Google is told: the object, and whether Google has it already, as far as we know."""

    coupon: Coupon
    body: Json  # empty when there is a problem
    known: bool
    problem: str = ""  # why Google can't be told of it, for staff


def among(ctx: Context, subject_ids: Collection[UUID]) -> set[UUID]:
    """Those of these subjects that are coupons which Google has; the others are cards."""
    with ctx.sessions() as session:
        return set(session.scalars(select(GoogleCoupon.reward_id).where(GoogleCoupon.reward_id.in_(subject_ids))))


def class_id(ctx: Context, coupon: Coupon) -> str:
    return f"{ctx.settings.google_issuer_id}.coupons-{coupon.type_id.hex}-{wording(coupon)}"


def object_id(ctx: Context, reward_id: UUID, generation: int = 1) -> str:
    """The coupon's object. When the member's link was made anew it has another, as the card has."""
    made_anew = f"-{generation}" if generation > 1 else ""
    return f"{ctx.settings.google_issuer_id}{MARK}{reward_id.hex}{made_anew}"


def wording(coupon: Coupon) -> str:
    """A digest of what was promised: coupons that promise the same share a class."""
    reward = coupon.reward
    promised = f"{reward.name}\n{reward.value}\n{reward.value_amount}\n{','.join(sorted(reward.location_ids))}"
    return hashlib.sha256(promised.encode()).hexdigest()[:16]


def link(ctx: Context, coupon: Coupon) -> str:
    """The save link of this coupon. Class and object are at Google by then, so that it carries ids only.

    Raises Refused (503) when Google can't be reached or refuses.
    """
    try:
        wallet = ctx.google()
        done = _put_now(ctx, wallet, coupon)
        if done.delivered:
            return save_link(
                wallet.account.signer,
                wallet.account.email,
                class_id(ctx, coupon),
                object_id(ctx, coupon.reward.id, coupon.link_generation),
                [ctx.settings.base_url],
                clock.now(),
                ctx.settings.google_save_url,
                "offerObjects",
            )
    except (AccountError, PassError) as error:
        done = _invalid(str(error))
    log().error("google.coupon_not_saved", reward_id=str(coupon.reward.id), reason=done.reason, detail=done.detail)
    raise Refused("google-unreachable", google_cards.UNREACHABLE, status=503)


def _put_now(ctx: Context, wallet: GoogleWallet, coupon: Coupon) -> Outcome:
    """Have Google know the coupon before its holder follows the link to it."""
    described = describe(ctx, [coupon.reward.id])[coupon.reward.id]
    if described.problem:
        return _invalid(described.problem)
    done = _put_both(ctx, wallet, described)
    if done.code == "class_missing":  # Google has lost what we knew of: once more, from the start
        forget_class(ctx, coupon)
        done = _put_both(ctx, wallet, described)
    if done.delivered:
        _expect_changes(ctx, described.coupon)
    elif described.known and done.kind is OutcomeKind.RETRY:
        return DONE  # Google has the coupon, and hears what is new when it can be reached
    return done


def _put_both(ctx: Context, wallet: GoogleWallet, described: DescribedCoupon) -> Outcome:
    done = ensure_class(ctx, wallet, described.coupon)
    if not done.delivered:
        return done
    return wallet.put_object(described.body, new=not described.known, resource="offerObject")


def _expect_changes(ctx: Context, coupon: Coupon) -> None:
    """From now on Google hears of the coupon's changes; also of one that came while Google was being told."""
    reward_id = coupon.reward.id
    with ctx.sessions.begin() as session:
        version = session.scalars(select(Reward.pass_version).where(Reward.id == reward_id).with_for_update()).one()
        _keep_told(session, [(reward_id, coupon.version)])
        if version > coupon.version:
            outbox.announce(session, Channel.GOOGLE, coupon.program_id, reward_id, clock.now())


def ensure_class(ctx: Context, wallet: GoogleWallet, coupon: Coupon) -> Outcome:
    """Have Google know this kind of coupon as the programme is now. Does nothing when it does already."""
    key = {"type_id": coupon.type_id, "wording": wording(coupon)}
    with ctx.sessions() as session:
        known = session.get(GoogleCouponClass, key)
        version = known.version if known else 0
    program = programs.get(ctx, coupon.program_id)
    if program.version <= version:
        return DONE
    try:
        body = _class_body(ctx, program, coupon)
    except PassError as error:
        return _invalid(str(error))
    done = wallet.put_class(body, new=version == 0, resource="offerClass")
    if done.delivered:
        with ctx.sessions.begin() as session:
            row = insert(GoogleCouponClass).values(**key, version=program.version)
            newer = func.greatest(GoogleCouponClass.version, row.excluded.version)
            session.execute(row.on_conflict_do_update(index_elements=["type_id", "wording"], set_={"version": newer}))
    return done


def forget_class(ctx: Context, coupon: Coupon) -> None:
    """Google does not know the class, whatever we thought."""
    mine = (GoogleCouponClass.type_id == coupon.type_id) & (GoogleCouponClass.wording == wording(coupon))
    with ctx.sessions.begin() as session:
        session.execute(delete(GoogleCouponClass).where(mine))


def _invalid(problem: str) -> Outcome:
    return Outcome(OutcomeKind.REFUSED, "invalid", problem)


def _class_body(ctx: Context, program: ProgramView, coupon: Coupon) -> Json:
    base = ctx.settings.wallet_base_url
    titles = {language: _title(program, coupon, language) for language in LANGUAGES}
    look = _look(ctx, program, program.language, coupon, titles)
    named = coupon.reward.name if coupon.reward.name != titles[program.language] else ""
    return offer_class(
        look,
        OfferClassSettings(
            class_id=class_id(ctx, coupon),
            title=titles[program.language],
            logo_url=f"{base}{pictures.logo_path(ctx, program)}",
            hero_url=f"{base}{pictures.coupon_path(ctx, program, program.language)}",
            details="\n".join(filter(None, (named, coupon.details))),
            fine_print=program.terms_text,
            callback_url=f"{base}/google/callback",
            website=program.website if program.website.startswith("https://") else "",
            country=program.country,
        ),
    )


def _title(program: ProgramView, coupon: Coupon, language: str) -> str:
    reward = coupon.reward
    return reward_words.worth(translator(language), reward.name, reward.value, reward.value_amount, program.currency)


def _look(ctx: Context, program: ProgramView, language: str, coupon: Coupon, titles: dict[str, str]) -> CardLook:
    """The coupon's look, with what it is worth in each language among its translations."""
    found = coupons.look(ctx, program, language, coupon)
    strings = {other: {**texts, titles[language]: titles[other]} for other, texts in found.strings.items()}
    return replace(found, strings=strings)


def describe(ctx: Context, reward_ids: Sequence[UUID]) -> dict[UUID, DescribedCoupon]:
    """These coupons as Google is told of them now."""
    found = coupons.find(ctx, reward_ids)
    known = among(ctx, reward_ids)
    shared = {program_id: programs.get(ctx, program_id) for program_id in {one.program_id for one in found.values()}}
    return {
        reward_id: DescribedCoupon(
            coupon, *_body_or_problem(ctx, shared[coupon.program_id], coupon, known=reward_id in known)
        )
        for reward_id, coupon in found.items()
    }


def _body_or_problem(ctx: Context, program: ProgramView, coupon: Coupon, *, known: bool) -> tuple[Json, bool, str]:
    """The object; or, when Google would refuse it, why. One such coupon must not hold up the others."""
    text = translator(coupon.language)
    state = _STATES[coupon.reward.status]
    if coupon.member_status is not MemberStatus.ACTIVE and state is OfferState.ACTIVE:
        state = OfferState.INACTIVE
    settings = OfferSettings(
        object_id(ctx, coupon.reward.id, coupon.link_generation),
        class_id(ctx, coupon),
        state,
        valid_from=coupon.reward.valid_from,
    )
    try:
        look = coupons.look(ctx, program, coupon.language, coupon)
        card = coupons.card(ctx, program, coupon)
        return offer_object(card, look, settings, lambda field: str(text.shown(field.value))), known, ""
    except PassError as error:
        return {}, known, str(error)


def mark_told(ctx: Context, told: Sequence[tuple[UUID, int]]) -> None:
    """Google has these: (coupon, version)."""
    with ctx.sessions.begin() as session:
        _keep_told(session, told)


def _keep_told(session: Session, told: Sequence[tuple[UUID, int]]) -> None:
    if not told:
        return
    rows = insert(GoogleCoupon).values(
        [{"reward_id": reward_id, "version": version, "installs": 0} for reward_id, version in sorted(told)]
    )
    newer = func.greatest(GoogleCoupon.version, rows.excluded.version)
    session.execute(rows.on_conflict_do_update(index_elements=["reward_id"], set_={"version": newer}))


def heard(ctx: Context, object_id: str, *, added: bool) -> bool:
    """Google says that a phone saved or removed a coupon. False for one that is not ours.

    Kept is whether a phone has it, not how many: so that hearing it twice is the same as once.
    """
    reward_id, _, generation = object_id.partition(MARK)[2].partition("-")
    try:
        wanted = (UUID(hex=reward_id), int(generation or 1))
    except ValueError:
        return False
    with ctx.sessions.begin() as session:
        found = session.execute(
            select(Reward.id, MemberCard.link_generation)
            .join(Member, Member.id == Reward.member_id)
            .join(MemberCard, MemberCard.member_id == Member.id)
            .where(Reward.id == wanted[0], Reward.pass_version > 0, Member.status != MemberStatus.ERASED)
        ).one_or_none()
        if found is None or tuple(found) != wanted:
            return False
        row = insert(GoogleCoupon).values(reward_id=wanted[0], version=0, installs=int(added))
        session.execute(row.on_conflict_do_update(index_elements=["reward_id"], set_={"installs": int(added)}))
        return True
