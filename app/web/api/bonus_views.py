"""The bonus calls' routes."""

from typing import Any
from uuid import UUID

from flask import Response, g

from app.services import bonus_use
from app.services.context import Actor
from app.web.access import ctx, key_only
from app.web.api import bodies, bonus_schemas
from app.web.api.schemas import Answered
from app.web.api.views import blueprint


@blueprint.post("/v1/members/<uuid:id>/bonus/use")
@key_only
def use_bonus(id: UUID) -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(bonus_schemas.BonusBill)
    answer, repeated = bonus_use.pay(
        ctx(),
        _actor(),
        id,
        bill_minor=sent.amount_minor,
        wanted_minor=sent.use_minor,
        proof=sent.proof or "",
        card_code=sent.card_code or "",
        receipt_no=sent.receipt_no or "",
        location=sent.location,
        key=key,
    )
    return _json(bonus_schemas.BonusUsed, answer, repeated)


@blueprint.post("/v1/members/<uuid:id>/bonus/reward")
@key_only
def buy_reward(id: UUID) -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(bonus_schemas.RewardForPoints)
    answer, repeated = bonus_use.buy(
        ctx(),
        _actor(),
        id,
        sent.reward_type_id,
        proof=sent.proof or "",
        card_code=sent.card_code or "",
        location=sent.location,
        key=key,
    )
    told = answer if sent.card_code else answer | {"card_code": None}
    return _json(bonus_schemas.RewardBought, told, repeated)


def _actor() -> Actor:
    found: Actor = g.api_actor
    return found


def _json(schema: type[Answered], answer: dict[str, Any], repeated: bool) -> Response:
    response = Response(schema.model_validate(answer).model_dump_json(), content_type="application/json")
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return response
