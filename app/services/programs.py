"""Programmes, their pictures and locations: what an owner sets up."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Role
from app.db.programs import Location, Picture, Program, Theme
from app.db.rewards import RewardType
from app.i18n import N_, major_units
from app.services import refresh
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader, degrees, read_program
from app.services.staff import StaffForm, read_staff, write_staff
from certs import identity
from passes.artwork import PictureError, read_upload

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class LocationView:
    id: UUID
    name: str
    address: str
    latitude: float | None
    longitude: float | None
    active: bool


_FULL_CARD_KIND = select(RewardType.name).where(
    RewardType.program_id == bindparam("program_id"), RewardType.for_full_card, RewardType.active
)


@dataclass(frozen=True, slots=True)
class ProgramView:
    """Everything that is set for a programme. Amounts are in minor units of `currency`."""

    id: UUID
    slug: str
    name: str
    organization_name: str
    language: str
    time_zone: str
    country: str
    currency: str
    pass_type_identifier: str
    brand_color: str
    theme: Theme
    logo_id: UUID | None
    welcome_text: str
    terms_text: str
    contact_text: str
    website: str
    stamps_needed: int
    smallest_purchase_minor: int
    stamp_valid_days: int | None
    join_stamps: int
    reward_name: str
    reward_valid_days: int | None
    starts_on: date | None
    stamp_card_name: str
    stamp_products: tuple[str, ...]
    stamp_per_minor: int | None
    birthday_stamps: int
    version: int


def program_view(program: Program) -> ProgramView:
    values = {name: getattr(program, name) for name in ProgramView.__dataclass_fields__}
    return ProgramView(**values | {"stamp_products": tuple(program.stamp_products)})


def by_slug(ctx: Context, slug: str) -> ProgramView:
    """Raises Refused: program-not-found."""
    with ctx.sessions() as session:
        found = select(Program).where(Program.slug == slug)
        program = session.scalars(found).one_or_none() if _SLUG.fullmatch(slug) else None
        if program is None:
            raise Refused("program-not-found", N_("There is no such programme."), status=404)
        return program_view(program)


def get(ctx: Context, program_id: UUID) -> ProgramView:
    with ctx.sessions() as session:
        return program_view(session.get_one(Program, program_id))


def every(ctx: Context) -> list[ProgramView]:
    with ctx.sessions() as session:
        return [program_view(row) for row in session.scalars(select(Program).order_by(Program.name, Program.id))]


def create(ctx: Context, slug: str, form: Mapping[str, str], owner: Mapping[str, str] | None = None) -> ProgramView:
    """Make a programme, and its first owner in the same step when one is given.

    Raises InvalidForm, where the owner's fields are named owner_…, or Refused when the short name is taken.
    """
    errors: dict[str, Refused] = {}
    values: dict[str, object] = {}
    person: StaffForm | None = None
    if not _SLUG.fullmatch(slug):
        message = N_("Use lower-case letters, digits and hyphens, 40 at most.")
        errors["slug"] = Refused("invalid-slug", message, field="slug")
    try:
        values = read_program(form)
    except InvalidForm as invalid:
        errors |= invalid.errors
    try:
        person = read_staff(owner, new=True) if owner is not None else None
    except InvalidForm as invalid:
        errors |= {f"owner_{field}": refusal for field, refusal in invalid.errors.items()}
    if errors:
        raise InvalidForm(errors)
    with ctx.sessions.begin() as session:
        created = session.execute(
            insert(Program)
            .values(id=uuid7(), slug=slug, version=1, created_at=clock.now(), **values)
            .on_conflict_do_nothing(index_elements=["slug"])
            .returning(Program.id)
        ).scalar()
        if created is None:
            raise Refused("slug-taken", N_("Another programme has this short name."), field="slug", status=409)
        program = session.get_one(Program, created)
        record(session, Actor(program.id), "program.created", program.id)
        if person is not None:
            _add_owner(session, program, person)
        return program_view(program)


def _add_owner(session: Session, program: Program, person: StaffForm) -> None:
    try:
        write_staff(session, Actor(program.id), replace(person, role=Role.OWNER, active=True))
    except InvalidForm as invalid:
        raise InvalidForm({f"owner_{field}": refusal for field, refusal in invalid.errors.items()}) from None


def update(
    ctx: Context, actor: Actor, form: Mapping[str, str], *, logo: bytes | None = None, remove_logo: bool = False
) -> ProgramView:
    """Change what the owner set. Everything is checked before anything is written. Raises InvalidForm."""
    errors: dict[str, Refused] = {}
    values: dict[str, object] = {}
    picture: bytes | None = None
    try:
        values = read_program(form)
    except InvalidForm as invalid:
        errors = dict(invalid.errors)
    if logo is not None:
        try:
            picture = read_upload(logo)
        except PictureError as error:
            errors["logo"] = Refused("invalid-picture", error.message, error.params, field="logo")
    if errors:
        raise InvalidForm(errors)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        if picture is not None:
            values["logo_id"] = _keep_picture(session, picture)
        elif remove_logo:
            values["logo_id"] = None
        if (kind := session.scalar(_FULL_CARD_KIND, {"program_id": program.id})) is not None:
            values["reward_name"] = kind  # what a full card gives is named by its kind
        changed = sorted(name for name, value in values.items() if getattr(program, name) != value)
        for name in changed:
            setattr(program, name, values[name])
        if changed:
            program.version += 1
            refresh.announce(session, program.id)
            record(session, actor, "program.changed", program.id, fields=changed)
        return program_view(program)


def _keep_picture(session: Session, content: bytes) -> UUID:
    digest = hashlib.sha256(content).hexdigest()
    session.execute(
        insert(Picture)
        .values(id=uuid7(), sha256=digest, content=content, created_at=clock.now())
        .on_conflict_do_nothing(index_elements=["sha256"])
    )
    return session.scalars(select(Picture.id).where(Picture.sha256 == digest)).one()


def picture(ctx: Context, picture_id: UUID) -> bytes:
    """An uploaded picture, as PNG."""
    with ctx.sessions() as session:
        row = session.get(Picture, picture_id)
        if row is None:
            raise Refused("picture-not-found", N_("There is no such picture."), status=404)
        return row.content


def as_typed(program: ProgramView) -> dict[str, str]:
    """The programme as the fields of its form: amounts in major units, what is not set as nothing."""
    fields = {name: getattr(program, name) for name in ProgramView.__dataclass_fields__}
    typed = {name: "" if value is None else str(value) for name, value in fields.items()}
    smallest = program.smallest_purchase_minor
    typed["smallest_purchase"] = str(major_units(smallest, program.currency)) if smallest else ""
    return typed


def pass_types(ctx: Context) -> list[str]:
    """The pass types that this installation holds certificates for."""
    return [folder.name for folder in identity.folders(ctx.settings.data / "certs")]


def locations(ctx: Context, program_id: UUID) -> list[LocationView]:
    with ctx.sessions() as session:
        rows = session.scalars(select(Location).where(Location.program_id == program_id).order_by(Location.name))
        return [_location_view(row) for row in rows]


def location(ctx: Context, actor: Actor, location_id: UUID) -> LocationView:
    """One of the programme's locations. Raises Refused for a stranger."""
    with ctx.sessions() as session:
        return _location_view(_own(session, actor, location_id))


def save_location(ctx: Context, actor: Actor, form: Mapping[str, str], location_id: UUID | None = None) -> LocationView:
    """Add a location, or change one. `latitude` and `longitude` in degrees, both or neither. Raises InvalidForm.

    Adding the very same location again (a double click) is the same as adding it once.
    """
    typed = _read_location(form)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, location_id) if location_id is not None else None
        namesake = session.scalars(
            select(Location).where(Location.program_id == program.id, Location.name == typed["name"])
        ).one_or_none()
        if namesake is not None and namesake is not row:
            if row is None and all(getattr(namesake, name) == value for name, value in typed.items()):
                return _location_view(namesake)
            raise InvalidForm({"name": Refused("name-taken", N_("Another location has this name."), field="name")})
        if row is None:
            row = Location(id=uuid7(), program_id=program.id)
            session.add(row)
        for name, value in typed.items():
            setattr(row, name, value)
        program.version += 1
        refresh.announce(session, program.id)
        record(session, actor, "location.saved", row.id)
        session.flush()
        return _location_view(row)


def _read_location(form: Mapping[str, str]) -> dict[str, object]:
    reader = FormReader(form)
    name, address = reader.line("name", 60), reader.line("address", 200, optional=True)
    latitude = degrees(reader, "latitude", 90)
    longitude = degrees(reader, "longitude", 180)
    if (latitude is None) != (longitude is None) and not {"latitude", "longitude"} & reader.errors.keys():
        field = "latitude" if latitude is None else "longitude"
        reader.wrong(field, "required", N_("Enter both coordinates, or neither."))
    if reader.errors:
        raise InvalidForm(reader.errors)
    active = form.get("active", "on") == "on"
    return {"name": name, "address": address, "latitude": latitude, "longitude": longitude, "active": active}


def _own(session: Session, actor: Actor, location_id: UUID) -> Location:
    row = session.get(Location, location_id)
    if row is None or row.program_id != actor.program_id:
        raise Refused("location-not-found", N_("There is no such location."), status=404)
    return row


def _location_view(row: Location) -> LocationView:
    return LocationView(row.id, row.name, row.address, row.latitude, row.longitude, row.active)
