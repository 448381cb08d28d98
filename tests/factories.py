"""Ready-made shops and people for tests. Alice owns, Mary manages, Max markets, Charlie and Dora stand at the till."""

from dataclasses import dataclass

from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Role, Staff
from app.services import api_keys, members, programs, staff
from app.services.context import Actor, Context
from app.services.programs import LocationView, ProgramView
from app.services.views import MemberView, StaffView

PASSWORD = "correct horse battery"

PROGRAM_FORM = {
    "name": "Kulma Club",
    "organization_name": "Café Kulma",
    "language": "en",
    "time_zone": "Europe/Helsinki",
    "country": "FI",
    "currency": "EUR",
    "brand_color": "#0b5d4e",
    "theme": "dark",
    "welcome_text": "Welcome to the club!",
    "terms_text": "One stamp for each coffee.\nTen stamps give a free coffee.",
    "contact_text": "Kulmakatu 1, Helsinki",
    "website": "https://kulma.example",
    "stamps_needed": "10",
    "smallest_purchase": "",
    "stamp_valid_days": "",
    "join_stamps": "0",
    "reward_name": "Free coffee",
    "reward_valid_days": "",
    "starts_on": "",
    "pass_type_identifier": "pass.fi.leima.test",
}


@dataclass(frozen=True)
class Shop:
    """An open shop. `actors` holds one actor a role, `api` an actor of an API key, whose secret is `api_key`."""

    ctx: Context
    program: ProgramView
    location: LocationView
    people: dict[Role, StaffView]
    second_cashier: StaffView
    api_key: str
    api: Actor

    def actor(self, role: Role) -> Actor:
        return actor_for(self.people[role])

    @property
    def cashier(self) -> Actor:
        return self.actor(Role.CASHIER)

    @property
    def owner(self) -> Actor:
        return self.actor(Role.OWNER)

    def member(self, number: int = 0, **values: object) -> MemberView:
        """A new member; `number` (0-9999) makes the phone number."""
        request = members.JoinRequest(phone=f"+35840123{number:04d}", **values)  # type: ignore[arg-type]
        return members.join(self.ctx, Actor(self.program.id), request, source="web")[0]

    def change_program(self, **values: str) -> ProgramView:
        return programs.update(self.ctx, self.owner, PROGRAM_FORM | values)


def actor_for(person: StaffView) -> Actor:
    return Actor(
        person.program_id,
        staff_id=person.id,
        location_id=person.location_id,
        may_manage=person.role in (Role.MANAGER, Role.OWNER),
        may_grant=person.role in (Role.MANAGER, Role.OWNER) or person.may_grant_credit,
    )


def open_shop(ctx: Context, slug: str = "kulma", **program_values: str) -> Shop:
    program = programs.create(ctx, slug, PROGRAM_FORM | program_values)
    installation = Actor(program.id)
    location = programs.save_location(
        ctx,
        installation,
        {"name": "Kulma", "address": "Kulmakatu 1, Helsinki", "latitude": "60.1699", "longitude": "24.9384"},
    )
    *people, dora = _hire(ctx, program, location)
    by_role = {person.role: person for person in people}
    _, secret = api_keys.create(ctx, actor_for(by_role[Role.OWNER]), {"name": "Till 1"})
    return Shop(ctx, program, location, by_role, dora, secret, api_keys.actor_of(ctx, secret))


_PEOPLE = (
    ("Alice", Role.OWNER),
    ("Mary", Role.MANAGER),
    ("Max", Role.MARKETER),
    ("Charlie", Role.CASHIER),
    ("Dora", Role.CASHIER),
)


def _hire(ctx: Context, program: ProgramView, location: LocationView) -> list[StaffView]:
    """All at once: through `staff.save`, one after the other, it takes more time than everything else of a shop."""
    at = "" if program.slug == "kulma" else f"@{program.slug}"
    password_hash = staff._hasher.hash(PASSWORD)
    with ctx.sessions.begin() as session:
        people = [
            Staff(
                id=uuid7(),
                program_id=program.id,
                name=name,
                login=f"{name.casefold()}{at}",
                password_hash=password_hash,
                role=role,
                language="en",
                location_id=location.id,
                active=True,
                may_grant_credit=False,
                session_version=1,
                created_at=clock.now(),
            )
            for name, role in _PEOPLE
        ]
        session.add_all(people)
        session.flush()
        return [staff.staff_view(person) for person in people]
