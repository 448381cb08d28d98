"""A campaign on the wallet card: its text becomes the card's news, which phones show on their lock screen, once.

Apple's phones show what changed in the news, so that a later silent version says nothing again. Google is told of a
message beside the card (app.jobs.google), which waits with the card's object until Google has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, or_, select, text
from sqlalchemy.orm import Session

from app.db.campaigns import Benefit, CampaignRun, Medium
from app.db.delivery import AppleRegistration, GoogleObject
from app.db.people import MemberCard
from app.db.programs import Program
from app.services import campaign_benefits, campaign_rendering, wallets
from app.services.campaign_gate import Candidate
from app.services.context import Context
from app.services.pace import Pace

# Cards renewed a second: a hundred thousand phones that are woken at once would all ask us at once.
PACE = 200
LONGEST_NEWS = 1000  # characters, as long as the column

_CARDS = """UPDATE cards SET version = version + 1, news = coalesce(given.news, cards.news),
        changed_at = greatest(CAST(:second AS timestamptz), changed_at + interval '1 second')
    FROM unnest(CAST(:ids AS uuid[]), CAST(:news AS text[])) AS given (id, news)
    WHERE cards.id = given.id"""
_MESSAGES = """UPDATE google_objects SET message = given.news, message_id = given.name
    FROM unnest(CAST(:ids AS uuid[]), CAST(:news AS text[]), CAST(:names AS text[])) AS given (id, news, name)
    WHERE google_objects.card_id = given.id"""


def nowhere(session: Session, recipients: Sequence[Candidate]) -> frozenset[int]:
    """The numbers of those who should get it on the card, and have the card in no wallet any more."""
    asked = {one.member_id: one.number for one in recipients if one.medium is Medium.WALLET}
    if not asked:
        return frozenset()
    apple = exists().where(AppleRegistration.card_id == MemberCard.id)
    google = exists().where(GoogleObject.card_id == MemberCard.id, GoogleObject.installs > 0)
    held = session.scalars(
        select(MemberCard.member_id).where(MemberCard.member_id.in_(list(asked)), or_(apple, google))
    )
    return frozenset(asked.values()) - {asked[member_id] for member_id in held}


def deliver(
    ctx: Context,
    session: Session,
    program: Program,
    run: CampaignRun,
    recipients: Sequence[Candidate],
    now: datetime,
    codes: Mapping[int, str] | None = None,
) -> None:
    """Renew the cards of these recipients: with the run's text as news for those who get it on the card, silently for
    those who get an SMS and whose card shows what they were given.

    In the transaction that marks the recipients as handed, once, after app.services.campaign_benefits.give, whose
    `codes` the texts tell. Phones are told at a pace.
    """
    shown = campaign_benefits.promise(run.content).kind in (Benefit.CREDIT, Benefit.REWARD)
    touched = {one.member_id: one for one in recipients if shown or one.medium is Medium.WALLET}
    if not touched:
        return
    cards = session.execute(
        select(MemberCard.id, MemberCard.member_id)
        .where(MemberCard.member_id.in_(list(touched)))
        .order_by(MemberCard.id)  # in the order of all who renew many
        .with_for_update(of=MemberCard, key_share=True)
    ).all()
    by_card = {card_id: touched[member_id] for card_id, member_id in cards}
    told = {card_id: one for card_id, one in by_card.items() if one.medium is Medium.WALLET}
    news = _news(ctx, session, program, run, told, now, codes or {})
    words = [news.get(card_id) for card_id in by_card]
    session.execute(text(_CARDS), {"ids": list(by_card), "news": words, "second": now.replace(microsecond=0)})
    _leave_messages(session, told, news)
    due = _paced(ctx, list(by_card), now)
    wallets.changed(session, program.id, due, news=True, milestone=True, silent=by_card.keys() - told.keys())


def _news(
    ctx: Context,
    session: Session,
    program: Program,
    run: CampaignRun,
    told: Mapping[UUID, Candidate],
    now: datetime,
    codes: Mapping[int, str],
) -> dict[UUID, str]:
    """Card → the text as its member reads it."""
    facts = campaign_rendering.facts_of(ctx, session, program, [one.member_id for one in told.values()], now)
    found = {}
    for card_id, one in told.items():
        # Nobody can text back to a card: the way out is the link.
        sender = replace(facts[one.member_id].sender, replies=False)
        own = replace(facts[one.member_id], sender=sender, code=codes.get(one.number, ""))
        words = campaign_rendering.body(run.content, own, one.token, one.variant)
        found[card_id] = words if len(words) <= LONGEST_NEWS else words[: LONGEST_NEWS - 1] + "…"
    return found


def _leave_messages(session: Session, told: Mapping[UUID, Candidate], news: Mapping[UUID, str]) -> None:
    """Have a message wait at each card that Google has, in the place of an older one that waits."""
    ids = sorted(told)
    locked = select(GoogleObject.card_id).where(GoogleObject.card_id.in_(ids)).order_by(GoogleObject.card_id)
    session.execute(locked.with_for_update()).all()  # in the order of all who change many
    names = [f"campaign-{told[card_id].number}" for card_id in ids]
    session.execute(text(_MESSAGES), {"ids": ids, "news": [news[card_id] for card_id in ids], "names": names})


def _paced(ctx: Context, cards: Sequence[UUID], now: datetime) -> dict[UUID, datetime]:
    """When each card's wallets are told: after those of the batches before, whichever worker had them."""
    begun = now + timedelta(seconds=Pace(ctx.valkey, "campaign-cards", PACE, 0).ahead(len(cards)))
    return {card_id: begun + timedelta(seconds=place / PACE) for place, card_id in enumerate(cards)}
