"""What rules of forgetting would do tonight, before they are saved."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from app import clock
from app.db.people import Member
from app.db.programs import Program
from app.services import retention, retention_traces
from app.services.context import Actor, Context
from app.services.retention_rules import Rules


@dataclass(frozen=True, slots=True)
class Outlook:
    """How many people would be erased and warned, and how many rows of each kind forgotten (rule's name → number)."""

    left: int
    unseen: int
    to_warn: int
    traces: dict[str, int]

    @property
    def people(self) -> int:
        return self.left + self.unseen

    @property
    def anything(self) -> bool:
        return bool(self.people or self.to_warn or any(self.traces.values()))


def outlook(ctx: Context, actor: Actor, rules: Rules) -> Outlook:
    """What these rules would do with the programme as it is now."""
    now = clock.now()
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)

        def number(condition: ColumnElement[bool] | None) -> int:
            if condition is None:
                return 0
            query = select(func.count()).select_from(Member).where(Member.program_id == program.id, condition)
            return session.scalar(query) or 0

        return Outlook(
            left=number(retention.left(rules, now)),
            unseen=number(retention.unseen(rules, now)),
            to_warn=number(retention.to_warn(rules, now)),
            traces=retention_traces.counts(session, program, rules, now),
        )
