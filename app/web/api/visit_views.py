"""The visit call's route."""

from flask import Response, g

from app.services import visits
from app.services.context import Actor
from app.web.access import ctx, key_only
from app.web.api import bodies, visit_schemas
from app.web.api.views import blueprint


@blueprint.post("/v1/visits")
@key_only
def record_visit() -> Response:
    key, sent = bodies.idempotency_key(), bodies.read(visit_schemas.NewVisit)
    actor: Actor = g.api_actor
    answer, repeated = visits.record(
        ctx(), actor, card=sent.card, phone=sent.phone, at=sent.at, location=sent.location, key=key
    )
    told = visit_schemas.VisitRecorded.model_validate(answer).model_dump_json()
    response = Response(told, content_type="application/json")
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return response
