"""Members as files for advertising platforms: SHA-256 of phone numbers and e-mail addresses, normalised as each
platform wants them. For example to keep members out of advertisements for newcomers.

A hash of a number is still personal data: whoever knows the number can make it, too. So a member's phone number is in
the file only if they agreed to offers by SMS, and their e-mail address only if they agreed to offers by e-mail, unless
the programme has another legal ground and says so.

How values are normalised, and what the columns are called (as of 2026):
https://www.facebook.com/business/help/2082575038703844, https://support.google.com/google-ads/answer/7476159,
https://ads.tiktok.com/help/article/how-to-create-a-custom-audience-with-a-customer-file
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, false, func, or_, select, text, true
from sqlalchemy.orm import Session

from app import clock
from app.db.campaigns import Segment
from app.db.people import Consent, Member
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.segments import EVERYONE, read
from app.services import segment_sql
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused

_SLICE = 2000  # rows that are in memory at a time


class Platform(StrEnum):
    META = "meta"
    GOOGLE = "google"
    TIKTOK = "tiktok"


# The columns' names, e-mail first.
HEADINGS: Mapping[Platform, tuple[str, str]] = {
    Platform.META: ("email", "phone"),
    Platform.GOOGLE: ("Email", "Phone"),
    Platform.TIKTOK: ("Email_SHA256", "Phone_SHA256"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for. Without a segment it is all active members; `everyone`: also who agreed to nothing."""

    platform: Platform
    segment_id: UUID | None
    everyone: bool


def hashed_phone(platform: Platform, phone: str) -> str:
    """The hash (64 hex digits) of a number in E.164 as it is kept here; Meta wants it without the plus."""
    return _sha256(phone.removeprefix("+") if platform is Platform.META else phone)


def hashed_email(email: str) -> str:
    """The hash of an address in lower case, without spaces; '' for none."""
    plain = "".join(email.split()).lower()
    return _sha256(plain) if plain else ""


def _sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def read_choice(form: Mapping[str, str]) -> Choice:
    """`platform`, `segment` (empty: all), `who` ('agreed' or 'everyone', which needs the tick `lawful`).

    Raises InvalidForm.
    """
    errors: dict[str, Refused] = {}
    platform, segment_id = Platform.META, None
    try:
        platform = Platform(form.get("platform", ""))
    except ValueError:
        errors["platform"] = Refused("required", N_("Choose one of these."), field="platform")
    try:
        segment_id = UUID(form["segment"]) if form.get("segment") else None
    except ValueError:
        errors["segment"] = Refused("segment-not-found", N_("There is no such segment."), field="segment")
    everyone = form.get("who") == "everyone"
    if everyone and form.get("lawful") != "on":
        words = N_("Confirm that the law allows it, or choose those who agreed.")
        errors["lawful"] = Refused("required", words, field="lawful")
    if errors:
        raise InvalidForm(errors)
    return Choice(platform, segment_id, everyone)


def export(ctx: Context, actor: Actor, choice: Choice) -> Iterator[str]:
    """The lines of the file, read from the database as they are sent; that it was made is in the audit log by then.

    Raises Refused: not-allowed, segment-not-found.
    """
    if not actor.may_manage:
        raise Refused("not-allowed", N_("Only a manager may take members' data out. Ask one."), status=403)
    now = clock.now()
    with ctx.sessions.begin() as session:
        query = _query(session, actor, choice, now)
        details = {"platform": choice.platform.value, "everyone": choice.everyone}
        record(session, actor, "audience.exported", choice.segment_id, **details)
    return _lines(ctx, choice.platform, query)


def _query(session: Session, actor: Actor, choice: Choice, now: datetime) -> Select[str, str]:
    """(number, address) of each member; what may not be told is empty, and who has neither is left out."""
    tree = EVERYONE
    if choice.segment_id is not None:
        row = session.get(Segment, choice.segment_id)
        if row is None or row.program_id != actor.program_id:
            raise Refused("segment-not-found", N_("There is no such segment."), status=404)
        tree = read(row.tree)
    chosen = segment_sql.compiled(tree, session.get_one(Program, actor.program_id), now).subquery("chosen")
    by_sms, by_email = (true(), true()) if choice.everyone else (_agreed("sms_marketing"), _agreed("email_marketing"))
    phone = case((by_sms, Member.phone), else_="")
    email = case((by_email, Member.email), else_="")
    found = select(phone.label("phone"), email.label("email")).join(chosen, chosen.c.id == Member.id).subquery()
    # Whose number was erased has something else than a number.
    return select(found.c.phone, found.c.email).where(or_(found.c.phone.startswith("+"), found.c.email != ""))


def _agreed(purpose: str) -> ColumnElement[bool]:
    """Whether the member's newest word about this purpose is yes."""
    newest = (
        select(Consent.granted)
        .where(Consent.member_id == Member.id, Consent.purpose == purpose)
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
    )
    return func.coalesce(newest.scalar_subquery(), false())


def _lines(ctx: Context, platform: Platform, query: Select[str, str]) -> Iterator[str]:
    yield ",".join(HEADINGS[platform]) + "\r\n"
    with ctx.sessions() as session:
        for setting in segment_sql.SETTINGS:
            session.execute(text(setting))
        for rows in session.execute(query.execution_options(yield_per=_SLICE)).partitions():
            yield "".join(
                f"{hashed_email(email)},{hashed_phone(platform, phone) if phone.startswith('+') else ''}\r\n"
                for phone, email in rows
            )
