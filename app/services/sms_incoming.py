"""What people text to the shop: codes to join, words to stop and start, and everything else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from limits import parse
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.messages import Direction, JoinCode, SmsMessage
from app.db.people import Consent, Member, MemberStatus
from app.db.programs import Program
from app.logs import log
from app.services import limits, members, sms_rules, sms_sending, sms_texts
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.members import JoinRequest
from sms import keywords

# One helpful reply a day to what we do not understand, so that two machines never talk to each other for long.
_HELPFUL = parse("1 per day")
# Whoever texts without end is answered no more: each answer costs money.
_ANSWERS = parse("10 per day")
# A credit code is money: it does not rest in a conversation.
HIDDEN_CODE = "•••••••"
_SEVEN_DIGITS = re.compile(r"(?<!\d)\d(?:[ -]?\d){6}(?!\d)")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST = 1600


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message to the shop. `provider_id` is the provider's own, by which a repeat is known."""

    provider: str
    provider_id: str
    phone: str
    body: str
    answered: bool = False  # the provider took it for STOP, START or HELP, and has replied by itself


def receive(ctx: Context, incoming: Incoming) -> None:
    """Take a message in and do what it asks for, in one transaction. A repeat of one that was taken does nothing.

    A sender that is no phone number (a short code, a name) can be neither answered nor made a member: it is left out.
    """
    if not _NUMBER.fullmatch(incoming.phone):
        log().info("sms.not_from_a_phone", provider=incoming.provider)
        return
    meant = keywords.read(incoming.body)
    with ctx.sessions.begin() as session:
        message_id = session.execute(
            insert(SmsMessage)
            .values(
                id=uuid7(),
                direction=Direction.IN,
                phone=incoming.phone,
                language="en",
                text=_kept(incoming.body, meant),
                provider=incoming.provider,
                provider_id=incoming.provider_id,
                template="",
                params={},
                marketing=False,
                flagged=False,
                reason="",
                code="",
                created_at=clock.now(),
            )
            .on_conflict_do_nothing(index_elements=["provider_id"])
            .returning(SmsMessage.id)
        ).scalar()
        if message_id is not None:
            _act(ctx, session, session.get_one(SmsMessage, message_id), meant, answered=incoming.answered)


def _kept(body: str, meant: keywords.Meant) -> str:
    """What rests of a message: without anything that could be a credit code, and NUL, which cannot be kept."""
    if isinstance(meant, keywords.CreditCode):
        return HIDDEN_CODE
    return _SEVEN_DIGITS.sub(HIDDEN_CODE, body.replace("\0", ""))[:_LONGEST]


def _act(ctx: Context, session: Session, message: SmsMessage, meant: keywords.Meant, *, answered: bool) -> None:
    known = session.scalars(select(Member).where(Member.phone == message.phone).order_by(Member.joined_at.desc())).all()
    if known:
        message.member_id, message.program_id = known[0].id, known[0].program_id
        message.language = known[0].language
    twilio = message.provider == "twilio"
    match meant:
        case keywords.JoinCode(digits):
            _join(ctx, session, message, digits)
        case keywords.Stop(by_provider):
            _consent(session, message, known, granted=False)
            if not (answered or (twilio and by_provider)):
                _reply(ctx, session, message, sms_texts.STOPPED)
        case keywords.Start(by_provider):
            _consent(session, message, known, granted=True)
            if not (answered or (twilio and by_provider)):
                _reply(ctx, session, message, sms_texts.STARTED)
        case keywords.Help(by_provider):
            if not (answered or (twilio and by_provider)):
                _reply(ctx, session, message, sms_texts.HELP)
        case keywords.CreditCode():
            _help_once_a_day(ctx, session, message, sms_texts.CODE_AT_TILL)
        case keywords.Other(asks_to_stop):
            message.flagged = asks_to_stop
            _help_once_a_day(ctx, session, message, sms_texts.HELP)


def _join(ctx: Context, session: Session, message: SmsMessage, digits: str) -> None:
    code = session.scalars(select(JoinCode).where(JoinCode.code == digits, JoinCode.active)).one_or_none()
    if code is None:
        _help_once_a_day(ctx, session, message, sms_texts.WRONG_CODE)
        return
    program = session.get_one(Program, code.program_id)
    message.program_id, message.language = program.id, program.language
    request = JoinRequest(phone=message.phone, via=code.via, language=program.language)
    try:
        with session.begin_nested():
            member, new = members.join_within(ctx, session, program, Actor(program.id), request, source="sms")
    except (Refused, InvalidForm):
        _reply(ctx, session, message, sms_texts.BLOCKED)
        return
    message.member_id, message.language = member.id, member.language
    _reply(ctx, session, message, sms_texts.JOINED if new else sms_texts.CARD_LINK)


def _consent(session: Session, message: SmsMessage, known: Sequence[Member], *, granted: bool) -> None:
    """A word to stop or start holds for every programme that this number is in: people do not know of programmes."""
    for member in known:
        if granted and member.status is not MemberStatus.ACTIVE:
            continue
        session.add(
            Consent(
                id=uuid7(),
                member_id=member.id,
                purpose="sms_marketing",
                granted=granted,
                source="sms",
                wording=message.text,
                at=clock.now(),
            )
        )
        record(session, Actor(member.program_id), "consent.started" if granted else "consent.stopped", member.id)


def _help_once_a_day(ctx: Context, session: Session, message: SmsMessage, template: str) -> None:
    try:
        limits.spend(ctx, _HELPFUL, "sms-help", ctx.keyed_hash("sms-limit", message.phone))
    except Refused:
        return
    _reply(ctx, session, message, template)


def _reply(ctx: Context, session: Session, message: SmsMessage, template: str) -> None:
    """Answer, in the name of the sender's programme, or of the only one there is, if SMS go to this country."""
    program = _program(session, message)
    if program is None or not sms_rules.of(session, program).allow(message.phone):
        log().info("sms.unanswered")
        return
    try:
        limits.spend(ctx, _ANSWERS, "sms-answers", ctx.keyed_hash("sms-limit", message.phone))
    except Refused:
        log().info("sms.unanswered")
        return
    sms_sending.queue(
        session,
        program,
        message.phone,
        language=message.language,
        template=template,
        member_id=message.member_id,
    )


def _program(session: Session, message: SmsMessage) -> Program | None:
    """In whose name to answer. A stranger's message is the only programme's, if there is but one."""
    if message.program_id is not None:
        return session.get_one(Program, message.program_id)
    offered = session.scalars(select(Program).limit(2)).all()
    if len(offered) != 1:
        return None
    message.program_id, message.language = offered[0].id, offered[0].language
    return offered[0]
