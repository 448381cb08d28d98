"""How tills ask for groups' prices."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.i18n import N_
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.services.group_pricing import LONGEST_PRODUCT
from app.web.api.schemas import STORABLE, Answered, Sent

MOST_PRODUCTS = 200
Product = Annotated[str, StringConstraints(max_length=LONGEST_PRODUCT), STORABLE]


class ListedProduct(Sent):
    """A product and its list price."""

    product: Product = Field(description=N_("As your till calls it, and as the group's price is set in the office."))
    amount_minor: int = Field(ge=0, le=LARGEST_PURCHASE_MINOR, description=N_("Its list price in minor units."))


class ListedProducts(Sent):
    """What a member wants to buy."""

    products: list[ListedProduct] = Field(
        min_length=1, max_length=MOST_PRODUCTS, description=N_("Up to 200 products; the answer keeps their order.")
    )


class MemberPrice(Answered):
    product: str
    amount_minor: int = Field(description=N_("The list price that was sent."))
    price_minor: int = Field(description=N_("What the member pays: never more than the list price."))
    group: str = Field(description=N_("The group whose price this is. Empty: the list price."))


class MemberPrices(Answered):
    prices: list[MemberPrice]
