"""A shop whose members differ in everything that a segment may ask, and the same facts for the oracle."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from app.db.campaigns import (
    Campaign,
    CampaignRecipient,
    CampaignRun,
    ClickKind,
    LinkClick,
    PhoneList,
    PhoneListMember,
    RecipientState,
    RunPhase,
)
from app.db.credit import MemberClass
from app.db.delivery import AppleDevice, AppleRegistration, GoogleObject
from app.db.joining import JoinAnswer, JoinQuestion, QuestionKind
from app.db.messages import Direction, SmsMessage
from app.db.nps import NpsAsk
from app.db.people import Consent, Member, MemberCard, MemberStatus
from app.db.programs import Location
from app.db.purchases import Purchase
from app.db.tiers import GroupMember, MemberGroup, Tier
from app.loyalty.nps import group_of
from app.loyalty.segment_facts import Facts, Visit
from app.services.context import Context
from tests.factories import Shop
from tests.segment_trees import CHANNELS, MINOR, NOW, ZONE

BIRTHDAYS = (None, date(2000, 2, 29), date(1999, 2, 28), date(1980, 3, 1), date(1970, 2, 21), date(1990, 12, 31))


@dataclass
class Book:
    """What was written: the names that conditions may use, and each member's facts by id."""

    things: dict[str, list[Any]]
    facts: dict[UUID, Facts] = field(default_factory=dict)


def fill(ctx: Context, shop: Shop, seed: int, members: int = 60) -> Book:
    """Members by a seed, in every state; two of whatever conditions name, and one that is nobody's."""
    draw = random.Random(seed)
    with ctx.sessions.begin() as session:
        second = Location(program_id=shop.program.id, name="Harbour")
        session.add(second)
        lists = [PhoneList(id=uuid4(), program_id=shop.program.id, name="L", rows=1, created_at=NOW) for _ in range(2)]
        session.add_all(lists)
        tiers = [Tier(id=uuid4(), program_id=shop.program.id, name=f"T{place}", needs=place) for place in range(2)]
        session.add_all(tiers)
        groups = [
            MemberGroup(id=uuid4(), program_id=shop.program.id, name=f"G{place}", created_at=NOW) for place in range(2)
        ]
        session.add_all(groups)
        question = JoinQuestion(
            id=uuid4(),
            program_id=shop.program.id,
            position=0,
            kind=QuestionKind.CHOICE,
            texts={"en": "Q"},
            choices=[{"en": "A"}, {"en": "B"}],
        )
        session.add(question)
        session.flush()
        runs = [_run(session, shop) for _ in range(2)]
        book = Book(
            {
                "classes": [uuid4() for _ in range(2)],
                "lists": [one.id for one in lists],
                "locations": [shop.location.id, second.id, uuid4()],
                "campaigns": [run.campaign_id for run in runs] + [uuid4()],
                "tiers": [one.id for one in tiers] + [uuid4()],
                "groups": [one.id for one in groups] + [uuid4()],
                "answers": [f"{question.id}.{number}" for number in range(2)] + [f"{uuid4()}.0"],
            }
        )
        for number in range(members):
            member_id, facts = _person(session, shop, book, draw, runs, number)
            book.facts[member_id] = facts
    return book


def _run(session: Any, shop: Shop) -> CampaignRun:
    campaign = Campaign(id=uuid4(), program_id=shop.program.id, name="C", created_at=NOW, changed_at=NOW)
    session.add(campaign)
    session.flush()
    run = CampaignRun(
        id=uuid4(),
        program_id=shop.program.id,
        campaign_id=campaign.id,
        phase=RunPhase.DONE,
        content={},
        due_at=NOW - timedelta(days=20),
    )
    session.add(run)
    session.flush()
    return run


def _person(
    session: Any, shop: Shop, book: Book, draw: random.Random, runs: list[CampaignRun], number: int
) -> tuple[UUID, Facts]:
    member_id, card_id = uuid4(), uuid4()
    visits = _visits(draw, book)
    last = max(visits, key=lambda visit: visit.at, default=None)
    stamps = draw.randrange(shop.program.stamps_needed)
    own: dict[str, Any] = {
        "joined_at": NOW - timedelta(hours=draw.choice((0, 1, 2, 23, 47, 1200, 1248))),
        "via": draw.choice(CHANNELS),
        "language": draw.choice(("en", "fi", "ru", "fa")),
        "birth_date": draw.choice(BIRTHDAYS),
        "rewards": draw.choice((0, 0, 1, 2)),
        "credit_minor": draw.choice(MINOR),
        "tier_id": draw.choice((*book.things["tiers"][:2], None)),
    }
    status = draw.choice((MemberStatus.ACTIVE,) * 6 + (MemberStatus.LEFT, MemberStatus.BLOCKED))
    session.add(
        Member(
            id=member_id,
            program_id=shop.program.id,
            phone=f"+35850{number:07d}",
            status=status,
            stamps=stamps,
            last_visit_at=last.at if last else None,
            last_location_id=last.location_id if last else None,
            **own,
        )
    )
    session.flush()
    session.add(
        MemberCard(id=card_id, member_id=member_id, code=f"{number:016d}", link_hash=str(card_id), changed_at=NOW)
    )
    session.flush()
    got, answered = _campaigns(session, draw, shop, runs, member_id)
    facts = Facts(
        NOW,
        ZONE,
        active=status is MemberStatus.ACTIVE,
        stamps_left=shop.program.stamps_needed - stamps,
        wants_offers=_consents(session, draw, member_id),
        class_id=_class(session, draw, shop, book, member_id),
        lists=_lists(session, draw, book, member_id),
        groups=_groups(session, draw, book, member_id),
        chosen=_chosen(session, draw, book, member_id),
        nps=_nps(session, draw, shop, member_id),
        visits=tuple(visits),
        wallets=_wallets(session, draw, card_id),
        got=got,
        answered=answered,
        **own,
    )
    for visit in visits:
        session.add(_purchase(shop, member_id, visit))
    session.add(_purchase(shop, member_id, Visit(NOW - timedelta(hours=1), 99_999, shop.location.id), undone=True))
    return member_id, facts


def _visits(draw: random.Random, book: Book) -> list[Visit]:
    days = draw.sample(
        (0.01, 0.99, 1, 1.01, 2.5, 3, 9.9, 10, 29, 30, 31, 59, 60, 61, 365), draw.choice((0, 0, 1, 3, 8))
    )
    places = (*book.things["locations"][:2], None)
    return [Visit(NOW - timedelta(days=ago), draw.choice((None, 0, 1, 500, 800)), draw.choice(places)) for ago in days]


def _purchase(shop: Shop, member_id: UUID, visit: Visit, *, undone: bool = False) -> Purchase:
    return Purchase(
        program_id=shop.program.id,
        member_id=member_id,
        at=visit.at,
        recorded_at=visit.at,
        amount_minor=visit.amount_minor,
        location_id=visit.location_id,
        undone_at=NOW if undone else None,
    )


def _consents(session: Any, draw: random.Random, member_id: UUID) -> bool:
    answers = draw.choice(((), (True,), (False,), (True, False), (False, True), (True, False, True)))
    for place, granted in enumerate(answers):
        session.add(_consent(member_id, "sms_marketing", granted, place))
    session.add(_consent(member_id, "terms", not (answers and answers[-1]), 9))
    return bool(answers) and answers[-1]


def _consent(member_id: UUID, purpose: str, granted: bool, place: int) -> Consent:
    at = NOW - timedelta(days=50 - place)
    return Consent(member_id=member_id, purpose=purpose, granted=granted, source="web", wording="", at=at)


def _class(session: Any, draw: random.Random, shop: Shop, book: Book, member_id: UUID) -> UUID | None:
    class_id: UUID | None = draw.choice((*book.things["classes"], None))
    if class_id is not None or draw.random() < 0.5:
        figures = {"purchases": 0, "spent_minor": 0, "recency": 1, "frequency": 1, "money": 1}
        session.add(MemberClass(member_id=member_id, program_id=shop.program.id, class_id=class_id, **figures))
    return class_id


def _lists(session: Any, draw: random.Random, book: Book, member_id: UUID) -> frozenset[UUID]:
    on = frozenset(one for one in book.things["lists"] if draw.random() < 0.5)
    session.add_all(PhoneListMember(list_id=one, member_id=member_id) for one in on)
    return on


def _groups(session: Any, draw: random.Random, book: Book, member_id: UUID) -> frozenset[UUID]:
    inside = frozenset(one for one in book.things["groups"][:2] if draw.random() < 0.5)
    session.add_all(GroupMember(group_id=one, member_id=member_id, since=NOW) for one in inside)
    return inside


def _chosen(session: Any, draw: random.Random, book: Book, member_id: UUID) -> frozenset[str]:
    answer = draw.choice((*book.things["answers"][:2], None))
    if answer is None:
        return frozenset()
    question, _, number = answer.partition(".")
    session.add(JoinAnswer(member_id=member_id, question_id=UUID(question), answer=number))
    return frozenset({answer})


def _nps(session: Any, draw: random.Random, shop: Shop, member_id: UUID) -> str:
    scores = draw.choice(((), (10,), (7, None), (9, 6), (0, 8), (8, 9, None)))
    for place, score in enumerate(scores):
        at = NOW - timedelta(days=90 - place)
        asked = {"token": uuid4().hex[:12], "asked_at": at, "answered_at": at if score is not None else None}
        session.add(NpsAsk(program_id=shop.program.id, member_id=member_id, score=score, **asked))
    answers = [score for score in scores if score is not None]
    return group_of(answers[-1]).value if answers else ""


def _wallets(session: Any, draw: random.Random, card_id: UUID) -> frozenset[str]:
    wallets = frozenset(name for name in ("apple", "google") if draw.random() < 0.5)
    if "apple" in wallets:  # two phones, which are still one member
        for place in range(2):
            device = AppleDevice(
                id=uuid4(), library_identifier=f"{card_id}{place}", pass_type="p", push_token="t", token_at=NOW
            )
            session.add(device)
            session.flush()
            session.add(AppleRegistration(device_id=device.id, card_id=card_id, registered_at=NOW))
    if "google" in wallets or draw.random() < 0.5:
        session.add(GoogleObject(card_id=card_id, installs=int("google" in wallets)))
    return wallets


def _campaigns(
    session: Any, draw: random.Random, shop: Shop, runs: list[CampaignRun], member_id: UUID
) -> tuple[frozenset[UUID], frozenset[UUID]]:
    got, answered = set(), set()
    for run in runs:
        state = draw.choice((None, RecipientState.HANDED, RecipientState.HANDED, *RecipientState))
        clicks = draw.choice((None, None, *ClickKind))
        if state is None:
            continue
        recipient = CampaignRecipient(
            program_id=shop.program.id,
            campaign_id=run.campaign_id,
            run_id=run.id,
            member_id=member_id,
            phone_check=0,
            occasion="once",
            token=uuid4().hex[:10],
            state=state,
            due_at=run.due_at,
            handed_at=run.due_at + timedelta(days=runs.index(run)) if state is RecipientState.HANDED else None,
        )
        session.add(recipient)
        session.flush()
        if clicks is not None:
            session.add_all(LinkClick(recipient_number=recipient.number, kind=clicks, at=NOW) for _ in range(2))
        if state is RecipientState.HANDED:
            got.add(run.campaign_id)
            if clicks is ClickKind.PERSON:
                answered.add(run.campaign_id)
    sent = {run.campaign_id: run.due_at + timedelta(days=runs.index(run)) for run in runs}
    if draw.random() < 0.3:
        wrote = NOW - timedelta(days=draw.choice((21, 20, 19.5, 14, 13, 12.5, 12, 1)))
        message = {"phone": "+358501", "language": "en", "direction": Direction.IN, "created_at": wrote}
        session.add(SmsMessage(program_id=shop.program.id, member_id=member_id, **message))
        answered |= {one for one in got if sent[one] <= wrote < sent[one] + timedelta(days=7)}
    return frozenset(got), frozenset(answered)
