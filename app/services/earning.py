"""What a purchase earns. Works inside the caller's transaction, on a locked and settled member."""

from sqlalchemy.orm import Session

from app.db.people import Member
from app.db.programs import Program
from app.services import bonus_earning, nps, referrals, stamp_earning, tiering, visit_earning
from app.services.bought import Bought, Earned
from app.services.context import Context
from app.services.ledger_book import Occasion


def purchase(ctx: Context, session: Session, program: Program, member: Member, act: Occasion, bought: Bought) -> Earned:
    """Give everything that the programme gives for a purchase, as one act; return what was given.

    Who may earn at all, and whether the programme has started, the caller has checked. `act.begun` tells whether
    anything was written to the ledger. The caller tells the card.
    """
    earned = Earned()
    stamp_earning.by_purchase(session, program, member, act, bought, earned)
    before = member.bonus_earned
    earned.issued += bonus_earning.earn(session, program, member, act, bought)
    earned.bonus = member.bonus_earned - before
    earned.issued += visit_earning.by_purchase(session, program, member, act, bought)
    earned.issued += referrals.purchase_made(ctx, session, program, member, act)
    tiering.review(session, program, member, act.at, tell=not act.begun)
    nps.visited(session, program, member, act)
    return earned
