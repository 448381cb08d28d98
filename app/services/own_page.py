"""What a customer sees and changes on their own page: who they are, their language, and what they want to hear."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.i18n import LANGUAGES, N_, translator
from app.services import consents, join_answers, join_rules, members, receipts, till
from app.services.audit import record
from app.services.card_news import announce
from app.services.consents import Word
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.join_rules import DETAILS, JoinForm
from app.services.members import JoinRequest, faults
from app.services.programs import ProgramView, program_view
from app.services.receipts import PurchaseView
from app.services.views import EntryView, MemberView

MOST_SHOWN = 100  # of receipts and of acts; the download has all
_ON_THE_CARD = ("name", "language")
SOURCE = "card_page"


@dataclass(frozen=True, slots=True)
class Hearing:
    """One thing that a member may want to hear: `granted` now, and `words` of before, the newest first."""

    purpose: str
    granted: bool
    words: list[Word]


@dataclass(frozen=True, slots=True)
class OwnPage:
    """`hearings`: offers by SMS, and whatever else the member was asked. `terms`: when and how they were accepted.

    `asked`: what newcomers are asked, `answers` what the member has answered of it, by the question's id.
    """

    member: MemberView
    program: ProgramView
    hearings: list[Hearing]
    terms: list[Word]
    asked: JoinForm
    answers: Mapping[str, str]

    @property
    def active(self) -> bool:
        return self.member.status is MemberStatus.ACTIVE

    @property
    def details(self) -> list[str]:
        """The details in the form: what is asked, and what the member has told when it was."""
        return [name for name in DETAILS if self.asked.asks(name) or getattr(self.member, name)]

    @property
    def missing(self) -> list[str]:
        """The fields of what whoever joins on the web must tell, and the member has not."""
        return list(self.asked.missing({name: getattr(self.member, name) for name in DETAILS}, self.answers))


def opened(ctx: Context, token: str) -> OwnPage:
    """The page that this card link opens. Raises Refused (404) for a token that opens nothing."""
    member = members.by_link(ctx, token)
    with ctx.sessions() as session:
        row = session.get_one(Program, member.program_id)
        program, asked = program_view(row), join_rules.of(session, row)
        answers = join_answers.held(session, member.id)
        words = consents.history(session, member.id)
    heard = {word.purpose for word in words}
    hearings = [
        Hearing(purpose, consents.agreed(words, purpose), [word for word in words if word.purpose == purpose])
        for purpose in consents.WORDINGS
        if purpose == consents.OFFERS_BY_SMS or purpose in heard
    ]
    terms = [word for word in words if word.purpose == consents.TERMS]
    return OwnPage(member, program, hearings, terms, asked, answers)


def receipts_of(ctx: Context, member: MemberView) -> list[PurchaseView]:
    """The member's newest purchases."""
    return receipts.newest(ctx, Actor(member.program_id), member.id, limit=MOST_SHOWN)


def receipt_of(ctx: Context, member: MemberView, purchase_id: UUID) -> PurchaseView:
    """One of the member's purchases. Raises Refused: purchase-not-found."""
    found = receipts.find(ctx, Actor(member.program_id), purchase_id)
    if found.member_id != member.id:
        raise Refused("purchase-not-found", N_("There is no such purchase."), status=404)
    return found


def history_of(ctx: Context, member: MemberView) -> list[EntryView]:
    """What happened on the member's card, the newest first."""
    return till.history(ctx, Actor(member.program_id), member.id, limit=MOST_SHOWN)


def as_typed(opened: OwnPage) -> dict[str, str]:
    """What the member told of themselves, as the fields of its form."""
    member = opened.member
    answers = {join_rules.field_of(question): answer for question, answer in opened.answers.items()}
    return answers | {
        "name": member.name,
        "language": member.language,
        "email": member.email,
        "birth_date": member.birth_date.isoformat() if member.birth_date else "",
        "city": member.city,
    }


def save_details(ctx: Context, token: str, form: Mapping[str, str]) -> None:
    """Change name, language, e-mail, birthday, city and the answers to the programme's questions. The card follows.

    Nothing is a must here. Raises InvalidForm, Refused (403, 404).
    """
    found = members.by_link(ctx, token)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, found.program_id)
        member = _locked(session, found)
        asked = join_rules.of(session, program)
        values, answers = _read(form, member, program, asked, join_answers.held(session, member.id))
        changed = sorted(name for name, value in values.items() if getattr(member, name) != value)
        for name in changed:
            setattr(member, name, values[name])
        if join_answers.change(session, member.id, join_rules.typed_answers(asked, form), answers):
            changed.append("answers")
        if not changed:
            return
        actor = Actor(program.id)
        record(session, actor, "member.changed-own-details", member.id, fields=changed)
        if any(name in _ON_THE_CARD for name in changed):
            announce(session, program, member, clock.now(), silent=True)


def set_hearing(ctx: Context, token: str, purpose: str, granted: bool, language: str) -> None:
    """Note what the member wants to hear, or no more; `language` is that of the page on which it was said.

    Saying it twice is the same as once. Who left may still say no. Raises Refused (403, 404).
    """
    if purpose not in consents.WORDINGS:
        raise Refused("consent-not-found", N_("There is nothing of this kind to agree to."), status=404)
    found = members.by_link(ctx, token)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, found.program_id)
        member = _locked(session, found, only_active=granted)
        words = consents.wording(purpose, granted, program.organization_name, translator(language))
        consents.change(session, Actor(program.id), member, purpose, granted=granted, source=SOURCE, wording=words)


def _locked(session: Session, found: MemberView, *, only_active: bool = True) -> Member:
    member = (
        session.scalars(select(Member).where(Member.id == found.id).with_for_update(of=Member, key_share=True))
        .unique()
        .one()
    )
    if only_active and member.status is not MemberStatus.ACTIVE:
        raise consents.ended(member.status)
    return member


def _read(
    form: Mapping[str, str], member: Member, program: Program, asked: JoinForm, held: Mapping[str, str]
) -> tuple[dict[str, object], dict[UUID, str]]:
    """The columns' values, and the answers. Raises InvalidForm."""
    reader = FormReader(form)
    values: dict[str, object] = {
        "name": reader.line("name", 80, optional=True),
        "language": reader.choice("language", LANGUAGES),
        "email": reader.line("email", 254, optional=True),
        "birth_date": reader.day("birth_date"),
        "city": reader.line("city", 60, optional=True),
    }
    birth_date = None if "birth_date" in reader.errors else reader.day("birth_date")
    typed = JoinRequest(phone=member.phone, email=str(values["email"]), birth_date=birth_date)
    errors = faults(typed, program.country) | reader.errors
    try:
        answers = join_rules.read_answers(asked, join_rules.typed_answers(asked, form), needed=False, held=held)
    except InvalidForm as invalid:
        raise InvalidForm(errors | invalid.errors) from None
    if errors:
        raise InvalidForm(errors)
    return values, answers
