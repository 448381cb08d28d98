"""Changing the pepper of 7-digit codes without breaking those that people hold, and how codes stand."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from app.db.credit import Credit, CreditStatus
from app.db.programs import Program
from app.services import peppers
from app.services.code_lookup import least_that_needs_digits
from app.services.context import Context
from app.services.credit_codes import lock_peppers
from app.services.peppers import PepperStore
from sms.codes import guess_odds, needs_phone_digits

GUESSES = 100


@dataclass(frozen=True, slots=True)
class Rotated:
    """The newest pepper's id, how many older ones are kept because codes need them, and how many were dropped."""

    newest_id: str
    kept: int
    dropped: int


@dataclass(frozen=True, slots=True)
class ProgramCodes:
    """A programme's active codes. `odds`: how likely it is that one of GUESSES guesses hits."""

    slug: str
    active: int
    odds: float
    asks_phone_digits: bool


@dataclass(frozen=True, slots=True)
class PepperUse:
    """A pepper, and how many codes, active or resting, need it. One that is not `held` has lost them."""

    id: str
    codes: int
    held: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How codes stand. `asks_from`: with so many active codes a programme's till asks the phone's last digits."""

    programs: list[ProgramCodes]
    peppers: list[PepperUse]
    asks_from: int


def rotate(ctx: Context, store: PepperStore) -> Rotated:
    """Key new codes with a new pepper from now on, in all processes that use this data folder.

    Old peppers are kept while a code needs them. For peppers in a file: LEIMA_CODE_PEPPERS is the owner's to change.
    """
    with ctx.sessions.begin() as session:
        lock_peppers(session)
        before = store().held
        needed = _in_use(session)
        kept = [pepper for pepper in before if needed[pepper.id]]
        made = peppers.of([peppers.new_secret()]).newest
        store.write([made, *kept])
    return Rotated(made.id, len(kept), len(before) - len(kept))


def status(ctx: Context) -> Status:
    """How many codes are active in each programme, and which peppers they need. The newest pepper comes first."""
    held = [pepper.id for pepper in ctx.peppers().held]
    is_open = Credit.status == literal(CreditStatus.OPEN, Credit.status.type, literal_execute=True)
    active = (
        select(Program.slug, func.count(Credit.id))
        .outerjoin(Credit, (Credit.program_id == Program.id) & is_open & Credit.code_hash.is_not(None))
        .group_by(Program.slug)
        .order_by(Program.slug)
    )
    with ctx.sessions() as session:
        in_use = _in_use(session)
        programs = [
            ProgramCodes(slug, count, guess_odds(count, GUESSES), needs_phone_digits(count))
            for slug, count in session.execute(active)
        ]
    ids = [*held, *sorted(in_use.keys() - set(held))]
    used = [PepperUse(pepper_id, in_use[pepper_id], pepper_id in held) for pepper_id in ids]
    return Status(programs, used, least_that_needs_digits())


def _in_use(session: Session) -> Mapping[str, int]:
    """Pepper id → how many codes were made with it."""
    rows = session.execute(
        select(Credit.pepper_id, func.count()).where(Credit.code_hash.is_not(None)).group_by(Credit.pepper_id)
    )
    return Counter(dict(iter(rows)))
