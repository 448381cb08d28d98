"""How a pretend phone is told as JSON, and what its drawing on the page is made of."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Any

import segno
from flask import url_for
from markupsafe import Markup

from app import clock
from sandbox.iphone import Iphone
from sandbox.phone_shelf import Shelf, Stand
from sandbox.phone_texts import Bubble


def told(shelf: Shelf, stand: Stand) -> dict[str, Any]:
    """The phone as JSON."""
    phone, page = stand.phone, stand.page
    return {
        "id": stand.id,
        "kind": stand.kind,
        "name": stand.name,
        "number": stand.number,
        "language": phone.language,
        "on": phone.is_on,
        "cards": [asdict(drawn(stand, card_id)) | {"id": card_id} for card_id in stand.card_ids],
        "app": stand.app,
        "page": asdict(page) if page else None,
        "messages": [_message(bubble) for bubble in shelf.bubbles(stand)],
        "lock_screen": [{"at": one.at.isoformat(), "title": one.title, "text": one.text} for one in phone.lock_screen],
        "log": [{"at": one.at.isoformat(), "kind": one.kind, "text": one.text} for one in phone.log.events],
    }


def _message(bubble: Bubble) -> dict[str, Any]:
    return {
        "number": bubble.number,
        "at": bubble.at.isoformat(),
        "mine": bubble.mine,
        "with": bubble.other,
        "text": bubble.text,
        "parts": bubble.parts,
        "links": [piece for piece, is_link in bubble.pieces if is_link],
    }


def drawn(stand: Stand, card_id: str, at: datetime | None = None) -> Any:
    """The card's face; each of its pictures is the picture's address on this page, or empty."""
    phone = stand.phone
    face: Any
    if isinstance(phone, Iphone):
        held = phone.passes[card_id]
        face, files = held.face(phone.language, at or clock.now()), held.files
        names: tuple[str, ...] = ("logo", "icon", "strip")
    else:
        face, files = phone.face(card_id), {url: content for url, (_, content) in phone.pictures.items()}
        names = ("logo", "hero")
    shown = {name: files.get(getattr(face, name)) for name in names}
    addresses = {
        name: url_for("picture", stand_id=stand.id, digest=digest_of(content)) if content else ""
        for name, content in shown.items()
    }
    return type(face)(**{name: getattr(face, name) for name in face.__dataclass_fields__} | addresses)


def pictures(stand: Stand) -> Iterator[tuple[str, bytes]]:
    if isinstance(stand.phone, Iphone):
        for held in list(stand.phone.passes.values()):
            yield from (("image/png", file) for name, file in held.files.items() if name.endswith(".png"))
    else:
        yield from list(stand.phone.pictures.values())


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def qr_svg(content: str, label: str) -> Markup:
    """A QR code as an inline picture of black on white."""
    code = segno.make(content, micro=False, error="m")
    side = code.symbol_size(border=2)[0]
    path = "".join(
        f"M{run[0][0]} {row}h{len(run)}v1H{run[0][0]}z"
        for row, modules in enumerate(code.matrix_iter(border=2))
        for dark, run in ((dark, list(run)) for dark, run in groupby(enumerate(modules), key=lambda module: module[1]))
        if dark
    )
    return Markup(  # noqa: S704 - nothing in it was typed by anybody but the label, which is escaped
        f'<svg class="qr" viewBox="0 0 {side} {side}" role="img" aria-label="{escape(label)}" '
        f'shape-rendering="crispEdges"><path d="{path}" fill="#000"/></svg>'
    )


def ink_on(background: str) -> str:
    """Black or white, whichever is easier to read on a colour (#rrggbb)."""
    digits = background.lstrip("#")
    red, green, blue = (int(digits[start : start + 2], 16) for start in (0, 2, 4)) if len(digits) == 6 else (0, 0, 0)
    return "#000000" if red * 0.299 + green * 0.587 + blue * 0.114 > 150 else "#ffffff"


def hour(moment: datetime) -> str:
    """The time as this machine's clock shows it."""
    return f"{moment.astimezone():%H:%M}"


def tenth(moment: datetime) -> str:
    """The same to a tenth of a second."""
    return f"{moment.astimezone():%H:%M:%S.%f}"[:-5]
