"""Making a card's next version, with what its lock screen says. Works inside the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from app.db.ledger import Reward
from app.db.people import Member, MemberCard
from app.db.programs import Program
from app.i18n import N_, translator
from app.services import stamp_rules, wallets
from app.services.views import StampsView

_A_SECOND = timedelta(seconds=1)
_TOLD = "card_news"  # in the session, which is one transaction's
_BETWEEN = " – "


def announce(
    session: Session,
    program: Program,
    member: Member,
    at: datetime,
    rewards: list[Reward] | None = None,
    *,
    silent: bool = False,
    news: str = "",
    gift: bool = False,
) -> None:
    """Make the card's next version, with the news that its lock screen shows (unless `silent`), and tell its wallets.

    `news` in the member's language, instead of how many stamps there are now; `gift`: it is worth one of the few
    notifications that Google shows in a day.

    `changed_at` moves by at least a second, because Last-Modified counts in whole seconds. The database counts both:
    whoever waited for the member's lock read the card's row before the other till's change.
    """
    card = member.card
    card.version = MemberCard.version + 1
    card.changed_at = func.greatest(at.replace(microsecond=0), MemberCard.changed_at + _A_SECOND)
    further = stamp_rules.counts(session, program, [member.id]).get(member.id, ())
    last_but_one = not news and (
        member.stamps == program.stamps_needed - 1 or any(shown.have == shown.needed - 1 for shown in further)
    )
    milestone = not silent and (gift or bool(rewards) or last_but_one)
    if rewards or not news:
        reward = rewards[-1].name if rewards else ""
        news = stamps_news(program, member.language, member.stamps, reward, further)
    if not silent:
        # Before the wallets' rows are asked for, which writes the card: once is enough.
        card.news = _with_earlier(session, card.id, news, lasting=gift and not rewards)
    wallets.changed(session, program.id, {card.id: at}, news=not silent, milestone=milestone)


def renew(session: Session, program_id: UUID, card_ids: Sequence[UUID], at: datetime) -> None:
    """`announce` silently for many cards of a programme, whose members are locked."""
    changed_at = func.greatest(at.replace(microsecond=0), MemberCard.changed_at + _A_SECOND)
    session.execute(
        update(MemberCard)
        .where(MemberCard.id.in_(card_ids))
        .values(version=MemberCard.version + 1, changed_at=changed_at)
        .execution_options(synchronize_session=False)
    )
    wallets.changed(session, program_id, dict.fromkeys(card_ids, at))


def _with_earlier(session: Session, card_id: UUID, news: str, *, lasting: bool) -> str:
    """The news after what this transaction has told of the card already, as far as that was `lasting`: a new tier is
    not forgotten for the stamp that came with it."""
    earlier: list[str] = session.info.setdefault(_TOLD, {}).setdefault(card_id, [])
    if lasting and news not in earlier:
        earlier.append(news)
    return _BETWEEN.join(earlier if lasting else [*earlier, news])


def stamps_news(
    program: Program, language: str, have: int, reward: str = "", further: Sequence[StampsView] = ()
) -> str:
    """What a lock screen shows of a card with so many stamps, or of the reward that it just gave. With `further` stamp
    cards it tells of each that has any."""
    text = translator(language)
    if reward:
        return text.gettext(N_("Your reward is here: %(reward)s"), reward=reward)
    if further:
        first = StampsView(None, program.stamp_card_name, have, program.stamps_needed, program.reward_name)
        begun = [shown for shown in (first, *further) if shown.have] or [first]
        return " – ".join(
            text.gettext(
                N_("%(card)s: %(have)s of %(needed)s"),
                card=shown.name or text.gettext(N_("Stamps")),
                have=shown.have,
                needed=shown.needed,
            )
            for shown in begun
        )
    return text.gettext(N_("You have %(have)s of %(needed)s stamps"), have=have, needed=program.stamps_needed)
