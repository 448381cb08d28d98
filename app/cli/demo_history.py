"""The last months of the demo's café: who came when, what they bought and what they said of it.

Everything goes through the services, with the clock at that moment, so that every sum agrees with the ledger.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from app import clock
from app.loyalty.guarding import DEFAULTS, Rule
from app.services import guard, join_questions, member_groups, members, nps, purchases, referral_links, till, visits
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.purchases import Line, PurchaseRequest
from app.services.views import MemberView
from sms.phones import normalise

_CENTS: Mapping[str, int] = {
    "Coffee": 320,
    "Cappuccino": 450,
    "Latte": 480,
    "Tea": 300,
    "Cinnamon bun": 390,
    "Lunch of the day": 1290,
    "Salmon soup": 1350,
    "House blend 250 g": 990,
}
_BASKETS = (
    ("Cappuccino",),
    ("Coffee", "Cinnamon bun"),
    ("Lunch of the day", "Coffee"),
    ("Latte", "Latte", "Cinnamon bun"),
    ("Salmon soup",),
    ("Tea", "Cinnamon bun"),
    ("Lunch of the day", "Lunch of the day", "Cappuccino"),
    ("Coffee", "House blend 250 g"),
)
# name, language, channel, weeks since they joined, visits; the first is the demo's first member
_PEOPLE = (
    ("Aino Virtanen", "fi", "till", 20, 18),
    ("Eero Mäkinen", "fi", "table-4", 19, 8),
    ("Sanni Laine", "fi", "window", 18, 5),
    ("Paul Carter", "en", "window", 17, 4),
    ("Anna Kuznetsova", "ru", "receipt", 16, 6),
    ("Jussi Heikkinen", "fi", "till", 15, 3),
    ("Leila Ahmadi", "fa", "friend", 14, 6),
    ("Kaisa Nieminen", "fi", "table-4", 12, 5),
    ("Matti Saarinen", "fi", "window", 11, 4),
    ("Emma Wright", "en", "table-4", 10, 6),
    ("Igor Pavlov", "ru", "till", 9, 2),
    ("Noora Salo", "fi", "receipt", 8, 5),
    ("Ville Rantanen", "fi", "window", 7, 4),
    ("Reza Karimi", "fa", "table-4", 6, 4),
    ("Hanna Koski", "fi", "friend", 5, 4),
    ("Oskar Berg", "en", "window", 4, 4),
    ("Tuuli Aalto", "fi", "table-4", 4, 3),
    ("Marko Lehto", "fi", "till", 3, 3),
    ("Sofia Nyman", "en", "receipt", 2, 2),
    ("Pekka Ojala", "fi", "window", 1, 1),
)
FIRST_PHONE = "+358401234501"
_NEIGHBOURS = ("Aino Virtanen", "Eero Mäkinen", "Leila Ahmadi", "Noora Salo")
_FRIENDS = {"Leila Ahmadi": "Aino Virtanen", "Hanna Koski": "Emma Wright"}
_ASKED_AFTER = 2  # visits
_ANSWERS = {
    "Aino Virtanen": (10, "Paras kahvi Kalliossa."),
    "Eero Mäkinen": (9, ""),
    "Sanni Laine": (8, ""),
    "Paul Carter": (6, "A long queue at lunch in Kamppi."),
    "Anna Kuznetsova": (10, "Булочки!"),
    "Leila Ahmadi": (9, "قهوهٔ خوب و برخورد گرم."),
    "Kaisa Nieminen": (7, ""),
    "Matti Saarinen": (9, ""),
    "Emma Wright": (10, "They remember how I take it."),
    "Noora Salo": (9, ""),
    "Ville Rantanen": (5, "Keitto oli kylmää."),
    "Reza Karimi": (9, ""),
    "Hanna Koski": (10, ""),
    "Oskar Berg": (8, "More oat milk, please."),
    "Tuuli Aalto": (9, ""),
    "Marko Lehto": (10, ""),
}


@dataclass(slots=True)
class _Past:
    """What the telling needs to know. `cashiers` stand at one place each."""

    context: Context
    owner: Actor
    cashiers: list[Actor]
    zone: ZoneInfo
    question: UUID
    chance: Random
    now: datetime
    known: dict[str, UUID]


def tell(context: Context, owner: Actor, cashiers: list[Actor], time_zone: str) -> None:
    """Have the café's first months happen. Who is a member already has had theirs."""
    question = join_questions.rows(context, owner)[0].question.id
    chance = Random(2027)  # noqa: S311 - the same café every time
    past = _Past(context, owner, cashiers, ZoneInfo(time_zone), question, chance, clock.now(), {})
    [group] = [size.group.id for size in member_groups.every(context, owner)]
    for number, (name, language, via, weeks, times) in enumerate(_PEOPLE):
        phone = normalise(FIRST_PHONE if number == 0 else f"+3584012346{number:02d}", "FI")
        moments = _moments(past, weeks, times)
        member = _joined(past, phone, name, language, via, moments[0] - timedelta(minutes=5))
        if member is None:
            continue
        past.known[name] = member.id
        if name in _NEIGHBOURS:
            member_groups.put(context, owner, group, member.id)
        for visit, moment in enumerate(moments, start=1):
            cashier = cashiers[(number + visit // 3) % len(cashiers)]
            _come(past, cashier, member, moment, at_the_door=visit % 4 == 0)
            _let_the_guard_forget(past, cashier, member)
            if visit == min(_ASKED_AFTER, times) and name in _ANSWERS:
                _answer(past, member, moment + timedelta(minutes=40), *_ANSWERS[name])


def is_member(context: Context, actor: Actor, phone: str) -> bool:
    """Whether this number is known; who has left or is blocked stays so."""
    try:
        members.find(context, actor, phone)
    except Refused:
        return False
    return True


def _moments(past: _Past, weeks: int, times: int) -> list[datetime]:
    """When somebody came: in opening hours, spread over the weeks up to yesterday."""
    days = sorted(past.chance.sample(range(1, weeks * 7 + 1), min(times, weeks * 7)), reverse=True)
    today = past.now.astimezone(past.zone).date()
    return [
        datetime.combine(
            today - timedelta(days=ago), time(past.chance.choice((8, 8, 9, 11, 12, 12, 13, 14, 15, 17)), 5), past.zone
        ).astimezone(UTC)
        + timedelta(minutes=past.chance.randrange(50))
        for ago in days
    ]


def _joined(past: _Past, phone: str, name: str, language: str, via: str, moment: datetime) -> MemberView | None:
    """The new member; None when they are one already."""
    if is_member(past.context, past.owner, phone):
        return None
    request = members.JoinRequest(
        phone=phone,
        name=name,
        language=language,
        via=via,
        birth_date=datetime(1970 + past.chance.randrange(35), 1 + past.chance.randrange(12), 9, tzinfo=UTC).date(),
        consents={"sms_marketing": "Offers by SMS"} if past.chance.random() < 0.6 else {},
        referral=referral_links.code_of(past.context, past.known[_FRIENDS[name]]) if name in _FRIENDS else "",
        answers={str(past.question): str(past.chance.randrange(4))},
    )
    with clock.pretending(moment):
        return members.join(past.context, past.owner, request, source="web")[0]


def _come(past: _Past, cashier: Actor, member: MemberView, moment: datetime, *, at_the_door: bool) -> None:
    """One visit: perhaps past the door, something bought, now and then a reward used."""
    bought = past.chance.choice(_BASKETS)
    lines = [Line(name=product, amount_minor=_CENTS[product]) for product in bought]
    if at_the_door:
        with clock.pretending(moment - timedelta(minutes=4)):
            visits.record(past.context, cashier, member.card_code)
    sum_minor = sum(line.amount_minor or 0 for line in lines)
    with clock.pretending(moment):
        request = PurchaseRequest(sum_minor, member_id=member.id, lines=lines)
        done, _ = purchases.record(past.context, cashier, request)
    if done["rewards"] and past.chance.random() < 0.5:
        with clock.pretending(moment + timedelta(seconds=20)):
            _use(past, cashier, member, members.by_id(past.context, past.owner, member.id).rewards[0].id)


def _use(past: _Past, cashier: Actor, member: MemberView, reward_id: UUID) -> None:
    try:
        till.redeem_reward(past.context, cashier, reward_id, card_code=member.card_code)
    except Refused:
        return  # not on this day of the week


def _let_the_guard_forget(past: _Past, cashier: Actor, member: MemberView) -> None:
    """It counts by the real clock, on which all of this is one minute's doing."""
    counted = {Rule.MEMBER_STAMPS: member.id, Rule.MEMBER_USES: member.id, Rule.MEMBER_VISITS: member.id}
    for rule, subject in (counted | {Rule.TILL_STAMPS: cashier.scope}).items():
        guard.forget(past.context, past.owner.program_id, rule, subject, DEFAULTS[rule])


def _answer(past: _Past, member: MemberView, moment: datetime, score: int, comment: str) -> None:
    with clock.pretending(moment):
        token = nps.token_for(past.context, member.id, nps.VISIT)
        nps.answer(past.context, token, {"score": str(score), "comment": comment})
