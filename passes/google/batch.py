"""The batch endpoint: many calls in one HTTP request, as multipart/mixed.

Format: https://developers.google.com/wallet/generic/resources/performance-tips and RFC 2046. Each call still counts
as one against the issuer's 20 requests a second; what a batch saves is round trips.
"""

import json
from collections.abc import Sequence
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from passes.google.calls import Call
from passes.google.outcome import Answer

_PREFIX = "response-item-"


def encode(calls: Sequence[Call], boundary: str) -> bytes:
    """The body of a batch request. `boundary` must not occur in the calls: take a random one."""
    parts = []
    for number, call in enumerate(calls):
        body = json.dumps(call.json, ensure_ascii=False, separators=(",", ":")).encode()
        head = (
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <item-{number}>\r\n\r\n"
            f"{call.method} {call.path} HTTP/1.1\r\n"
            f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        parts.append(head.encode("ascii") + body + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode("ascii")


def decode(content_type: str, body: bytes, count: int) -> list[Answer | None]:
    """The answers to `count` calls in their order; None for a call that the batch says nothing of."""
    answers: list[Answer | None] = [None] * count
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    whole = BytesParser(policy=HTTP).parsebytes(head + body)
    for part in whole.iter_parts() if whole.is_multipart() else ():
        number = _number(str(part.get("Content-ID", "")), count)
        payload = part.get_payload(decode=True)
        if number is not None and isinstance(payload, bytes):
            answers[number] = _answer(payload)
    return answers


def _number(content_id: str, count: int) -> int | None:
    name = content_id.strip().strip("<>")
    digits = name.removeprefix(_PREFIX)
    if not name.startswith(_PREFIX) or not (digits.isascii() and digits.isdigit()) or int(digits) >= count:
        return None
    return int(digits)


def _answer(part: bytes) -> Answer | None:
    """An HTTP answer without its connection: status line, headers, empty line, JSON."""
    line, _, rest = part.lstrip(b"\r\n").partition(b"\r\n")
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return None
    message = BytesParser(policy=HTTP).parsebytes(rest)
    content = message.get_payload(decode=True)
    body = json_or_none(content if isinstance(content, bytes) else b"")
    return Answer(int(words[1]), body, seconds(message.get("Retry-After")))


def json_or_none(content: bytes) -> Any:
    """The JSON in `content`; None when it is none, as the pages of proxies are."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds. Its other form, a date, counts as absent: Google does not send it."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None
