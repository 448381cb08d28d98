"""Staff: who may sign in, and as what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Role, Staff
from app.db.programs import Location, Program
from app.i18n import LANGUAGES, N_
from app.services import limits
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader, chosen_id
from app.services.views import StaffView

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1000
_LOGIN = re.compile(r"[\w.+@-]{2,60}")
_SHORT = N_("A password needs at least %(least)s characters.")
# Adding the same person again within this time is a double click, not a second person.
_DOUBLE_CLICK = timedelta(minutes=10)

_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class StaffForm:
    """What was typed about a member of staff, checked. An empty password keeps the old one."""

    name: str
    login: str
    role: Role
    language: str
    location: str
    active: bool
    may_grant_credit: bool
    password: str
    password_hash: str


def sign_in(ctx: Context, login: str, password: str, address: str) -> StaffView:
    """The member of staff with this login and password.

    `address` is the network address that asks. Tries are counted for the login from there, for the login from
    anywhere, and for the address; while they cannot be counted nobody gets in. Raises Refused: wrong-login,
    too-many-tries, limiter-down.
    """
    name = login.strip().casefold()[:60].replace("\0", "")
    limits.spend(ctx, limits.SIGN_IN, "sign-in", name, address, when_down=limits.WhenDown.REFUSE)
    limits.spend(ctx, limits.SIGN_IN_NAME, "sign-in-as", name, when_down=limits.WhenDown.REFUSE)
    limits.spend(ctx, limits.SIGN_IN_ADDRESS, "sign-in-from", address, when_down=limits.WhenDown.REFUSE)
    with ctx.sessions() as session:
        person = session.scalars(select(Staff).where(Staff.login == name)).one_or_none()
        found = staff_view(person) if person is not None and person.active else None
        stored = person.password_hash if person is not None else _nobodys_hash()
    if not _fits(stored, password) or found is None:
        raise Refused("wrong-login", N_("The name or the password is wrong."), status=401)
    limits.forget(ctx, limits.SIGN_IN, "sign-in", name, address)
    return found


def by_session(ctx: Context, staff_id: UUID, session_version: int) -> StaffView | None:
    """Who a session belongs to; None when they were signed out or may no longer sign in."""
    with ctx.sessions() as session:
        person = session.get(Staff, staff_id)
        if person is None or not person.active or person.session_version != session_version:
            return None
        return staff_view(person)


def every(ctx: Context, program_id: UUID) -> list[StaffView]:
    with ctx.sessions() as session:
        rows = session.scalars(select(Staff).where(Staff.program_id == program_id).order_by(Staff.name, Staff.id))
        return [staff_view(row) for row in rows]


def get(ctx: Context, actor: Actor, staff_id: UUID) -> StaffView:
    """One of the programme's staff. Raises Refused for a stranger."""
    with ctx.sessions() as session:
        return staff_view(_own(session, actor, staff_id))


def may_appoint(role: Role) -> tuple[Role, ...]:
    """The roles that someone of this role may give, and whose holders they may change."""
    if role is Role.OWNER:
        return tuple(Role)
    return (Role.MARKETER, Role.CASHIER) if role is Role.MANAGER else ()


def save(ctx: Context, actor: Actor, form: Mapping[str, str], staff_id: UUID | None = None) -> StaffView:
    """Add someone, or change them. An empty password keeps the old one.

    A new password, another role or an end of activity signs them out everywhere. The last active owner stays one.
    Managers may only add and change cashiers and marketers; an actor without staff or key is the installation
    itself, and may everything. Raises InvalidForm, Refused (staff-not-found, not-allowed, last-owner).
    """
    typed = read_staff(form, new=staff_id is None)
    try:
        with ctx.sessions.begin() as session:
            return staff_view(write_staff(session, actor, typed, staff_id))
    except IntegrityError:  # somebody of another programme took the login in the same instant
        raise InvalidForm({"login": _taken()}) from None


def read_staff(form: Mapping[str, str], *, new: bool) -> StaffForm:
    """Check what was typed. Raises InvalidForm."""
    reader = FormReader(form)
    name = reader.line("name", 60)
    login = reader.line("login", 60).casefold()
    role = Role(reader.choice("role", set(Role), otherwise=Role.CASHIER))
    language = reader.choice("language", LANGUAGES, otherwise="en")
    password = form.get("password", "")
    if login and "login" not in reader.errors and not _LOGIN.fullmatch(login):
        reader.wrong("login", "invalid-login", N_("Use letters, digits and . _ - + @ only, without spaces."))
    if password or new:
        _check_password(reader, "password", password)
    if reader.errors:
        raise InvalidForm(reader.errors)
    return StaffForm(
        name,
        login,
        role,
        language,
        form.get("location_id", ""),
        form.get("active", "on") == "on",
        form.get("may_grant_credit") == "on",
        password,
        _hasher.hash(password) if password else "",
    )


def write_staff(session: Session, actor: Actor, typed: StaffForm, staff_id: UUID | None = None) -> Staff:
    """Add or change someone, in the caller's transaction. Raises as save() does."""
    session.get_one(Program, actor.program_id, with_for_update=True)  # one change of staff at a time
    allowed = _appointable(session, actor)
    person = _own(session, actor, staff_id) if staff_id else None
    if typed.role not in allowed or (person is not None and person.role not in allowed):
        raise Refused("not-allowed", N_("Only an owner may do this: ask one."), status=403)
    taken = session.scalars(select(Staff).where(Staff.login == typed.login)).one_or_none()
    if taken is not None and taken is not person:
        if person is None and _same_again(actor, taken, typed):
            return taken
        raise InvalidForm({"login": _taken()})
    if person is None:
        person = Staff(id=uuid7(), program_id=actor.program_id, created_at=clock.now(), session_version=0)
        session.add(person)
    elif person.role is Role.OWNER and person.active and not (typed.role is Role.OWNER and typed.active):
        _check_another_owner(session, person)
    if typed.password_hash:
        person.password_hash = typed.password_hash
    if typed.password_hash or person.role != typed.role or person.active != typed.active:
        person.session_version += 1
    person.name, person.login, person.role = typed.name, typed.login, typed.role
    person.language, person.active = typed.language, typed.active
    person.may_grant_credit = typed.may_grant_credit
    person.location_id = own_location(session, actor, typed.location)
    rights = {"role": typed.role.value, "active": typed.active, "may_grant_credit": typed.may_grant_credit}
    record(session, actor, "staff.saved", person.id, **rights)
    session.flush()
    return person


def change_password(ctx: Context, actor: Actor, form: Mapping[str, str]) -> StaffView:
    """A new password for whoever asks: `current`, `new` and `again`. Signs them out everywhere else.

    Tries are counted as for signing in. Raises InvalidForm, Refused (too-many-tries, limiter-down).
    """
    limits.spend(ctx, limits.SIGN_IN, "password-of", str(actor.staff_id), when_down=limits.WhenDown.REFUSE)
    if actor.staff_id is None:
        raise Refused("unauthorized", N_("Please sign in."), status=401)
    reader = FormReader(form)
    _check_password(reader, "new", form.get("new", ""))
    if not reader.errors and form.get("again", "") != form.get("new", ""):
        reader.wrong("again", "passwords-differ", N_("The two new passwords are not the same."))
    with ctx.sessions.begin() as session:
        person = session.get_one(Staff, actor.staff_id, with_for_update=True)
        if not _fits(person.password_hash, form.get("current", "")):
            reader.wrong("current", "wrong-password", N_("This is not your present password."))
        if reader.errors:
            raise InvalidForm(reader.errors)
        person.password_hash = _hasher.hash(form.get("new", ""))
        person.session_version += 1
        record(session, actor, "staff.password-changed", person.id)
        return staff_view(person)


def _check_password(reader: FormReader, field: str, password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        reader.wrong(field, "short-password", _SHORT, {"least": SHORTEST_PASSWORD})
    elif len(password) > LONGEST_PASSWORD:
        reader.wrong(
            field, "long-password", N_("A password has %(most)s characters at most."), {"most": LONGEST_PASSWORD}
        )


@cache
def _nobodys_hash() -> str:
    """Checked when the login is unknown, so that an unknown login takes as long as a wrong password."""
    return _hasher.hash("nobody has this password")


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):  # a load without passwords leaves none, which nothing fits
        return False


def _own(session: Session, actor: Actor, staff_id: UUID) -> Staff:
    person = session.get(Staff, staff_id)
    if person is None or person.program_id != actor.program_id:
        raise Refused("staff-not-found", N_("There is no such member of staff."), status=404)
    return person


def _appointable(session: Session, actor: Actor) -> tuple[Role, ...]:
    if actor.staff_id is None:
        return tuple(Role) if actor.api_key_id is None else ()
    return may_appoint(session.get_one(Staff, actor.staff_id).role)


def _same_again(actor: Actor, taken: Staff, typed: StaffForm) -> bool:
    return (
        taken.program_id == actor.program_id
        and (taken.name, taken.role, taken.active) == (typed.name, typed.role, typed.active)
        and clock.now() - taken.created_at < _DOUBLE_CLICK
        and _fits(taken.password_hash, typed.password)
    )


def _check_another_owner(session: Session, person: Staff) -> None:
    others = select(func.count()).where(
        Staff.program_id == person.program_id, Staff.role == Role.OWNER, Staff.active, Staff.id != person.id
    )
    if not session.scalar(others):
        raise Refused("last-owner", N_("A programme needs an owner: make somebody else an owner first."))


def _taken() -> Refused:
    return Refused("login-taken", N_("Somebody else has this name."), field="login")


def own_location(session: Session, actor: Actor, text: str) -> UUID | None:
    """The chosen location's id; None for no choice. Raises InvalidForm for one that is not of this programme."""
    if not text:
        return None
    chosen = chosen_id(text)
    location = session.get(Location, chosen) if chosen else None
    if location is None or location.program_id != actor.program_id:
        unknown = Refused("location-not-found", N_("There is no such location."), field="location_id", status=404)
        raise InvalidForm({"location_id": unknown})
    return location.id


def staff_view(person: Staff) -> StaffView:
    return StaffView(
        person.id,
        person.program_id,
        person.location_id,
        person.login,
        person.name,
        person.role,
        person.language,
        person.session_version,
        person.active,
        person.may_grant_credit,
    )
