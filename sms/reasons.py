"""Why a message was not taken or did not arrive, in one vocabulary for all providers.

Each adapter has a table from its provider's codes to these reasons. A code that is in no table is UNKNOWN, and is kept
as it came.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What lies behind a provider's code. The values are kept in the database."""

    UNREACHABLE = "unreachable"
    UNDELIVERED = "undelivered"
    UNKNOWN_NUMBER = "unknown-number"
    NO_SMS = "no-sms"
    BLOCKED = "blocked"
    FILTERED = "filtered"
    OPTED_OUT = "opted-out"
    COUNTRY = "country"
    TEXT = "text"
    BUSY = "busy"
    EXPIRED = "expired"
    SENDER = "sender"
    ACCOUNT = "account"
    SETTINGS = "settings"
    PUMPING = "pumping"
    OUTDATED = "outdated"
    ERASED = "erased"
    CAMPAIGN_STOPPED = "campaign-stopped"
    CAMPAIGN_PAUSED = "campaign-paused"
    QUIET_HOURS = "quiet-hours"
    DAILY_CAP = "daily-cap"
    NUMBER_CAP = "number-cap"
    NO_CONNECTION = "no-connection"
    NO_ANSWER = "no-answer"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What follows from a reason.

    `words` tell it to the shop's staff: an English sentence, which is also the key of its translations. `permanent`:
    the same message to the same number has no hope. `stop`: nothing more should be sent through this provider until
    somebody has looked, since every message would fail, or cost money for nothing.
    """

    words: str
    permanent: bool = False
    stop: bool = False


MEANINGS = {
    Reason.UNREACHABLE: Meaning("The phone is switched off or out of reach. It may work later."),
    Reason.UNDELIVERED: Meaning("The phone company did not deliver the message and did not say why."),
    Reason.UNKNOWN_NUMBER: Meaning("There is no phone with this number.", permanent=True),
    Reason.NO_SMS: Meaning("This number is a landline or cannot get text messages.", permanent=True),
    Reason.BLOCKED: Meaning("The phone or its company blocks our messages.", permanent=True),
    Reason.FILTERED: Meaning("The phone company took the message for advertising or fraud.", permanent=True),
    Reason.OPTED_OUT: Meaning("The person has asked for no more messages.", permanent=True),
    Reason.COUNTRY: Meaning(
        "SMS do not go to this country: see the SMS settings, and the SMS account.", permanent=True
    ),
    Reason.TEXT: Meaning("The text is too long, or holds something that cannot be sent.", permanent=True),
    Reason.BUSY: Meaning("Too many messages are waiting at the provider. It is tried again later."),
    Reason.EXPIRED: Meaning("The message waited too long at the provider and was given up."),
    Reason.SENDER: Meaning("The sender's number or name is not approved for this. Check the SMS account.", stop=True),
    Reason.ACCOUNT: Meaning("The SMS account is suspended, has no money left, or refuses our password.", stop=True),
    Reason.SETTINGS: Meaning("The SMS settings are wrong: the provider does not understand our request.", stop=True),
    Reason.PUMPING: Meaning("The provider suspects that somebody makes us send messages for profit.", stop=True),
    Reason.OUTDATED: Meaning(
        "The credit that it tells of was no longer open when it would have gone out.", permanent=True
    ),
    Reason.ERASED: Meaning("The person was erased before this message went out.", permanent=True),
    Reason.CAMPAIGN_STOPPED: Meaning("The campaign was stopped before this message went out.", permanent=True),
    Reason.CAMPAIGN_PAUSED: Meaning("The campaign is paused: this message waits until it goes on."),
    Reason.QUIET_HOURS: Meaning("Offers wait until the quiet hours are over."),
    Reason.DAILY_CAP: Meaning("The daily cap for SMS is reached."),
    Reason.NUMBER_CAP: Meaning("This number has got as many messages today as one number may get.", permanent=True),
    Reason.NO_CONNECTION: Meaning("The SMS provider could not be reached. It is tried again later."),
    Reason.NO_ANSWER: Meaning("The SMS provider did not answer: nobody knows yet whether the message was sent."),
    Reason.UNKNOWN: Meaning("The provider gave a reason that we do not know. Its code is in the log."),
}
# Why a message that nobody has refused waits: what we set ourselves, or the alarm that a provider gave.
HELD = (Reason.QUIET_HOURS, Reason.DAILY_CAP, Reason.PUMPING, Reason.CAMPAIGN_PAUSED)
