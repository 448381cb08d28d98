"""The route of groups' prices."""

from uuid import UUID

from flask import Response, g

from app.services import group_pricing
from app.services.context import Actor
from app.services.group_pricing import Asked
from app.web.access import ctx, key_only
from app.web.api import bodies, group_schemas
from app.web.api.views import blueprint


@blueprint.post("/v1/members/<uuid:id>/prices")
@key_only
def member_prices(id: UUID) -> Response:
    sent = bodies.read(group_schemas.ListedProducts)
    actor: Actor = g.api_actor
    asked = [Asked(one.product, one.amount_minor) for one in sent.products]
    told = group_schemas.MemberPrices.model_validate({"prices": group_pricing.prices(ctx(), actor, id, asked)})
    return Response(told.model_dump_json(), content_type="application/json")
