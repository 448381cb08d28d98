"""A campaign's text as one member reads it: what is written of them, in their language."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from babel.numbers import get_currency_precision
from sqlalchemy import and_, func, select, true
from sqlalchemy.orm import Session

from app.db.campaigns import Benefit
from app.db.credit import Credit, CreditStatus
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_, translator
from app.loyalty import campaign_text
from app.loyalty.credit import day_of, last_day
from app.services import sms_texts
from app.services.context import Context
from app.services.forms import plain_line

STOP_BY_WORD = N_("No offers: reply STOP")
STOP_BY_LINK = N_("No offers: %(link)s")
HIDDEN_OPT_OUT = "…/u/…"  # as staff may read it: whoever has the token has the personal link
TOKEN_LENGTH = 10  # of a personal link
_EXAMPLE_CODE = "1234567"
_LIKELY_NAMES = {
    "en": "Christopher Montgomery",
    "fi": "Anna-Kaisa Kauppinen",
    "ru": "Александра Константинова",
    "fa": "محمدرضا حسینی‌نژاد",
}
_LIKELY_CREDIT_UNITS = 25
_LIKELY_DAY = date(2026, 12, 31)


@dataclass(frozen=True, slots=True)
class Sender:
    """What a programme's messages have in common. `replies`: people can text back to where they come from."""

    program: str
    reward: str
    currency: str
    language: str
    base_url: str
    replies: bool


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """What a text may say of one member. `credit_minor` can be used now; `credit_until` is the last day of the credit
    that lapses first. `code` is that of the credit that comes with the campaign, digits only."""

    sender: Sender
    language: str
    name: str = ""
    stamps: int = 0
    stamps_left: int = 0
    credit_minor: int = 0
    credit_until: date | None = None
    code: str = ""


def sender_of(ctx: Context, program: Program) -> Sender:
    return Sender(
        program.name,
        program.reward_name,
        program.currency,
        program.language,
        ctx.settings.base_url,
        bool(ctx.settings.texting_number),
    )


def facts_of(
    ctx: Context, session: Session, program: Program, member_ids: Collection[UUID], now: datetime
) -> dict[UUID, MemberFacts]:
    """The facts of these members, in one query."""
    sender = sender_of(ctx, program)
    usable = and_(
        Credit.member_id == Member.id,
        Credit.status == CreditStatus.OPEN,
        Credit.valid_from <= now,
        Credit.expires_at > now,
    )
    credit = (
        select(func.sum(Credit.balance_minor).label("minor"), func.min(Credit.expires_at).label("until"))
        .where(usable)
        .correlate(Member)
        .lateral()
    )
    rows = session.execute(
        select(Member.id, Member.language, Member.name, Member.stamps, credit.c.minor, credit.c.until)
        .join_from(Member, credit, true())
        .where(Member.id.in_(member_ids))
    )
    return {
        member_id: MemberFacts(
            sender,
            language,
            name,
            stamps,
            max(program.stamps_needed - stamps, 0),
            int(minor or 0),
            last_day(until, program.time_zone) if until else None,
        )
        for member_id, language, name, stamps, minor, until in rows
    }


def with_benefit(facts: MemberFacts, content: Mapping[str, object], program: Program, now: datetime) -> MemberFacts:
    """The facts as they will be when the campaign's credit has been given; its code is an example."""
    benefit = content.get("benefit")
    if not isinstance(benefit, Mapping) or benefit.get("kind") != Benefit.CREDIT:
        return facts
    until = day_of(now, program.time_zone) + timedelta(days=int(benefit["days"]))
    return replace(
        facts,
        credit_minor=facts.credit_minor + int(benefit["minor"]),
        credit_until=min(facts.credit_until or until, until),
        code=_EXAMPLE_CODE,
    )


def likely(sender: Sender, language: str) -> MemberFacts:
    """Somebody with a rather long name: for counting parts before anybody is chosen."""
    return MemberFacts(
        sender,
        language,
        _LIKELY_NAMES.get(language, _LIKELY_NAMES["en"]),
        stamps=10,
        stamps_left=10,
        credit_minor=_LIKELY_CREDIT_UNITS * 10 ** get_currency_precision(sender.currency),
        credit_until=_LIKELY_DAY,
        code=_EXAMPLE_CODE,
    )


def text_for(texts: Mapping[str, str], language: str, otherwise: str) -> tuple[str, str]:
    """The text that somebody of this language gets, and the language it is in: theirs, else that of the programme."""
    for wanted in (language, otherwise, *texts):
        if texts.get(wanted, "").strip():
            return texts[wanted], wanted
    return "", otherwise


def body(
    content: Mapping[str, object],
    facts: MemberFacts,
    token: str,
    variant: str = "a",
    *,
    link: str = "",
    hide_code: bool = False,
) -> str:
    """The text that a run's `content` has for this member. `token` is their personal link's.

    `link` stands in the place of the personal link, where there is none (a test message). `hide_code`: as staff may
    read it later, without the code and the personal way out.
    """
    texts = content["texts"]
    if not isinstance(texts, Mapping):
        raise TypeError("a run's texts are a mapping")
    text, language = text_for(texts.get(variant) or texts["a"], facts.language, facts.sender.language)
    return campaign_text.render(text, values(content, facts, token, language, link=link, hide_code=hide_code))


def values(
    content: Mapping[str, object],
    facts: MemberFacts,
    token: str,
    language: str,
    *,
    link: str = "",
    hide_code: bool = False,
) -> dict[str, str]:
    """What stands for each field, as people of this language write numbers, money and days."""
    text, sender = translator(language), facts.sender
    name = plain_line(facts.name, len(facts.name))
    opt_out = HIDDEN_OPT_OUT if hide_code else f"{sender.base_url}/u/{token}"
    return {
        "first_name": name.partition(" ")[0],
        "name": name,
        "stamps": text.number(facts.stamps),
        "stamps_left": text.number(facts.stamps_left),
        "reward": _reward(content, sender),
        "credit": text.money(facts.credit_minor, sender.currency) if facts.credit_minor else "",
        "credit_until": text.short_date(facts.credit_until) if facts.credit_until else "",
        "code": sms_texts.HIDDEN_CREDIT_CODE if facts.code and hide_code else text.digits(facts.code),
        "program": sender.program,
        "link": (link or f"{sender.base_url}/l/{token}") if content.get("link") else "",
        "stop": text.gettext(STOP_BY_WORD) if sender.replies else text.gettext(STOP_BY_LINK, link=opt_out),
    }


def _reward(content: Mapping[str, object], sender: Sender) -> str:
    """The reward that comes with the campaign, else the one that a full card gives."""
    benefit = content.get("benefit")
    if isinstance(benefit, Mapping) and benefit.get("kind") == Benefit.REWARD:
        return str(benefit.get("name") or sender.reward)
    return sender.reward
