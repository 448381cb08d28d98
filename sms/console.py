"""The console provider: shows every message in the terminal instead of sending it, for the demo and development."""

import sys
import unicodedata
from datetime import datetime
from typing import TextIO
from uuid import uuid4

from sms.phones import masked
from sms.provider import Accepted, NotOffered, OutgoingMessage, ProviderMessage, SmsError
from sms.text import count_parts


class ConsoleProvider:
    """Writes each message as one block to a text stream, standard error unless told otherwise.

    A `discreet` one, for a shop's real log, shows neither the number nor the text: texts hold links that open cards.
    """

    name = "console"
    reports_delivery = False
    finds_messages = False
    fetches_messages = False

    def __init__(self, stream: TextIO | None = None, *, discreet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._discreet = discreet

    def send(self, message: OutgoingMessage) -> Accepted:
        count = count_parts(message.body)
        sender = f" from {message.sender}" if message.sender else ""
        body = "(not shown, and not sent: no SMS provider is set)" if self._discreet else message.body
        lines = [
            f"┌ SMS to {masked(message.to) if self._discreet else message.to}{sender}",
            *(f"│ {_printable(line)}" for line in body.splitlines()),
            f"└ {count.parts} × {count.encoding}, reference {message.reference}",
        ]
        try:
            self._stream.write("\n".join(lines) + "\n")  # in one write, so that two threads' blocks do not mix
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise SmsError("The console's stream is closed.", code="stream_closed") from error
        return Accepted(provider_id=f"console-{uuid4().hex}", parts=count.parts)

    def find(self, to: str, since: datetime) -> list[ProviderMessage]:
        raise NotOffered("The console keeps no messages that could be looked up.")

    def fetch(self, provider_id: str) -> ProviderMessage | None:
        raise NotOffered("The console keeps no messages that could be looked up.")


def _printable(line: str) -> str:
    """Without control characters: a message must not steer the terminal that shows it."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) == "Cc" else char for char in line)
