"""A shop that counts visits, for tests."""

from datetime import timedelta
from uuid import UUID

from app import clock
from app.db.rewards import RewardType
from app.services import visit_rules
from tests.factories import Shop


def count_visits(shop: Shop, *, hours: int = 12, purchases: bool = False) -> None:
    form = {"active": "on", "hours_apart": str(hours), "count_purchases": "on" if purchases else ""}
    visit_rules.save(shop.ctx, shop.owner, form)


def kind_of_reward(shop: Shop, name: str = "Free coffee") -> UUID:
    with shop.ctx.sessions.begin() as session:
        row = RewardType(program_id=shop.program.id, name=name, created_at=clock.now() - timedelta(days=1))
        session.add(row)
        session.flush()
        return row.id


def give_at(shop: Shop, at_visit: int, *, every: bool = False, name: str = "Free coffee") -> None:
    """Have visits give a new kind of reward."""
    form = {"at_visit": str(at_visit), "reward_type_id": str(kind_of_reward(shop, name))}
    visit_rules.add_goal(shop.ctx, shop.owner, form | ({"every": "on"} if every else {}))
