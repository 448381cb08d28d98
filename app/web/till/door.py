"""The door: a page that checks cards in, also while it is cut off from the server.

The page itself holds nothing of anybody's, so that a browser may keep it. Who is signed in, and what came of a visit,
it asks for.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, render_template, request, send_from_directory
from flask_wtf.csrf import generate_csrf

from app.services import limits, members, programs, visit_rules, visits
from app.services.errors import InvalidForm, Refused
from app.web.access import TILL, actor, ctx, public, staff_only
from app.web.assets import FOLDER
from app.web.language import text
from app.web.till.page import blueprint, here, once_key, places, sent_location

_REFUSED_LATER = (429, 503)  # not because of the visit: it can be sent again


@blueprint.get("/door")
@public
def door() -> str:
    return render_template("till/door.html")


@blueprint.get("/door-worker.js")
@public
def door_worker() -> Response:
    """What keeps the page and its files in the browser. Its address has to lie beside the page's."""
    response = send_from_directory(FOLDER, "door_worker.js")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/door/state")
@staff_only(*TILL)
def door_state() -> dict[str, object]:
    """For whom the door counts, where it can stand, and what its visits are to be sent with."""
    program = programs.get(ctx(), actor().program_id)
    stands = here()
    return {
        "csrf": generate_csrf(),
        "program": {"id": str(program.id), "name": program.name},
        "places": [{"id": str(place.id), "name": place.name} for place in places()],
        "place": str(stands) if stands else "",
        "active": visit_rules.get(ctx(), program.id).active,
    }


@blueprint.post("/door/visits")
@staff_only(*TILL)
def door_visit() -> tuple[dict[str, object], int] | dict[str, object]:
    """Count a visit; the answer is what the page shows. `refused`: it will never count, and need not be sent again."""
    limits.spend(ctx(), limits.LOOKUP, "door", str(actor().staff_id))
    try:
        answer, _ = visits.record(
            ctx(),
            actor(),
            request.form.get("code", "")[:200],
            at=_moment("at"),
            device_now=_moment("clock"),
            location=sent_location(),
            key=once_key(),
        )
    except Refused as refusal:
        if refusal.status in _REFUSED_LATER:
            raise
        return _shown("bad", refusal.text(text()), refused=True), refusal.status
    except InvalidForm as invalid:
        return _shown("bad", " ".join(error.text(text()) for error in invalid.errors.values()), refused=True), 422
    return _told(answer)


def _told(answer: dict[str, Any]) -> dict[str, object]:
    """What everybody near the door may read: a first name and a number, nothing else of whose card it is."""
    _ = text().gettext
    member = members.by_id(ctx(), actor(), answer["member_id"])
    name = next(iter(member.name.split()), "")
    if answer["instead"]:
        time_zone = programs.get(ctx(), actor().program_id).time_zone
        return _shown("again", _already(answer, time_zone), name)
    headline = _("Welcome, %(name)s!", name=name) if name else _("Welcome!")
    more = [_("Visit %(visits)s", visits=answer["visits"])]
    if answer["issued"]:
        more += [_("Your reward: %(reward)s", reward=reward["name"]) for reward in answer["issued"]]
        return _shown("reward", headline, *more)
    if coming := answer["next_reward"]:
        more.append(_("Visits left to %(reward)s: %(left)s", reward=coming["name"], left=coming["visits_left"]))
    return _shown("good", headline, *more)


def _already(answer: dict[str, Any], time_zone: str) -> str:
    before = datetime.fromisoformat(answer["instead"])
    zone = ZoneInfo(time_zone)
    local = before.astimezone(zone)
    if local.date() == datetime.fromisoformat(answer["at"]).astimezone(zone).date():
        return text().gettext("Already checked in at %(time)s", time=text().digits(f"{local:%H:%M}"))
    return text().gettext("Already checked in: %(when)s", when=text().moment(before, time_zone))


def _shown(outcome: str, headline: str, *more: str, refused: bool = False) -> dict[str, object]:
    return {
        "outcome": outcome,
        "headline": headline,
        "more": [line for line in more if line],
        "refused": refused,
    }


def _moment(name: str) -> datetime | None:
    """A moment as JavaScript writes it; None when it is none, or has no offset."""
    try:
        moment = datetime.fromisoformat(request.form.get(name, ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
