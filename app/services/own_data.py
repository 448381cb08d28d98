"""Everything that is kept of a member, for the member to take away: one JSON file, or a ZIP with a CSV for each table.

SECTIONS is the list of what is handed out; a test looks that no table which names a member is missing in it. Each
section names its columns one by one: hashes, tokens, codes and what belongs to others stay where they are.
"""

import csv
import io
import json
import tempfile
import zipfile
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from typing import IO, Any

from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from app import clock
from app.i18n import N_, Translator
from app.services.context import Context
from app.services.errors import Refused
from app.services.own_data_reading import Section
from app.services.own_data_sections import SECTIONS
from app.services.views import MemberView

MIME_TYPES = {"json": "application/json", "zip": "application/zip"}
MOST_READ = 500  # rows of a section on the page that is read and printed; the files have all
_IN_MEMORY = 2 * 1024 * 1024  # bytes; what is larger goes to a file on disk
# A cell that begins so is taken for a formula by spreadsheets.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def packed(ctx: Context, member: MemberView, form: str, text: Translator) -> IO[bytes]:
    """The member's data in a temporary file, which goes when it is closed: a slow phone keeps no transaction open.

    `form`: json or zip. All of it is of one moment. Raises Refused (404) for another form.
    """
    pack = {"json": _json, "zip": _zip}.get(form)
    if pack is None:
        raise Refused("form-not-found", N_("There is nothing at this address."), status=404)
    with ExitStack() as unless_done:
        file: IO[bytes] = unless_done.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
        with ctx.sessions() as session:
            session.execute(sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            pack(file, ctx, session, member, text)
        file.seek(0)
        unless_done.pop_all()
        return file


def for_reading(ctx: Context, member: MemberView) -> tuple[list[tuple[Section, list[dict[str, Any]]]], bool]:
    """The sections that have rows, with the newest MOST_READ of each, and whether any has more. All of one moment."""
    found, cut = [], False
    with ctx.sessions() as session:
        session.execute(sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        for section in SECTIONS:
            rows: deque[dict[str, Any]] = deque(maxlen=MOST_READ + 1)
            rows.extend(section.rows(ctx, session, member))
            if rows:
                found.append((section, list(rows)[-MOST_READ:]))
            cut = cut or len(rows) > MOST_READ
    return found, cut


def _json(file: IO[bytes], ctx: Context, session: Session, member: MemberView, _text: Translator) -> None:
    out = io.TextIOWrapper(file, encoding="utf-8", write_through=True)
    out.write(f'{{\n"made_at": {_as_json(clock.now())}')
    for section in SECTIONS:
        out.write(f",\n{_as_json(section.name)}: [")
        for number, row in enumerate(section.rows(ctx, session, member)):
            out.write(("," if number else "") + "\n  " + _as_json(row))
        out.write("\n]")
    out.write("\n}\n")
    out.detach()


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _zip(file: IO[bytes], ctx: Context, session: Session, member: MemberView, text: Translator) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for section in SECTIONS:
            with archive.open(f"{section.name}.csv", "w") as entry:
                out = io.TextIOWrapper(entry, encoding="utf-8-sig", newline="", write_through=True)
                _csv(out, section, section.rows(ctx, session, member), text)
                out.flush()
                out.detach()


def _csv(out: IO[str], section: Section, rows: Iterable[dict[str, Any]], text: Translator) -> None:
    """For spreadsheets: with a mark for UTF-8, the separator of the reader's language, and no formulas."""
    writer = csv.writer(out, delimiter="," if text.language == "en" else ";")
    writer.writerow(section.columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in section.columns])


def _cell(value: object) -> str:
    if value is None:
        return ""
    shown = _as_json(value) if isinstance(value, (dict, list)) else _plain(value)
    return f"'{shown}" if isinstance(value, str) and shown.startswith(_FORMULA_SIGNS) else shown
