"""The API's routes. Each call reads its body, asks one service, and answers with a schema."""

import json
from uuid import UUID

from flask import Blueprint, Response, g, render_template, url_for

from app.i18n import N_
from app.loyalty import card_codes
from app.services import limits, members, programs, till
from app.services.context import Actor
from app.services.errors import Refused
from app.services.members import JoinRequest
from app.services.views import MemberView
from app.web.access import ctx, key_only, public
from app.web.api import bodies, schemas
from app.web.api.calls import CALLS
from app.web.api.openapi import document
from app.web.api.problems import KINDS
from app.web.api.reference import sections
from app.web.language import text
from app.web.security import csrf

blueprint = Blueprint("api", __name__, url_prefix="/api")
csrf.exempt(blueprint)  # a key in a header is nothing that a browser sends by itself

PAUSE = str(limits.API.get_expiry())  # seconds until the count starts anew, at the latest


@blueprint.get("/v1/program")
@key_only
def show_program() -> Response:
    actor = _actor()
    program = programs.get(ctx(), actor.program_id)
    open_locations = [place for place in programs.locations(ctx(), actor.program_id) if place.active]
    values = {name: getattr(program, name, None) for name in schemas.Program.model_fields}
    return _json(
        schemas.Program.model_validate(values | {"locations": open_locations, "location_id": actor.location_id})
    )


@blueprint.post("/v1/members")
@key_only
def join_member() -> Response:
    sent = bodies.read(schemas.NewMember)
    member, new = members.join(
        ctx(),
        _actor(),
        JoinRequest(
            phone=sent.phone,
            name=sent.name or "",
            email=sent.email or "",
            birth_date=sent.birth_date,
            city=sent.city or "",
            language=sent.language or "",
            via=sent.via or "",
            consents=sent.consents.given() if sent.consents else {},
        ),
        source="api",
    )
    response = _member(member)
    if new:
        response.status_code = 201
        response.headers["Location"] = url_for("api.show_member", card_code=member.card_code)
    return response


@blueprint.get("/v1/members/<card_code>")
@key_only
def show_member(card_code: str) -> Response:
    # Only cards are looked up by address: servers and proxies on the way write addresses into their logs.
    code = card_codes.read(card_code)
    if code is None:
        raise Refused("unreadable-code", bodies.NOT_A_CARD_CODE)
    return _member(members.find(ctx(), _actor(), code))


@blueprint.post("/v1/stamps")
@key_only
def give_stamps() -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(schemas.NewStamps)
    answer, repeated = till.give_stamps(
        ctx(),
        _actor(),
        sent.card_code or "",
        phone=sent.phone,
        count=1 if sent.count is None else sent.count,
        amount_minor=sent.amount_minor,
        receipt_no=sent.receipt_no or "",
        location=sent.location,
        key=key,
    )
    return _json(schemas.StampsGiven.model_validate(answer), repeated)


@blueprint.post("/v1/rewards/<uuid:id>/redeem")
@key_only
def redeem_reward(id: UUID) -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(schemas.RedeemedAt, needed=False)
    answer, repeated = till.redeem_reward(ctx(), _actor(), id, location=sent.location, key=key)
    return _json(schemas.RewardRedeemed.model_validate(answer), repeated)


@blueprint.post("/v1/entries/<uuid:id>/undo")
@key_only
def undo_entry(id: UUID) -> Response:
    key = bodies.idempotency_key()
    bodies.read(schemas.Nothing, needed=False)
    answer, repeated = till.undo(ctx(), _actor(), id, key=key)
    return _json(schemas.EntryUndone.model_validate(answer), repeated)


@blueprint.get("/openapi.json")
@public
def openapi() -> Response:
    """The document, in its own order: jsonify would sort it by name."""
    found = json.dumps(document(ctx().settings.base_url), ensure_ascii=False, indent=1)
    return Response(found, content_type="application/json")


@blueprint.get("/docs")
@public
def docs() -> str:
    found = document(ctx().settings.base_url)
    return render_template("api/docs.html", document=found, sections=sections(found), kinds=KINDS)


@blueprint.get("/problems/<kind>")
@public
def problem(kind: str) -> tuple[str, int]:
    """What a problem's type means, for the person who makes the till."""
    found = KINDS.get(kind)
    if found is None:
        return render_template("refused.html", status=404, message=text().gettext(N_("There is no such problem."))), 404
    calls = [call for call in CALLS if kind in call.problems]
    return render_template("api/problem.html", name=kind, kind=found, calls=calls), 200


@blueprint.after_request
def say_when_to_come_back(response: Response) -> Response:
    if response.status_code == 429:
        response.headers["Retry-After"] = PAUSE
    return response


def _actor() -> Actor:
    found: Actor = g.api_actor
    return found


def _member(member: MemberView) -> Response:
    values = {name: getattr(member, name, None) for name in schemas.Member.model_fields}
    values["rewards"] = list(member.rewards)
    return _json(schemas.Member.model_validate(values | {"card_url": members.card_url(ctx(), member)}))


def _json(answer: schemas.Answered, repeated: bool = False) -> Response:
    response = Response(answer.model_dump_json(), content_type="application/json")
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return response
