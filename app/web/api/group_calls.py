"""The call by which tills ask for groups' prices, as the OpenAPI document and the reference page tell of it."""

from app.i18n import N_
from app.web.api import group_schemas
from app.web.api.call import MEMBER_ID, UUID_SCHEMA, Call

GROUP_CALLS = (
    Call(
        name="member_prices",
        method="POST",
        path="/api/v1/members/{id}/prices",
        summary=N_("Ask what products cost a member"),
        description=N_(
            "Groups can have prices of their own. In each group a product's own price counts before that of "
            "everything; who is in several groups pays the lowest. What comes off is rounded down. Nothing is changed."
        ),
        parameters={"id": (N_("A member's id."), UUID_SCHEMA | {"examples": [MEMBER_ID]})},
        body=group_schemas.ListedProducts,
        example_body={
            "products": [{"product": "Cappuccino", "amount_minor": 450}, {"product": "Bun", "amount_minor": 390}]
        },
        answer=group_schemas.MemberPrices,
        answers={200: N_("The prices, in the order of the products.")},
        example_answer={
            "prices": [
                {"product": "Cappuccino", "amount_minor": 450, "price_minor": 350, "group": "Local entrepreneurs"},
                {"product": "Bun", "amount_minor": 390, "price_minor": 390, "group": ""},
            ]
        },
        own_problems=("member-not-found", "not-found"),
    ),
)
