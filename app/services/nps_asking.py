"""The task that brings a question to its member, some time after the visit: news on the card, or an SMS."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.messages import SmsMessage
from app.db.nps import AskBy, NpsAsk
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.i18n import N_, translator
from app.loyalty.nps import is_open
from app.services import nps_rules, sms_gate, sms_rules, sms_sending, sms_texts, tasks
from app.services.card_news import announce
from app.services.context import Context
from app.services.nps import TASK

_NEWS = N_("How did we do? Your answer takes a minute: see the back of this card.")


def bring(ctx: Context, ask_id: UUID, _until: float) -> bool:
    """Ask, unless the answer is there already. Twice is the same as once.

    By SMS only whom offers by SMS may go to: to most laws a question is one, too. The others see it on their card.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        ask = session.get(NpsAsk, ask_id)
        if ask is None or ask.answered_at is not None or not is_open(ask.asked_at, None, now):
            return True
        query = select(Member).where(Member.id == ask.member_id).with_for_update(of=Member, key_share=True)
        member = session.scalars(query).unique().one()
        program = session.get_one(Program, ask.program_id)
        rules = nps_rules.of(session, program)
        if not rules.active or member.status is not MemberStatus.ACTIVE:
            return True
        quiet = sms_rules.of(session, program).quiet.held_until(now)
        if quiet is not None:  # a phone that lights up at night would get a poor answer
            tasks.start(session, program.id, TASK, ask.id, quiet)
        elif rules.ask_by is AskBy.SMS and sms_gate.wants_offers(session, member.id):
            _by_sms(session, program, member, ask)
        else:
            _on_card(session, program, member, now)
    return True


def _by_sms(session: Session, program: Program, member: Member, ask: NpsAsk) -> None:
    sent = select(SmsMessage.id).where(
        SmsMessage.member_id == member.id,
        SmsMessage.template == sms_texts.NPS,
        SmsMessage.created_at >= ask.asked_at,
    )
    if session.scalars(sent.limit(1)).first() is None:
        sms_sending.queue(
            session,
            program,
            member.phone,
            language=member.language,
            template=sms_texts.NPS,
            params={"ask": str(ask.id)},
            member_id=member.id,
            marketing=True,
        )


def _on_card(session: Session, program: Program, member: Member, now: datetime) -> None:
    announce(session, program, member, now, news=translator(member.language).gettext(_NEWS), gift=True)
