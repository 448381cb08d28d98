"""The SMS that tells a member of a credit: its words are made when it is sent, so that the code rests nowhere."""

from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.db.credit import Credit, CreditStatus
from app.db.messages import SmsMessage
from app.db.programs import Program
from app.i18n import Money, translator
from app.loyalty.credit import day_of, last_day
from app.services import credit_codes, sms_texts
from app.services.context import Context
from sms.codes import grouped


def body(ctx: Context, session: Session, program: Program, message: SmsMessage, *, hide_code: bool) -> str:
    """The text, in the message's language, with days in that language's calendar. Gives the credit a code when it has
    none yet. The words are the same whenever they are made, so that the provider's list can be searched for them.

    Raises Refused (code-space-full, code-lost).
    """
    credit = session.get_one(Credit, _credit_id(message))
    text = translator(message.language)
    code = sms_texts.HIDDEN_CREDIT_CODE if hide_code else grouped(credit_codes.code_for(ctx, session, credit))
    first = day_of(credit.valid_from, program.time_zone)
    later = first > day_of(credit.granted_at, program.time_zone)
    words = {
        "program": program.name,
        "amount": Money(credit.amount_minor, program.currency),
        "first": text.short_date(first),
        "day": text.short_date(last_day(credit.expires_at, program.time_zone)),
        "code": text.digits(code),
    }
    return sms_texts.render(sms_texts.CREDIT_LATER if later else sms_texts.CREDIT, message.language, words)


def is_over(session: Session, message: SmsMessage) -> bool:
    """Whether what the message would tell of can no longer be used: blocked, used up, lapsed or withdrawn."""
    credit = session.get(Credit, _credit_id(message))
    return credit is None or credit.status is not CreditStatus.OPEN or credit.expires_at <= clock.now()


def _credit_id(message: SmsMessage) -> UUID:
    return UUID(str(message.params["credit_id"]))
