"""Visits at the door: a card that is shown counts, once in the set hours. One call, one transaction."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import Reward
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_, translator
from app.loyalty.visits import OLDEST, moment_of
from app.services import guard, nps, recognise, tiering, till, visit_earning, visit_rules
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.ledger_book import occasion
from app.services.members import by_phone
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import settle
from app.services.visit_earning import Visited
from app.services.visit_rules import Goal, NextReward

_NEWS = N_("Visit %(visits)s. Visits left to %(reward)s: %(left)s")
_NEWS_ALONE = N_("Visit %(visits)s. Welcome!")


def record(
    ctx: Context,
    actor: Actor,
    code: str = "",
    *,
    card: str | None = None,
    phone: str | None = None,
    at: datetime | None = None,
    device_now: datetime | None = None,
    location: UUID | str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Count a visit of the member with this card, old card or phone number. `card` is never taken for a phone number,
    `phone` never for a card.

    `at` is when the card was shown, without it now; `device_now` is what the device's clock shows as it sends that.
    Which visits count: see app.loyalty.visits. What staff send shares its keys over the programme: a door's queue may
    be sent by whoever signs in there next.

    Returns {entry_id, member_id, card_code, counted, at, instead, visits, next_reward, rewards, issued}, and whether
    this repeats an earlier answer. `instead` is the visit because of which this one does not count. Raises InvalidForm
    (phone) and Refused: visits-off, not-started, visit-too-old, member-not-found, member-blocked, member-left,
    unreadable-code, two-members, location-not-found, guard-blocked, idempotency-key-reused.
    """
    now = clock.now()
    request = {"code": code, "card": card, "phone": phone, "at": at, "location": location}
    whose_keys = Actor(actor.program_id) if actor.staff_id else actor
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            moment = _moment(program, at, device_now, now)
            rules = visit_rules.within(session, program.id)
            if not rules.active:
                raise Refused(
                    "visits-off",
                    N_("This programme does not count visits. A manager can switch it on in the office."),
                    status=409,
                )
            place = till.place_of(session, actor, location)
            member = usable(session, actor, _who(session, program, code, card, phone))
            instead = visit_earning.instead(session, member, moment, rules)
            guard.watch(ctx, session, actor, guard.visit(member.id, too_soon=instead is not None))
            settle(session, member, now)
            what = occasion(actor, now, location_id=place)
            done = visit_earning.visit(session, program, member, what, moment, rules, instead)
            goals = visit_rules.goals_within(session, program.id)
            if done.counts:
                tiering.review(session, program, member, now)
                nps.visited(session, program, member, what, moment)
                news = _news(program, member, goals, done.issued)
                announce(session, program, member, now, done.issued, news=news)
            return _answer(program, member, what.operation_id, moment, done, visit_rules.next_of(goals, member.visits))

        return once(session, whose_keys, key, fingerprint("visit", request), act)


def _moment(program: Program, at: datetime | None, device_now: datetime | None, now: datetime) -> datetime:
    moment = moment_of(at, device_now, now)
    if moment is None:
        raise Refused(
            "visit-too-old",
            N_("This visit is too old to count. Visits can be sent for %(days)s days."),
            {"days": OLDEST.days},
            field="at",
        )
    if program.starts_on is not None and moment.astimezone(ZoneInfo(program.time_zone)).date() < program.starts_on:
        raise Refused(
            "not-started",
            N_("The programme starts on %(day)s. Visits count from that day."),
            {"day": program.starts_on},
            status=409,
        )
    return moment


def _who(session: Session, program: Program, code: str, card: str | None, phone: str | None) -> ColumnElement[bool]:
    if phone is not None:
        return by_phone(program, phone)
    if card is not None:
        return Member.id == recognise.whose(session, program, card, card_only=True)
    return Member.id == recognise.whose(session, program, code)


def _news(program: Program, member: Member, goals: list[Goal], issued: list[Reward]) -> str:
    """What the card says on its lock screen; a reward says it better."""
    if issued:
        return ""
    text, coming = translator(member.language), visit_rules.next_of(goals, member.visits)
    if coming is None:
        return text.gettext(_NEWS_ALONE, visits=member.visits)
    return text.gettext(_NEWS, visits=member.visits, reward=coming.reward, left=coming.visits_left)


def _answer(
    program: Program, member: Member, operation_id: UUID, moment: datetime, done: Visited, coming: NextReward | None
) -> Answer:
    shown = till.balance_after(program, member, operation_id, done.issued)
    return {
        "entry_id": str(operation_id) if done.counts else None,
        "counted": done.counts,
        "at": moment.isoformat(),
        "instead": done.instead.isoformat() if done.instead else None,
        "visits": member.visits,
        "next_reward": {"name": coming.reward, "visits_left": coming.visits_left} if coming else None,
        **{name: shown[name] for name in ("member_id", "card_code", "rewards", "issued")},
    }
