"""The demo's shop: Café Kulma with two locations, staff of every role, and members who have been there before."""

import json
import secrets
from pathlib import Path
from typing import Any

from app.db import migrate
from app.db.people import Role
from app.services import api_keys, members, programs, staff, till
from app.services.context import Actor, Context
from app.services.programs import ProgramView

SLUG = "kulma"
PASS_TYPE = "pass.fi.leima.demo"  # noqa: S105 - an identifier, not a password
_PEOPLE = ((Role.OWNER, "Alice"), (Role.MANAGER, "Mary"), (Role.MARKETER, "Max"), (Role.CASHIER, "Charlie"))
_LOCATIONS = (
    {"name": "Kulma Kallio", "address": "Fleminginkatu 8, Helsinki", "latitude": "60.1850", "longitude": "24.9505"},
    {"name": "Kulma Kamppi", "address": "Kampinkuja 2, Helsinki", "latitude": "60.1690", "longitude": "24.9330"},
)
# phone, name, language, channel, stamps given
_MEMBERS = (
    ("+358401230001", "Aino Virtanen", "fi", "till", 7),
    ("+358401230002", "Bob Miller", "en", "table-4", 3),
    ("+358401230003", "Ольга Смирнова", "ru", "window", 12),
    ("+358401230004", "مریم رضایی", "fa", "receipt", 9),
    ("+358401230005", "Dora 🌻 Lind", "en", "", 0),
)
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


def fill(context: Context, file: Path, sandbox: dict[str, Any]) -> dict[str, Any]:
    """Migrate, make the shop if there is none, write `file`, and return what it says.

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
    if not known:
        known = {"staff": _staff(context, actor), "api_key": api_keys.create(context, actor, {"name": "Demo till"})[1]}
        _members(context, actor)
    told = _told(context, found, known) | {"sandbox": sandbox}
    _write(file, told)
    return told


def _locations(context: Context, actor: Actor) -> None:
    there = {place.name for place in programs.locations(context, actor.program_id)}
    for form in _LOCATIONS:
        if form["name"] not in there:
            programs.save_location(context, actor, form)


def _staff(context: Context, actor: Actor) -> list[dict[str, str]]:
    password = f"kahvi-{secrets.token_hex(4)}"
    there = {person.login: person for person in staff.every(context, actor.program_id)}
    place = programs.locations(context, actor.program_id)[0]
    for role, name in _PEOPLE:
        form = {
            "name": name,
            "login": name.casefold(),
            "password": password,
            "role": role.value,
            "language": "en",
            "location_id": str(place.id),
        }
        existing = there.get(name.casefold())
        staff.save(context, actor, form, existing.id if existing else None)
    return [{"role": role.value, "login": name.casefold(), "password": password} for role, name in _PEOPLE]


def _members(context: Context, actor: Actor) -> None:
    for phone, name, language, via, stamps in _MEMBERS:
        request = members.JoinRequest(phone=phone, name=name, language=language, via=via)
        member, new = members.join(context, actor, request, source="till")
        if new and stamps:
            till.give_stamps(context, actor, member.card_code, count=stamps)


def _told(context: Context, program: ProgramView, known: dict[str, Any]) -> dict[str, Any]:
    actor = Actor(program.id)
    cards = []
    for phone, name, *_ in _MEMBERS:
        member = members.find(context, actor, phone)
        cards.append({"name": name, "card_code": member.card_code, "card_url": members.card_url(context, member)})
    base = context.settings.base_url
    return {
        "base_url": base,
        "program": program.slug,
        "join_url": f"{base}/join/{program.slug}?via=window",
        "till_url": f"{base}/till",
        "office_url": f"{base}/office",
        "api_docs_url": f"{base}/api/docs",
        "api_key": known["api_key"],
        "staff": known["staff"],
        "members": cards,
    }


def _write(file: Path, told: dict[str, Any]) -> None:
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    part.replace(file)
