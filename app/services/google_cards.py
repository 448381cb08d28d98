"""Members' cards in Google Wallet: what Google is told, and when."""

import time
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.delivery import Channel, GoogleClass, GoogleObject
from app.db.people import MemberCard
from app.i18n import N_, translator
from app.logs import log
from app.services import outbox, pictures, programs
from app.services.context import Context
from app.services.errors import Refused
from app.services.google_describing import CARD, Described, class_id, describe, look_of, object_id, recent
from app.services.programs import ProgramView
from app.services.views import MemberView
from passes.google.client import GoogleWallet
from passes.google.errors import AccountError, PassError
from passes.google.objects import ClassSettings, loyalty_class
from passes.google.outcome import DONE, Outcome, OutcomeKind
from passes.google.save_link import save_link
from passes.google.texts import Json

# Seconds between a customer's tries, while a change of all cards uses up the calls of each second.
_PATIENCE = (1.0, 1.0)

_MEMBER = N_("Member")
UNREACHABLE = N_("Google Wallet cannot be reached at the moment. Your card is on its own page; please try again later.")


def is_on(ctx: Context) -> bool:
    """Whether cards can be in Google Wallet: there is an issuer account, and an address that Google can call."""
    settings = ctx.settings
    return bool(settings.google_issuer_id and settings.google_account.get_secret_value() and settings.wallet_base_url)


def link(ctx: Context, member: MemberView) -> str:
    """The save link of this member's card. Class and object are at Google by then, so that it carries ids only.

    Raises Refused (503) when Google can't be reached or refuses.
    """
    try:
        wallet = ctx.google()
        done = _put_now(ctx, wallet, member)
        if done.delivered:
            return _save_link(ctx, wallet, member)
    except (AccountError, PassError) as error:
        done = _invalid(str(error))
    log().error("google.card_not_saved", card_id=str(member.card_id), reason=done.reason, detail=done.detail)
    raise Refused("google-unreachable", UNREACHABLE, status=503)


def _save_link(ctx: Context, wallet: GoogleWallet, member: MemberView) -> str:
    return save_link(
        wallet.account.signer,
        wallet.account.email,
        class_id(ctx, member.program_id),
        object_id(ctx, member.card_id, member.link_generation),
        [ctx.settings.base_url],
        clock.now(),
        ctx.settings.google_save_url,
    )


def _put_now(ctx: Context, wallet: GoogleWallet, member: MemberView) -> Outcome:
    """Have Google know the card before its holder follows the link to it."""
    card = describe(ctx, [member.card_id])[member.card_id]
    if card.problem:
        return _invalid(card.problem)
    done = _put_both(ctx, wallet, card)
    for seconds in _PATIENCE:
        if done.code == "class_missing":  # Google has lost what we knew of: once more, from the start
            forget_class(ctx, member.program_id)
        elif done.code == "rate_limit":
            time.sleep(seconds)
        else:
            break
        done = _put_both(ctx, wallet, card)
    if done.delivered:
        _expect_changes(ctx, card)
    elif card.known and done.kind is OutcomeKind.RETRY:
        return DONE  # Google has the card, and hears what is new when it can be reached
    return done


def _put_both(ctx: Context, wallet: GoogleWallet, card: Described) -> Outcome:
    done = ensure_class(ctx, wallet, card.member.program_id)
    return wallet.put_object(card.body, new=not card.known) if done.delivered else done


def _expect_changes(ctx: Context, card: Described) -> None:
    """From now on Google hears of the card's changes; also of one that came while Google was being told."""
    member = card.member
    with ctx.sessions.begin() as session:
        # A till that stamps right now either looked for the object too early, and then its version is seen here, or
        # waits for this lock, and then it finds the object.
        version = session.scalars(
            select(MemberCard.version).where(MemberCard.id == member.card_id).with_for_update()
        ).one()
        _keep_told(session, [(member.card_id, member.card_version, False)])
        if version > member.card_version:
            outbox.announce(session, Channel.GOOGLE, member.program_id, member.card_id, clock.now())


def ensure_class(ctx: Context, wallet: GoogleWallet, program_id: UUID) -> Outcome:
    """Have Google know the programme as it is now. Does nothing when it does already.

    It looks again afterwards: when the programme changed meanwhile, another process may have told Google of that before
    this one's older state arrived.
    """
    with ctx.sessions() as session:
        version = session.scalar(select(GoogleClass.version).where(GoogleClass.program_id == program_id)) or 0
    while (program := programs.get(ctx, program_id)).version > version:
        try:
            body = _class_body(ctx, program)
        except PassError as error:
            return _invalid(str(error))
        done = wallet.put_class(body, new=version == 0)
        if not done.delivered:
            return done
        version = program.version
        _keep_class(ctx, program)
    return DONE


def _keep_class(ctx: Context, program: ProgramView) -> None:
    with ctx.sessions.begin() as session:
        row = insert(GoogleClass).values(program_id=program.id, version=program.version)
        newer = func.greatest(GoogleClass.version, row.excluded.version)
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_={"version": newer}))


def forget_class(ctx: Context, program_id: UUID) -> None:
    """Google does not know the class, whatever we thought."""
    with ctx.sessions.begin() as session:
        session.execute(delete(GoogleClass).where(GoogleClass.program_id == program_id))


def _invalid(problem: str) -> Outcome:
    return Outcome(OutcomeKind.REFUSED, "invalid", problem)


def _class_body(ctx: Context, program: ProgramView) -> Json:
    text, base = translator(program.language), ctx.settings.wallet_base_url
    return loyalty_class(
        look_of(ctx, program, program.language),
        ClassSettings(
            class_id=class_id(ctx, program.id),
            logo_url=f"{base}{pictures.logo_path(ctx, program)}",
            callback_url=f"{base}/google/callback",
            website=program.website if program.website.startswith("https://") else "",
            account_name_label=text.gettext(_MEMBER),
            account_id_label=text.gettext(CARD),
            country=program.country,
        ),
    )


def mark_told(ctx: Context, told: Sequence[tuple[UUID, int, bool]]) -> None:
    """Google has these: (card, version, whether phones were notified)."""
    with ctx.sessions.begin() as session:
        _keep_told(session, told)


def _keep_told(session: Session, told: Sequence[tuple[UUID, int, bool]]) -> None:
    if not told:
        return
    now = clock.now()
    rows = insert(GoogleObject).values(
        [
            {"card_id": card_id, "version": version, "installs": 0, "notified_at": []}
            for card_id, version, _ in sorted(told)
        ]
    )
    newer = func.greatest(GoogleObject.version, rows.excluded.version)
    session.execute(rows.on_conflict_do_update(index_elements=["card_id"], set_={"version": newer}))
    notified = [card_id for card_id, _, notified in told if notified]
    for known in session.scalars(select(GoogleObject).where(GoogleObject.card_id.in_(notified))):
        known.notified_at = [*recent(known.notified_at, now), now.isoformat()]
