"""What a customer buys most: for 'the same again, please'."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select

from app import clock
from app.db.purchases import Purchase
from app.services.context import Context

WINDOW = timedelta(days=365)
MOST_LOOKED_AT = 200  # purchases
SHOWN = 8


@dataclass(slots=True)
class Usual:
    """Something bought `times` times, the last time at `last_at` for `amount_minor` (of `quantity`), if it was told."""

    name: str
    last_at: datetime
    quantity: str = "1"
    amount_minor: int | None = None
    times: int = field(default=1)


def of_member(ctx: Context, member_id: UUID) -> list[Usual]:
    """What the member bought most in the last year, by purchases that stand. What was bought but once comes last."""
    query = (
        select(Purchase.at, Purchase.lines)
        .where(
            Purchase.member_id == member_id,
            Purchase.undone_at.is_(None),
            func.jsonb_typeof(Purchase.lines) == "array",
            Purchase.at >= clock.now() - WINDOW,
        )
        .order_by(Purchase.at.desc())
        .limit(MOST_LOOKED_AT)
    )
    found: dict[str, Usual] = {}
    with ctx.sessions() as session:
        for at, lines in session.execute(query):
            for key, line in {_key(line): line for line in lines or () if _is_bought(line)}.items():
                known = found.get(key)
                if known is not None:
                    known.times += 1
                    continue
                amount = line.get("amount_minor")
                found[key] = Usual(
                    str(line["name"]),
                    at,
                    str(line.get("quantity", "1")),
                    amount if isinstance(amount, int) else None,
                )
    return sorted(found.values(), key=lambda one: (-one.times, -one.last_at.timestamp()))[:SHOWN]


def _key(line: dict[str, object]) -> str:
    return str(line.get("product") or "") or str(line["name"]).casefold()


def _is_bought(line: dict[str, object]) -> bool:
    """Neither a discount nor something given back."""
    amount = line.get("amount_minor")
    return Decimal(str(line.get("quantity", "1"))) > 0 and not (isinstance(amount, int) and amount < 0)
