"""After a send whose outcome is unknown: which of the provider's messages is ours, if any?"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sms.provider import ProviderMessage


@dataclass(frozen=True, slots=True)
class Ours:
    """The provider has this message, and it is the one."""

    message: ProviderMessage


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The provider has messages to this number that nobody knows of. A person decides; do not send again."""

    candidates: tuple[ProviderMessage, ...]


@dataclass(frozen=True, slots=True)
class Absent:
    """The provider has nothing that could be ours: it was never taken, and may be sent again."""


def judge(found: Iterable[ProviderMessage], known_ids: Collection[str], body: str | None) -> Ours | Doubtful | Absent:
    """What became of a message, by what `find` found for its number and time. Ask some minutes after the send.

    `known_ids` are the provider's ids that belong to other messages of ours. `body` is the text that was sent; None
    when it cannot be made again, as with a code of which only the hash is kept: then a single candidate is taken for
    it, as nothing else can have sent to this number in our name. Of several with the same text it is the oldest, so
    that several unknown messages, judged one after the other, each get their own.
    """
    candidates = sorted((one for one in found if one.provider_id not in known_ids), key=lambda one: one.created_at)
    same = [one for one in candidates if body is not None and one.body == body]
    if same:
        return Ours(same[0])
    if body is None and len(candidates) == 1:
        return Ours(candidates[0])
    return Doubtful(tuple(candidates)) if candidates else Absent()
