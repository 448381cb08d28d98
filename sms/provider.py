"""What every SMS provider does for us: takes one message and says whether it accepted it.

A send is not idempotent at any provider, so an error says which of three things happened: refused for good
(`permanent`), not taken and worth a later try (neither), or nobody knows (`unknown`). The adapter decides, the job
obeys; a message whose outcome is unknown is asked about at the provider before it is ever sent again.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sms.delivery_states import State
from sms.reasons import MEANINGS, Reason

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to one phone.

    `to` is E.164. `reference` is our own row id: it comes back in delivery reports, also when the provider's answer
    to the send was lost. `sender` is the number or name it comes from; None leaves that to the provider's settings.
    """

    to: str
    body: str = field(repr=False)  # it may hold a code, and reprs end up in logs
    reference: str
    sender: str | None = None

    def __post_init__(self) -> None:
        if not _E164.fullmatch(self.to):
            raise ValueError("to must be an E.164 number such as +358401234567")
        if not self.body.strip():
            raise ValueError("a message needs a text")
        if not self.reference:
            raise ValueError("a message needs a reference")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken the message. `parts` is how many it counts, or None when it does not say (yet)."""

    provider_id: str
    parts: int | None


@dataclass(frozen=True, slots=True)
class ProviderMessage:
    """A message as the provider knows it, found while we look for one whose outcome we do not know.

    `state` is None when the provider's word for it is new to us. `created_at` (aware) is when the provider took it.
    """

    provider_id: str
    to: str
    body: str = field(repr=False)
    state: State | None
    created_at: datetime
    parts: int | None = None
    error_code: str | None = None
    reason: Reason | None = None


class SmsError(Exception):
    """The provider did not accept, or its answer never came. The text holds no number and no message body.

    `code` is the provider's own code or a short word of ours. `permanent`: the same message will never be accepted.
    `unknown`: it may have been sent, so do not send it again before asking the provider. `retry_after`: how many
    seconds the provider wants to be left alone, if it says so.
    """

    def __init__(
        self,
        text: str,
        *,
        code: str,
        permanent: bool = False,
        unknown: bool = False,
        reason: Reason = Reason.UNKNOWN,
        retry_after: float | None = None,
    ) -> None:
        if permanent and unknown:
            raise ValueError("an unknown outcome is not a permanent refusal")
        super().__init__(text)
        self.code = code
        self.permanent = permanent
        self.unknown = unknown
        self.reason = reason
        self.retry_after = retry_after

    @classmethod
    def refused(cls, reason: Reason, code: str, retry_after: float | None = None) -> "SmsError":
        """The provider did not take the message, for this reason."""
        meaning = MEANINGS[reason]
        return cls(meaning.words, code=code, permanent=meaning.permanent, reason=reason, retry_after=retry_after)

    @classmethod
    def unanswered(cls, code: str) -> "SmsError":
        """The message may have been taken, and may not."""
        return cls(MEANINGS[Reason.NO_ANSWER].words, code=code, unknown=True, reason=Reason.NO_ANSWER)

    @property
    def opted_out(self) -> bool:
        """The provider knows that this person wants no messages: record it as an opt-out."""
        return self.reason is Reason.OPTED_OUT

    @property
    def stop(self) -> bool:
        """Send nothing more through this provider until somebody has looked."""
        return MEANINGS[self.reason].stop


class NotOffered(Exception):
    """This provider cannot do that. Ask `finds_messages` or `fetches_messages` first."""


class SmsProvider(Protocol):
    """An adapter to one provider. Adapters pass tests/contract/test_sms_provider_contract.py."""

    @property
    def name(self) -> str:
        """One lower-case word, as in the settings."""
        ...

    @property
    def reports_delivery(self) -> bool:
        """Whether reports follow an accepted message. Without them `accepted` is the last that is known."""
        ...

    @property
    def finds_messages(self) -> bool:
        """Whether `find` works. Without it a message whose outcome is unknown waits for a person's decision."""
        ...

    @property
    def fetches_messages(self) -> bool:
        """Whether `fetch` works. Without it only reports tell what became of an accepted message."""
        ...

    def send(self, message: OutgoingMessage) -> Accepted:
        """Hand the message over, once. Every failure is an SmsError. May be called from several threads."""
        ...

    def find(self, to: str, since: datetime) -> list[ProviderMessage]:
        """The provider's messages to this E.164 number since then (aware), newest first.

        Its clock is not ours, and it keeps whole seconds: ask from some minutes before the message in question.
        Raises NotOffered when the provider lists no messages, and SmsError (never `unknown`) when it cannot be asked.
        """
        ...

    def fetch(self, provider_id: str) -> ProviderMessage | None:
        """The message with this id of the provider's; None when it does not know it (any more).

        Raises NotOffered when it tells nothing of single messages, and SmsError (never `unknown`) when it cannot be
        asked.
        """
        ...
