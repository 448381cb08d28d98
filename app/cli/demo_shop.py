"""The demo's shop: Café Kulma with two locations, staff of every role, and members who have been there before."""

import json
import secrets
from pathlib import Path
from typing import Any

from app.cli import demo_history, demo_programme
from app.db import migrate
from app.db.people import Role
from app.services import api_keys, join_codes, members, programs, staff, till
from app.services.context import Actor, Context
from app.services.programs import ProgramView

SLUG = "kulma"
PASS_TYPE = "pass.fi.leima.demo"  # noqa: S105 - an identifier, not a password
# role, name, which of the locations
_PEOPLE = (
    (Role.OWNER, "Alice", 0),
    (Role.MANAGER, "Mary", 0),
    (Role.MARKETER, "Max", 0),
    (Role.CASHIER, "Charlie", 0),
    (Role.CASHIER, "Sami", 1),
)
_LOCATIONS = (
    {"name": "Kulma Kallio", "address": "Fleminginkatu 8, Helsinki", "latitude": "60.1850", "longitude": "24.9505"},
    {"name": "Kulma Kamppi", "address": "Kampinkuja 2, Helsinki", "latitude": "60.1690", "longitude": "24.9330"},
)
# phone, name, language, channel, stamps given; the pretend Twilio delivers to all of these numbers
_MEMBERS = (
    ("+358401234501", "Aino Virtanen", "fi", "till", 7),
    ("+358401234502", "Bob Miller", "en", "table-4", 3),
    ("+358401234503", "Ольга Смирнова", "ru", "window", 12),
    ("+358401234504", "مریم رضایی", "fa", "receipt", 9),
    ("+358401234505", "Dora 🌻 Lind", "en", "", 0),
)
# Texted to the shop, the code joins; the second counts the joins of another channel.
JOIN_CODE = "48213"
_JOIN_CODES = ((JOIN_CODE, "window"), ("52067", "receipt"))
_PROGRAM = {
    "name": "Kulma Club",
    "organization_name": "Café Kulma",
    "language": "en",
    "time_zone": "Europe/Helsinki",
    "country": "FI",
    "currency": "EUR",
    "brand_color": "#0b5d4e",
    "theme": "dark",
    "welcome_text": "Welcome! Show this card at the till.",
    "terms_text": "One stamp for each hot drink. Ten stamps give a free coffee of any size.\n"
    "We keep your number to run your card, and write to you only if you want us to.",
    "contact_text": "Café Kulma, Fleminginkatu 8, Helsinki",
    "website": "https://kulma.example",
    "stamps_needed": "10",
    "stamp_valid_days": "365",
    "join_stamps": "1",
    "reward_name": "Free coffee",
    "reward_valid_days": "60",
    "pass_type_identifier": PASS_TYPE,
}


def fill(context: Context, file: Path, sandbox: dict[str, Any], *, history: bool = True) -> dict[str, Any]:
    """Migrate, make the shop if there is none, write `file`, and return what it says.

    With `history` the shop has had some months already, which takes a few seconds to tell.
    Passwords and the API key can't be read back from the database. When `file` is lost, new ones are made.
    """
    migrate.upgrade(context.engine)
    known = json.loads(file.read_text()) if file.exists() else {}
    found = next((made for made in programs.every(context) if made.slug == SLUG), None)
    if found is None:
        known = {}
        found = programs.create(context, SLUG, _PROGRAM)
    actor = Actor(found.id, may_manage=True)
    _locations(context, actor)
    _join_codes(context, actor)
    if not known:
        known = {"staff": _staff(context, actor), "api_key": api_keys.create(context, actor, {"name": "Demo till"})[1]}
        demo_programme.set_up(context, actor)
        if history:
            demo_history.tell(context, actor, _cashiers(context, actor), found.time_zone)
        demo_programme.begin_asking(context, actor)
    _members(context, actor)
    told = _told(context, found, known) | {"sandbox": sandbox}
    _write(file, told)
    return told


def _locations(context: Context, actor: Actor) -> None:
    there = {place.name for place in programs.locations(context, actor.program_id)}
    for form in _LOCATIONS:
        if form["name"] not in there:
            programs.save_location(context, actor, form)


def _join_codes(context: Context, actor: Actor) -> None:
    there = {made.code for made in join_codes.every(context, actor.program_id)}
    for code, via in _JOIN_CODES:
        if code not in there:
            join_codes.create(context, actor, {"code": code, "via": via})


def _staff(context: Context, actor: Actor) -> list[dict[str, str]]:
    password = f"kahvi-{secrets.token_hex(4)}"
    there = {person.login: person for person in staff.every(context, actor.program_id)}
    places = {place.name: place.id for place in programs.locations(context, actor.program_id)}
    for role, name, place in _PEOPLE:
        form = {
            "name": name,
            "login": name.casefold(),
            "password": password,
            "role": role.value,
            "language": "en",
            "location_id": str(places[_LOCATIONS[place]["name"]]),
        }
        existing = there.get(name.casefold())
        staff.save(context, actor, form, existing.id if existing else None)
    return [{"role": role.value, "login": name.casefold(), "password": password} for role, name, _ in _PEOPLE]


def _cashiers(context: Context, actor: Actor) -> list[Actor]:
    """Those at the tills, as they act there."""
    return [
        Actor(actor.program_id, staff_id=person.id, location_id=person.location_id)
        for person in staff.every(context, actor.program_id)
        if person.role is Role.CASHIER
    ]


def _members(context: Context, actor: Actor) -> None:
    for phone, name, language, via, stamps in _MEMBERS:
        if demo_history.is_member(context, actor, phone):
            continue
        request = members.JoinRequest(phone=phone, name=name, language=language, via=via)
        member, _ = members.join(context, actor, request, source="till")
        if stamps:
            till.give_stamps(context, actor, member.card_code, count=stamps)


def _told(context: Context, program: ProgramView, known: dict[str, Any]) -> dict[str, Any]:
    actor = Actor(program.id)
    cards = []
    for phone, name, *_ in _MEMBERS:
        member = members.find(context, actor, phone)
        card_url = members.card_url(context, member)
        cards.append({"name": name, "phone": phone, "card_code": member.card_code, "card_url": card_url})
    base = context.settings.base_url
    return {
        "base_url": base,
        "program": program.slug,
        "join_url": f"{base}/join/{program.slug}?via=window",
        "till_url": f"{base}/till",
        "door_url": f"{base}/till/door",
        "office_url": f"{base}/office",
        "api_docs_url": f"{base}/api/docs",
        "api_key": known["api_key"],
        "staff": known["staff"],
        "members": cards,
        "texting": {"code": JOIN_CODE, "number": context.settings.texting_number},
    }


def _write(file: Path, told: dict[str, Any]) -> None:
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    part.replace(file)
