"""The office's list of members, page by page."""

import re
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, tuple_

from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.services.context import Actor, Context
from app.services.forms import plain_line
from app.services.member_views import views
from app.services.views import MemberView
from sms.digits import ascii_digits
from sms.phones import PhoneError, normalise

PAGE = 30
_FEWEST_DIGITS = 3  # fewer would find nearly everybody


def search(
    ctx: Context, actor: Actor, text: str = "", *, after: UUID | None = None, by_number: bool = True, limit: int = PAGE
) -> tuple[list[MemberView], UUID | None]:
    """The newest members, or those whose name or number contains the text; and where the next page begins, if any.

    `after` is that place. Without `by_number` only names and whole numbers are looked for, for people who may not see
    numbers: else they could guess one digit by digit.
    """
    query = select(Member).where(Member.program_id == actor.program_id, Member.status != MemberStatus.ERASED)
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
    if wanted := plain_line(text, 80):
        fits = [Member.name.icontains(wanted, autoescape=True), *_whole_number(program, wanted)]
        digits = re.sub(r"\D", "", ascii_digits(wanted))
        # Stored is +358401230007: 040 123 0007 and 00358 40 123 0007 are in it without their zeros.
        for part in {digits, digits.lstrip("0")} if by_number else ():
            if len(part) >= _FEWEST_DIGITS:
                fits.append(Member.phone.contains(part, autoescape=True))
        query = query.where(or_(*fits))
    if after is not None:
        last = select(Member.joined_at, Member.id).where(Member.id == after, Member.program_id == actor.program_id)
        query = query.where(tuple_(Member.joined_at, Member.id) < last.scalar_subquery())
    with ctx.sessions() as session:
        newest_first = query.order_by(Member.joined_at.desc(), Member.id.desc()).limit(limit + 1)
        rows = list(session.scalars(newest_first).unique())
        page = views(session, program, rows[:limit])
        return page, (page[-1].id if len(rows) > limit else None)


def _whole_number(program: Program, wanted: str) -> list[ColumnElement[bool]]:
    try:
        return [Member.phone == normalise(wanted, program.country)]
    except PhoneError:
        return []
