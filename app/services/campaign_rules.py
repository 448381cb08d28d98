"""What a programme has set for its campaigns."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.campaigns import CampaignRules
from app.i18n import N_
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused

MOST_OFFERS, OFFER_DAYS, VISIT_DAYS = (1, 100), (1, 365), (1, 90)


@dataclass(frozen=True, slots=True)
class Rules:
    """`second_person`: who writes may not start. A member gets `most_offers` of campaigns in `offer_days` at most. A
    visit within `visit_days` counts as after a campaign."""

    second_person: bool = False
    most_offers: int = 4
    offer_days: int = 30
    visit_days: int = 14


def of(session: Session, program_id: UUID) -> Rules:
    """The programme's rules, or the defaults."""
    row = session.get(CampaignRules, program_id)
    return Rules(row.second_person, row.most_offers, row.offer_days, row.visit_days) if row else Rules()


def get(ctx: Context, program_id: UUID) -> Rules:
    with ctx.sessions() as session:
        return of(session, program_id)


def save(ctx: Context, actor: Actor, rules: Rules) -> None:
    """Change the rules. Raises InvalidForm."""
    limits = {"most_offers": MOST_OFFERS, "offer_days": OFFER_DAYS, "visit_days": VISIT_DAYS}
    values: dict[str, object] = {"second_person": rules.second_person}
    errors = {}
    for name, (least, most) in limits.items():
        values[name] = getattr(rules, name)
        if not least <= getattr(rules, name) <= most:
            words = N_("Enter a whole number from %(least)s to %(most)s.")
            errors[name] = Refused("out-of-range", words, {"least": least, "most": most}, field=name)
    if errors:
        raise InvalidForm(errors)
    with ctx.sessions.begin() as session:
        session.execute(
            insert(CampaignRules)
            .values(program_id=actor.program_id, **values)
            .on_conflict_do_update(index_elements=["program_id"], set_=values)
        )
        record(session, actor, "campaign-rules.changed", actor.program_id, fields=sorted(values))
