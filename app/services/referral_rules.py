"""What a programme gives for friends whom its members bring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.bonus import BonusKind
from app.db.programs import Program
from app.db.referrals import ReferralRules, RewardedOn
from app.db.rewards import RewardType
from app.i18n import LANGUAGES, N_
from app.loyalty.referrals import NOTHING, Gift
from app.services import bonus_rules, refresh
from app.services.audit import record
from app.services.bonus_rules import money_typed
from app.services.bonus_words import Naming
from app.services.context import Actor, Context
from app.services.errors import InvalidForm
from app.services.forms import FormReader
from app.services.programs import ProgramView
from app.services.recent import Recent

LONGEST_TEXT = 300
MOST_STAMPS, MOST_BONUS, MOST_FRIENDS = 30, 10**7, 1000
SIDES = ("referrer", "friend")


@dataclass(frozen=True, slots=True)
class Rules:
    """`month_limit`: for how many friends a month one member is rewarded. `texts`: {language: what the link says}."""

    active: bool = False
    rewarded_on: RewardedOn = RewardedOn.PURCHASE
    referrer: Gift = NOTHING
    friend: Gift = NOTHING
    month_limit: int = 10
    texts: Mapping[str, str] = field(default_factory=dict)

    def invitation(self, language: str, otherwise: str) -> str:
        """What the owner wrote for those who are given a link; empty when nothing."""
        return self.texts.get(language) or self.texts.get(otherwise, "")


# Saving the rules makes another version of the programme.
_rules: Recent[Rules] = Recent(256)
USUAL = Rules(referrer=Gift(stamps=1), friend=Gift(stamps=1))


def of(session: Session, program: Program) -> Rules:
    """The programme's rules, in the caller's transaction."""
    return _rules.get((program.id, program.version), lambda: _read_row(session, program.id) or Rules())


def of_view(ctx: Context, program: ProgramView) -> Rules:
    """The programme's rules, for whoever shows them."""

    def read() -> Rules:
        with ctx.sessions() as session:
            return _read_row(session, program.id) or Rules()

    return _rules.get((program.id, program.version), read)


def saved(ctx: Context, actor: Actor) -> Rules:
    """The rules as they were saved, or what is usual before anything was."""
    with ctx.sessions() as session:
        return _read_row(session, actor.program_id) or USUAL


def _read_row(session: Session, program_id: UUID) -> Rules | None:
    row = session.get(ReferralRules, program_id)
    if row is None:
        return None
    return Rules(
        row.active,
        row.rewarded_on,
        Gift(row.referrer_stamps, row.referrer_bonus, row.referrer_reward_type_id),
        Gift(row.friend_stamps, row.friend_bonus, row.friend_reward_type_id),
        row.month_limit,
        row.texts,
    )


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be given: kinds of rewards, (id, name), and bonus as the programme counts it."""

    rewards: tuple[tuple[UUID, str], ...]
    bonus: Naming

    def name_of(self, reward_type_id: UUID | None) -> str:
        return dict(self.rewards).get(reward_type_id, "") if reward_type_id else ""


def choices(ctx: Context, program_id: UUID) -> Choices:
    with ctx.sessions() as session:
        return choices_within(session, session.get_one(Program, program_id))


def choices_within(session: Session, program: Program) -> Choices:
    rows = session.execute(
        select(RewardType.id, RewardType.name)
        .where(RewardType.program_id == program.id, RewardType.active)
        .order_by(RewardType.name)
    )
    bonus = bonus_rules.naming(program, bonus_rules.within(session, program.id))
    return Choices(tuple((id, name) for id, name in rows), bonus)


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Rules:
    """Set the rules: active ('on'), rewarded_on, month_limit; for each of SIDES <side>_stamps, <side>_bonus (in major
    units, or points) and <side>_reward (an id or empty); text_<language>. All cards are made again. Raises InvalidForm.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        rules = _read(form, choices_within(session, program))
        values = {
            "active": rules.active,
            "rewarded_on": rules.rewarded_on,
            "month_limit": rules.month_limit,
            "texts": dict(rules.texts),
        }
        for side, gift in zip(SIDES, (rules.referrer, rules.friend), strict=True):
            values |= {f"{side}_stamps": gift.stamps, f"{side}_bonus": gift.bonus}
            values[f"{side}_reward_type_id"] = gift.reward_type_id
        row = insert(ReferralRules).values(program_id=program.id, **values)
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_=values))
        program.version += 1
        refresh.announce(session, program.id)
        record(session, actor, "referral-rules.changed", program.id)
    return rules


def _read(form: Mapping[str, str], possible: Choices) -> Rules:
    reader = FormReader(form)
    referrer, friend = (_gift(reader, side, possible) for side in SIDES)
    active = form.get("active") == "on"
    if active and not (referrer or friend) and not reader.errors:
        reader.wrong("referrer_stamps", "nothing-given", N_("Choose what at least one of the two gets."))
    rules = Rules(
        active,
        RewardedOn(reader.choice("rewarded_on", set(RewardedOn), otherwise=RewardedOn.PURCHASE)),
        referrer,
        friend,
        reader.number("month_limit", 1, MOST_FRIENDS) or 1,
        {language: words for language in LANGUAGES if (words := reader.paragraphs(f"text_{language}", LONGEST_TEXT))},
    )
    if reader.errors:
        raise InvalidForm(reader.errors)
    return rules


def _gift(reader: FormReader, side: str, possible: Choices) -> Gift:
    bonus: int | None = 0
    if possible.bonus.kind is BonusKind.MONEY:
        bonus = reader.amount(f"{side}_bonus", possible.bonus.currency)
    elif possible.bonus.kind is BonusKind.POINTS:
        bonus = reader.number(f"{side}_bonus", 0, MOST_BONUS, optional=True)
    reward = reader.choice(f"{side}_reward", {str(id) for id, _ in possible.rewards} | {""})
    return Gift(
        reader.number(f"{side}_stamps", 0, MOST_STAMPS, optional=True) or 0,
        bonus or 0,
        UUID(reward) if reward else None,
    )


def as_typed(rules: Rules, possible: Choices) -> dict[str, str]:
    """The rules as the fields of their form."""
    typed = {
        "active": "on" if rules.active else "",
        "rewarded_on": rules.rewarded_on.value,
        "month_limit": str(rules.month_limit),
    }
    typed |= {f"text_{language}": words for language, words in rules.texts.items()}
    for side, gift in zip(SIDES, (rules.referrer, rules.friend), strict=True):
        typed[f"{side}_stamps"] = str(gift.stamps)
        typed[f"{side}_bonus"] = str(gift.bonus or "")
        if possible.bonus.kind is BonusKind.MONEY:
            typed[f"{side}_bonus"] = money_typed(gift.bonus, possible.bonus.currency)
        typed[f"{side}_reward"] = str(gift.reward_type_id or "")
    return typed
