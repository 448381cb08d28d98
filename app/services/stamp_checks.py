"""What a till is told before stamps are given by hand: which card, how many, and why not."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_, Money
from app.loyalty.stamps import MOST_STAMPS_AT_ONCE, Obstacle, by_hand, obstacle
from app.services import stamp_rules
from app.services.errors import Refused
from app.services.stamp_rules import CardRules


def chosen_card(session: Session, program: Program, wanted: UUID | str | None) -> CardRules:
    """The stamp card in use with this id or exact name; without any, the first one. Raises Refused."""
    cards = stamp_rules.cards_of(session, program)
    if not wanted:
        return cards[0]
    for card in cards:
        if str(wanted).lower() == str(card.id) or wanted == card.name:
            return card
    raise Refused("stamp-card-not-found", N_("There is no such stamp card in use."), field="card", status=404)


def stamps_for(program: Program, card: CardRules, count: int, amount_minor: int | None, now: datetime) -> int:
    """How many stamps the cashier's count is. Raises Refused: not-started, invalid-count, amount-needed,
    purchase-too-small."""
    smallest = Money(card.rules.least_minor, program.currency)
    match obstacle(card.rules, count, amount_minor, now):
        case Obstacle.NOT_STARTED:
            raise Refused(
                "not-started",
                N_("The programme starts on %(day)s. Stamps can be given from that day."),
                {"day": program.starts_on},
                status=409,
            )
        case Obstacle.TOO_FEW | Obstacle.TOO_MANY:
            raise Refused(
                "invalid-count",
                N_("Give between 1 and %(most)s stamps at a time."),
                {"most": MOST_STAMPS_AT_ONCE},
                field="count",
            )
        case Obstacle.PURCHASE_UNKNOWN:
            raise Refused(
                "amount-needed",
                N_("Enter the purchase amount: a stamp needs a purchase of %(smallest)s or more."),
                {"smallest": smallest},
                field="amount",
            )
        case Obstacle.PURCHASE_TOO_SMALL:
            raise Refused(
                "purchase-too-small",
                N_("No stamp: the purchase must be %(smallest)s or more."),
                {"smallest": smallest},
                field="amount",
            )
    return by_hand(card.rules, count, amount_minor)


def told(
    session: Session, program: Program, member: Member, given: Mapping[UUID | None, int] | None = None
) -> list[dict[str, object]]:
    """What an act is answered with of each stamp card: how many stamps it has now, and how many of them were given."""
    return [
        {
            "id": str(shown.card_id) if shown.card_id else None,
            "name": shown.name,
            "given": (given or {}).get(shown.card_id, 0),
            "stamps": shown.have,
            "stamps_needed": shown.needed,
        }
        for shown in stamp_rules.all_counts(session, program, member)
    ]
