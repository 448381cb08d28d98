"""What became of a call to Google Wallet, and what Google's answers mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class OutcomeKind(StrEnum):
    """What the sender should do."""

    DONE = "done"
    """Google has it."""
    QUOTA = "quota"
    """Google has it, silently: the card's three notifications of the last 24 hours were used up."""
    RETRY = "retry"
    """Not now. The same call again, not before `retry_after` seconds when Google said so."""
    REFUSED = "refused"
    """Never like this. Show `reason` to staff."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` is a short stable word for logs and counters; `reason` says in plain English what went wrong.

    `retry_after` is in seconds. `detail` is Google's own message, cut at 300 characters; it may hold ids, nothing else.
    """

    kind: OutcomeKind
    code: str = ""
    reason: str = ""
    retry_after: float | None = None
    detail: str = ""

    @property
    def delivered(self) -> bool:
        """Whether Google has the new state."""
        return self.kind in (OutcomeKind.DONE, OutcomeKind.QUOTA)


DONE = Outcome(OutcomeKind.DONE)
QUOTA = Outcome(
    OutcomeKind.QUOTA, "notification_quota", "The card was updated without a notification: it had three within 24 hours"
)

_RETRIED = OutcomeKind.RETRY
_REFUSED = OutcomeKind.REFUSED

_REASONS: Mapping[str, tuple[OutcomeKind, str, str]] = {
    "classNotFound": (_REFUSED, "class_missing", "Google does not know the programme. Send the programme first"),
    "rateLimitExceeded": (_RETRIED, "rate_limit", "Google asks for fewer requests a second"),
    "userRateLimitExceeded": (_RETRIED, "rate_limit", "Google asks for fewer requests a second"),
    "accessNotConfigured": (
        _REFUSED,
        "api_disabled",
        "The Google Wallet API is not enabled in the Google Cloud project of the service account",
    ),
    "SERVICE_DISABLED": (
        _REFUSED,
        "api_disabled",
        "The Google Wallet API is not enabled in the Google Cloud project of the service account",
    ),
}
"""By the reason in Google's error JSON."""

_STATUSES: Mapping[int, tuple[OutcomeKind, str, str]] = {
    400: (_REFUSED, "invalid", "Google says that a value is not valid"),
    401: (_REFUSED, "unauthorized", "Google does not accept the service account's token. Check its key"),
    403: (
        _REFUSED,
        "forbidden",
        "The service account may not act for this issuer. Add its e-mail address as a user in the Google Pay & Wallet "
        "Console",
    ),
    404: (_REFUSED, "missing", "Google does not know this card or programme"),
    408: (_RETRIED, "timeout", "Google took too long"),
    409: (_REFUSED, "conflict", "Google has this id already, and does not let us change it"),
    429: (_RETRIED, "rate_limit", "Google asks for fewer requests a second"),
}
"""By HTTP status, where the reason is not known."""

_SERVER_ERROR = (_RETRIED, "server_error", "Google Wallet is out of order for the moment")
_UNKNOWN = (_REFUSED, "unknown", "Google gave an answer that is not known here")
_LIMIT_WORDS = ("quotaexceeded", "quota exceeded", "resource_exhausted", "ratelimitexceeded")
_RATE_WORDS = ("ratelimitexceeded", "quota metric")
_NOTIFICATIONS_WORD = "quotaexceeded"  # the page on push notifications calls it QuotaExceededException


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of Google's, alone or as a part of a batch."""

    status: int
    body: Any = None
    retry_after: float | None = None

    @property
    def error(self) -> Mapping[str, Any]:
        """The `error` object of Google's JSON; empty when the answer has none."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error if isinstance(error, dict) else {}

    @property
    def reasons(self) -> list[str]:
        """Every machine-readable reason in the error."""
        found = [self.error.get("status")]
        for name in ("errors", "details"):
            entries = self.error.get(name)
            found += (
                [entry.get("reason") for entry in entries if isinstance(entry, dict)]
                if isinstance(entries, list)
                else []
            )
        return [reason for reason in found if isinstance(reason, str)]

    @property
    def _said(self) -> str:
        return " ".join([*self.reasons, str(self.error.get("message", ""))]).lower()

    @property
    def out_of_quota(self) -> bool:
        """Whether Google speaks of any limit of calls."""
        return self.status in (403, 429) and any(word in self._said for word in _LIMIT_WORDS)

    @property
    def notification_quota_used_up(self) -> bool:
        """Whether Google refuses to notify once more. Only an answer to a call that should notify can say so.

        Too many requests a second must not count: repeated silently, they would cost the customer a notification.
        """
        rate = any(word in self._said for word in _RATE_WORDS)
        return self.status in (400, 403, 429) and _NOTIFICATIONS_WORD in self._said and not rate


def outcome(answer: Answer) -> Outcome:
    """What an answer means, by its reason, then by its status."""
    if 200 <= answer.status < 300:
        return DONE
    if answer.status >= 500:
        kind, code, reason = _SERVER_ERROR
    elif answer.out_of_quota:
        kind, code, reason = _STATUSES[429]
    else:
        known = [_REASONS[reason] for reason in answer.reasons if reason in _REASONS]
        kind, code, reason = known[0] if known else _STATUSES.get(answer.status, _UNKNOWN)
    retry_after = answer.retry_after if kind is OutcomeKind.RETRY else None
    return Outcome(kind, code, reason, retry_after, str(answer.error.get("message", ""))[:300])


NO_ANSWER = Outcome(OutcomeKind.RETRY, "no_answer", "Google Wallet could not be reached")
TOKEN_UNAVAILABLE = Outcome(
    OutcomeKind.RETRY, "token_unavailable", "Google's sign-in for programs could not be reached"
)
KEY_REFUSED = Outcome(
    OutcomeKind.REFUSED,
    "key_refused",
    "Google does not accept the service account's key. Either the key was deleted (make a new one in Google Cloud), or "
    "this machine's clock is wrong",
)
"""Outcomes of calls that got no answer from Wallet at all."""
