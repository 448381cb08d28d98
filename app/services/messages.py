"""The messages that a shop sends by SMS, and who may cause them."""

from uuid import UUID

from limits import parse
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.logs import log
from app.services import limits, members, sms_sending, sms_texts
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.members import JoinRequest
from app.services.views import MemberView
from sms.phones import PhoneError, normalise

# A double click costs one message, and nobody's phone can be flooded through our join page.
_AT_ONCE = parse("1 per minute")
_A_DAY = parse("5 per day")


def join_and_send_link(ctx: Context, actor: Actor, request: JoinRequest, *, source: str) -> str:
    """Make someone a member and send them the link to their card; return the E.164 number it goes to.

    New, known and blocked numbers come to the same end, so that the join page does not tell who is a member. What is
    to be said to a blocked one is said by SMS. Raises InvalidForm.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        try:
            with session.begin_nested():
                member, _ = members.join_within(ctx, session, program, actor, request, source=source)
        except Refused as refusal:
            if refusal.kind != "member-blocked":
                raise
            phone = normalise(request.phone, program.country)
            if _may_send(ctx, phone):
                language = request.language or program.language
                sms_sending.queue(session, program, phone, language=language, template=sms_texts.BLOCKED)
            return phone
        _queue_link(ctx, session, program, member)
        return member.phone


def send_link_again(ctx: Context, program_id: UUID, typed: str) -> None:
    """Somebody has lost the card: send its link to this number, if it has one.

    Nothing tells whether it has. Raises InvalidForm when this is no number.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, program_id)
        try:
            phone = normalise(typed, program.country)
        except PhoneError as error:
            raise InvalidForm({"phone": Refused("invalid-phone", error.message, error.params, field="phone")}) from None
        member = session.scalars(
            select(Member).where(
                Member.program_id == program.id, Member.phone == phone, Member.status == MemberStatus.ACTIVE
            )
        ).one_or_none()
        if member is not None:
            _queue_link(ctx, session, program, member)


def send_card_link(ctx: Context, member: MemberView) -> None:
    """Send the link to the member's card, in the member's language."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, member.program_id)
        _queue_link(ctx, session, program, session.get_one(Member, member.id))


def _queue_link(ctx: Context, session: Session, program: Program, member: Member) -> None:
    if _may_send(ctx, member.phone):
        sms_sending.queue(
            session,
            program,
            member.phone,
            language=member.language,
            template=sms_texts.CARD_LINK,
            member_id=member.id,
        )


def _may_send(ctx: Context, phone: str) -> bool:
    """Not when this number has just got one: the earlier message says the same."""
    who = ctx.keyed_hash("sms-limit", phone)
    try:
        for limit in (_AT_ONCE, _A_DAY):
            limits.spend(ctx, limit, "card-link", who)
    except Refused:
        log().info("sms.withheld")
        return False
    return True
