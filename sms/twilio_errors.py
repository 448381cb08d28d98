"""Twilio's error codes and message statuses in our vocabulary.

Sources: https://www.twilio.com/docs/api/errors and https://www.twilio.com/docs/messaging/api/message-resource.
"""

import json

from sms.delivery_states import State
from sms.provider import SmsError
from sms.provider_line import Answer
from sms.reasons import Reason

REASONS = {
    10001: Reason.ACCOUNT,  # not active
    20003: Reason.ACCOUNT,  # wrong credentials
    20404: Reason.SETTINGS,  # no such account
    20429: Reason.BUSY,  # too many requests: not looked at
    21211: Reason.UNKNOWN_NUMBER,  # 'To' is no phone number
    21212: Reason.SENDER,  # 'From' is no phone number
    21214: Reason.UNKNOWN_NUMBER,
    21217: Reason.UNKNOWN_NUMBER,
    21266: Reason.UNKNOWN_NUMBER,  # 'To' and 'From' are the same
    21408: Reason.COUNTRY,
    21602: Reason.TEXT,  # no body
    21603: Reason.SETTINGS,  # no 'From'
    21606: Reason.SENDER,  # 'From' is not ours, or not for SMS
    21608: Reason.ACCOUNT,  # a trial account sends to verified numbers only
    21609: Reason.SETTINGS,  # 'StatusCallback' is no URL
    21610: Reason.OPTED_OUT,
    21611: Reason.BUSY,  # ten hours' worth of messages wait for this sender
    21612: Reason.UNREACHABLE,  # not from this sender to that number
    21614: Reason.NO_SMS,
    21617: Reason.TEXT,  # more than 1,600 characters
    21660: Reason.SENDER,  # 'From' belongs to another account
    21703: Reason.SENDER,  # the Messaging Service has no senders
    21705: Reason.SETTINGS,  # no such Messaging Service
    30001: Reason.BUSY,  # the same as 21611, of a Messaging Service
    30002: Reason.ACCOUNT,  # suspended
    30003: Reason.UNREACHABLE,
    30004: Reason.BLOCKED,
    30005: Reason.UNKNOWN_NUMBER,
    30006: Reason.NO_SMS,
    30007: Reason.FILTERED,
    30008: Reason.UNDELIVERED,
    30017: Reason.BUSY,  # the phone company's network is congested
    30018: Reason.SENDER,  # the country wants sender names registered
    30022: Reason.BUSY,  # US: the campaign's messages per second
    30023: Reason.BUSY,  # US: the brand's messages per day
    30032: Reason.SENDER,  # toll-free number not verified
    30034: Reason.SENDER,  # US: number without a campaign
    30036: Reason.EXPIRED,
    30042: Reason.SENDER,  # generic or ill-formed sender name
    30450: Reason.PUMPING,
    30453: Reason.PUMPING,
    63038: Reason.ACCOUNT,  # the account's messages per day
}
STATES = {
    "scheduled": State.ACCEPTED,
    "accepted": State.ACCEPTED,
    "queued": State.ACCEPTED,
    "sending": State.ACCEPTED,
    "sent": State.SENT,
    "failed": State.FAILED,
    "canceled": State.FAILED,
    "undelivered": State.UNDELIVERED,
    "partially_delivered": State.DELIVERED,
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
}
_ACCOUNT_STATUSES = {401: Reason.ACCOUNT, 403: Reason.ACCOUNT, 404: Reason.SETTINGS, 429: Reason.BUSY}


def reason(code: str | int | None) -> Reason:
    """The reason behind an error code as callbacks and answers have it."""
    text = str(code or "")
    return REASONS.get(int(text), Reason.UNKNOWN) if text.isascii() and text.isdigit() else Reason.UNKNOWN


def refusal(answer: Answer) -> SmsError:
    """What an answer other than 2xx says of a message."""
    code = _code(answer)
    if answer.status >= 500 or answer.status == 408:
        return SmsError.unanswered(str(code or answer.status))
    known = REASONS.get(code or 0) or _ACCOUNT_STATUSES.get(answer.status)
    word = str(code or answer.status)
    if known:
        return SmsError.refused(known, word, answer.retry_after)
    if answer.status == 400:  # it was read and refused: the same again would be, too
        return SmsError("Twilio does not take this message.", code=word, permanent=True)
    return SmsError.refused(Reason.SETTINGS, word)


def _code(answer: Answer) -> int | None:
    try:
        code = json.loads(answer.text)["code"]
    except (ValueError, TypeError, KeyError):
        return None
    return code if isinstance(code, int) else None
