"""The pretend phones' SMS: whose number is whose, what a phone was sent and has sent, and the links in it."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sandbox.twilio import TwilioSandbox
from sandbox.twilio_messages import Message
from sms.phones import PhoneError, normalise
from sms.phones import shown as national
from sms.text import count_parts

COUNTRY = "FI"
_FIRST_NUMBER, _NUMBERS = 358457398001, 900  # of one operator's, like the shop's; none ends in a fault's digits
_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]'»”]")


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message as its phone shows it. `pieces` are its text, cut where a link begins and ends: (text, is a link)."""

    number: int
    at: datetime
    mine: bool
    other: str
    text: str
    parts: int
    pieces: list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Texts:
    """What the phones need of the pretend Twilio."""

    twilio: TwilioSandbox

    @property
    def shop(self) -> str:
        """The shop's number."""
        return self.twilio.number

    def free_number(self, taken: Collection[str]) -> str:
        """A number that no phone has, and that nobody has texted from or to."""
        messages = self.twilio.messages.since(0, 0)
        used = {*taken, *(message.to for message in messages), *(message.sender for message in messages)}
        numbers = (f"+{_FIRST_NUMBER + number}" for number in range(_NUMBERS))
        return next(number for number in numbers if number not in used)

    def bubbles(self, phone: str, ignored: Collection[int] = ()) -> list[Bubble]:
        """The phone's messages, oldest first, without the `ignored`, by their numbers."""
        found = (message for message in self.twilio.messages.of(phone) if message.number not in ignored)
        return [_bubble(message, phone) for message in found if message.sender == phone or arrived(message)]

    def threads(self, phone: str, ignored: Collection[int] = ()) -> list[tuple[str, list[Bubble]]]:
        """The phone's conversations: with whom, and the messages. The shop's own comes last, and is never missing."""
        bubbles = sorted(
            self.bubbles(phone, ignored), key=lambda bubble: (bubble.other == self.shop, bubble.other, bubble.number)
        )
        found = [(other, list(thread)) for other, thread in groupby(bubbles, key=lambda bubble: bubble.other)]
        return found if found and found[-1][0] == self.shop else [*found, (self.shop, [])]

    def send(self, phone: str, body: str) -> int:
        """Text the shop; the status that its server answered, 0 for none."""
        status: int = self.twilio.poster.text(phone, body)["status"]
        return status


def arrived(message: Message) -> bool:
    """Whether the message has reached the phone that it went to."""
    return message.direction != "inbound" and message.status == "delivered"


def read_number(typed: str) -> str:
    """The number that was typed, in any form. Raises PhoneError."""
    return normalise(typed, COUNTRY)


def shown_number(number: str) -> str:
    """A number as people write it; a sender's name as it is."""
    try:
        return national(read_number(number), COUNTRY)
    except PhoneError:
        return number


def _bubble(message: Message, phone: str) -> Bubble:
    mine = message.sender == phone
    other = message.to if mine else message.sender or ""
    parts = count_parts(message.body).parts
    return Bubble(message.number, message.created_at, mine, other, message.body, parts, _pieces(message.body))


def _pieces(body: str) -> list[tuple[str, bool]]:
    pieces: list[tuple[str, bool]] = []
    end = 0
    for link in _LINK.finditer(body):
        pieces += [(body[end : link.start()], False), (link[0], True)]
        end = link.end()
    return [piece for piece in [*pieces, (body[end:], False)] if piece[0]]
