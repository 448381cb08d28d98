"""What a push to Apple Wallet is, and what Apple's answers mean.

A push carries nothing: it tells a phone that its passes of one type have changed, and the phone then asks the web
service. Source: Apple's “Sending notification requests to APNs” and “Handling notification responses from APNs”, and
the Wallet guide for the empty payload.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

PAYLOAD = b"{}"
"""Exactly this: phones ignore a pass's push that has anything in it."""

TOKEN = re.compile(r"[0-9A-Fa-f]{1,200}")
"""A device's push token. Apple sets no length; today's have 64 hexadecimal digits."""


class PushError(Exception):
    """Pushes can't be sent with these credentials. The text says in plain words why, and what to do."""


class Verdict(Enum):
    """What to do with a push after Apple's answer."""

    SENT = "sent"
    UNREGISTERED = "unregistered"
    """The phone no longer has the pass: forget the token, unless it registered again after `Result.timestamp`."""
    BAD_TOKEN = "bad_token"  # noqa: S105 - a word of Apple's, no secret
    """No such token, or it is not for this pass type: forget it, and log that it was ever stored."""
    RETRY = "retry"
    """It may go through later."""
    REFUSED = "refused"
    """The request or the credentials are wrong: sending it again as it is can't help, people have to see it."""


@dataclass(frozen=True, slots=True)
class Push:
    """A push to one device.

    `token` is the push token that the device registered with, in hexadecimal; `topic` the pass type identifier;
    `priority` 10 for at once, 5 for when it suits the phone's battery.
    """

    token: str
    topic: str
    priority: int = 10


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a push.

    `status` is Apple's HTTP status, 0 when there was no answer. `reason` is Apple's word, or one of ours for what
    happened before an answer; it is stable. `detail` is a sentence for people, given for REFUSED and for what happened
    before an answer. `timestamp` comes with UNREGISTERED: since when, at the latest, the token is void. `retry_after`
    comes with RETRY: the seconds that should pass, None when nobody said.
    """

    push: Push
    verdict: Verdict
    status: int = 0
    reason: str = ""
    apns_id: str = ""
    timestamp: datetime | None = None
    retry_after: float | None = None
    detail: str = ""


VERDICTS = {
    "BadDeviceToken": Verdict.BAD_TOKEN,
    "DeviceTokenNotForTopic": Verdict.BAD_TOKEN,
    "MissingDeviceToken": Verdict.BAD_TOKEN,
    "Unregistered": Verdict.UNREGISTERED,
    "ExpiredToken": Verdict.UNREGISTERED,
    "IdleTimeout": Verdict.RETRY,
    "TooManyProviderTokenUpdates": Verdict.RETRY,
    "TooManyRequests": Verdict.RETRY,
    "InternalServerError": Verdict.RETRY,
    "ServiceUnavailable": Verdict.RETRY,
    "Shutdown": Verdict.RETRY,
}
"""Apple's reasons that are about the device or the moment. Of the rest, the status decides."""

_STATUSES = {408: Verdict.RETRY, 410: Verdict.UNREGISTERED, 429: Verdict.RETRY}

_RENEW_KEY = "Check the .p8 key, its key id and the team id against Apple's developer account"
_CERTIFICATE = "Check that the pass certificate is valid in Apple's developer account, and import it again"

DETAILS = {
    "BadCertificate": f"Apple does not accept the pass certificate. {_CERTIFICATE}",
    "BadCertificateEnvironment": f"The pass certificate is for another of Apple's push services. {_CERTIFICATE}",
    "BadTopic": "Apple does not know this pass type. Check the pass type identifier of the certificate",
    "TopicDisallowed": "These credentials may not push to this pass type. Use the pass type's own certificate",
    "Forbidden": f"Apple refuses these credentials. {_CERTIFICATE}",
    "MissingProviderToken": "Apple got neither a certificate nor a token. Import the pass certificate again",
    "InvalidProviderToken": f"Apple does not accept the push key. {_RENEW_KEY}",
    "UnrelatedKeyIdInToken": f"The push key is not the one that Apple expects on this connection. {_RENEW_KEY}",
    "BadEnvironmentKeyIdInToken": f"The push key is for another of Apple's push services. {_RENEW_KEY}",
    "ExpiredProviderToken": "Apple says that the push token is too old. Check this machine's clock",
}
"""What people can do about the refusals that they can do something about."""


def verdict(status: int, reason: str) -> Verdict:
    """What to do after an answer with this HTTP status and Apple's reason, also when one of them is new to us."""
    if status == 200:
        return Verdict.SENT
    if reason in VERDICTS:
        return VERDICTS[reason]
    if status in _STATUSES:
        return _STATUSES[status]
    return Verdict.RETRY if status >= 500 else Verdict.REFUSED


def explain(status: int, reason: str) -> str:
    """A sentence for people about a refusal."""
    return DETAILS.get(reason) or f"Apple refused the push: {reason or 'no reason given'} (status {status})"
