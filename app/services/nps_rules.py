"""When a programme asks its members how likely they are to recommend it, and in whose words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.nps import AskBy, NpsRules
from app.db.programs import Program
from app.i18n import LANGUAGES, N_, translator
from app.services import refresh
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm
from app.services.forms import FormReader
from app.services.programs import ProgramView
from app.services.recent import Recent

LONGEST_QUESTION = 200
MOST_VISITS, SHORTEST_PERIOD, LONGEST_PERIOD = 1000, 7, 3650
_QUESTION = N_("How likely are you to recommend %(shop)s to a friend?")


@dataclass(frozen=True, slots=True)
class Rules:
    """`survey_url` is empty, or an https address to which our page leads on."""

    active: bool = False
    after_visits: int = 3
    period_days: int = 180
    ask_by: AskBy = AskBy.CARD
    questions: Mapping[str, str] = field(default_factory=dict)
    survey_url: str = ""

    def question(self, language: str, shop: str) -> str:
        """The question in this language: the owner's words, else ours."""
        return self.questions.get(language) or translator(language).gettext(_QUESTION, shop=shop)


# Saving the rules makes another version of the programme.
_rules: Recent[Rules] = Recent(256)


def of(session: Session, program: Program) -> Rules:
    """The programme's rules, in the caller's transaction."""
    return _rules.get((program.id, program.version), lambda: _read_row(session, program.id))


def of_view(ctx: Context, program: ProgramView) -> Rules:
    """The programme's rules, for whoever shows them."""

    def read() -> Rules:
        with ctx.sessions() as session:
            return _read_row(session, program.id)

    return _rules.get((program.id, program.version), read)


def saved(ctx: Context, actor: Actor) -> Rules:
    with ctx.sessions() as session:
        return _read_row(session, actor.program_id)


def _read_row(session: Session, program_id: UUID) -> Rules:
    row = session.get(NpsRules, program_id)
    if row is None:
        return Rules()
    return Rules(row.active, row.after_visits, row.period_days, row.ask_by, row.questions, row.survey_url)


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Rules:
    """Set the rules: active ('on'), after_visits, period_days, ask_by, survey_url, question_<language>. Raises
    InvalidForm."""
    rules = _read(form)
    values = {
        "active": rules.active,
        "after_visits": rules.after_visits,
        "period_days": rules.period_days,
        "ask_by": rules.ask_by,
        "questions": dict(rules.questions),
        "survey_url": rules.survey_url,
    }
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = insert(NpsRules).values(program_id=program.id, **values)
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_=values))
        program.version += 1
        refresh.announce(session, program.id)
        record(session, actor, "nps-rules.changed", program.id)
    return rules


def _read(form: Mapping[str, str]) -> Rules:
    reader = FormReader(form)
    rules = Rules(
        form.get("active") == "on",
        reader.number("after_visits", 1, MOST_VISITS) or 1,
        reader.number("period_days", SHORTEST_PERIOD, LONGEST_PERIOD) or SHORTEST_PERIOD,
        AskBy(reader.choice("ask_by", set(AskBy), otherwise=AskBy.CARD)),
        {
            language: words
            for language in LANGUAGES
            if (words := reader.line(f"question_{language}", LONGEST_QUESTION, optional=True))
        },
        reader.website("survey_url"),
    )
    if rules.survey_url and not rules.survey_url.startswith("https://") and "survey_url" not in reader.errors:
        words = N_("Enter an address that begins with https://, for example https://example.com/survey.")
        reader.wrong("survey_url", "invalid-website", words)
    if reader.errors:
        raise InvalidForm(reader.errors)
    return rules


def as_typed(rules: Rules) -> dict[str, str]:
    """The rules as the fields of their form."""
    typed = {
        "active": "on" if rules.active else "",
        "after_visits": str(rules.after_visits),
        "period_days": str(rules.period_days),
        "ask_by": rules.ask_by.value,
        "survey_url": rules.survey_url,
    }
    return typed | {f"question_{language}": words for language, words in rules.questions.items()}
