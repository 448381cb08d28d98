"""How members are scored: shown, tried out, and changed."""

from collections.abc import Mapping
from dataclasses import replace

from app.db.programs import Program
from app.loyalty.rfm import rescaled
from app.services import classing
from app.services.audit import record
from app.services.class_forms import read_scoring, scoring_as_typed
from app.services.classing import ClassSize, Scoring, own_classes, own_settings, ranges_of, rules_of, scoring_of
from app.services.context import Actor, Context
from app.services.customer_classes import locked_settings, set_ranges


def form(ctx: Context, actor: Actor) -> dict[str, str]:
    """What is set, as the fields of the form."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        return scoring_as_typed(scoring_of(own_settings(session, program.id)), program.currency)


def preview(ctx: Context, actor: Actor, typed: Mapping[str, str]) -> list[ClassSize]:
    """The sizes that the classes would have. Raises InvalidForm, Refused (preview-too-long)."""
    with ctx.sessions.begin() as session:
        scoring = read_scoring(typed, session.get_one(Program, actor.program_id).currency)
        before = own_settings(session, actor.program_id).scores
        rules = [rules_of(row) for row in own_classes(session, actor.program_id)]
    moved = [replace(each, ranges=rescaled(each.ranges, before, scoring.scores)) for each in rules]
    return classing.preview(ctx, actor.program_id, scoring, moved)


def save(ctx: Context, actor: Actor, typed: Mapping[str, str]) -> None:
    """Change how members are scored, and class them anew. With another number of scores the classes' limits move
    along. Raises InvalidForm."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        scoring = read_scoring(typed, program.currency)
        settings = locked_settings(session, program.id)
        if scoring.scores != settings.scores:
            for row in own_classes(session, program.id):
                set_ranges(row, rescaled(ranges_of(row), settings.scores, scoring.scores))
        for name in Scoring.__dataclass_fields__:
            value = getattr(scoring, name)
            setattr(settings, name, list(value) if isinstance(value, tuple) else value)
        record(session, actor, "classes.scoring-changed", program.id)
        classing.start(session, program.id)


def class_now(ctx: Context, actor: Actor) -> None:
    """Have the members classed now."""
    with ctx.sessions.begin() as session:
        own_settings(session, actor.program_id)
        classing.start(session, actor.program_id)
