"""NPS: the figure over time, by location and tier, what members wrote, who is to be seen to, and when is asked."""

from uuid import UUID

from flask import Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.i18n import LANGUAGES
from app.loyalty.nps import Tally
from app.services import nps_desk, nps_figures, nps_rules, programs
from app.services.errors import InvalidForm
from app.services.insights import PERIODS
from app.services.nps_figures import NpsFigures
from app.web import figures
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.figures import Figure
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors, typed_form
from app.web.tables import Cell, Table, download, shown
from sms.phones import masked
from sms.phones import shown as shown_phone

USUAL = 12


@blueprint.get("/nps")
@staff_only(*OFFICE)
def nps() -> str:
    here, weeks = actor(), _weeks()
    program = programs.get(ctx(), here.program_id)
    found = nps_figures.figures(ctx(), here, weeks)
    comments_only = request.args.get("show") != "all"
    rows, more = nps_desk.answers(ctx(), here, comments_only=comments_only, after=_after())
    return render_template(
        "office/nps.html",
        program=program,
        rules=nps_rules.saved(ctx(), here),
        found=found,
        figures=_figures(found),
        weeks=weeks,
        periods=PERIODS,
        open=nps_desk.to_handle(ctx(), here),
        rows=rows,
        more=more,
        later="after" in request.args,
        comments_only=comments_only,
        may_manage=here.may_manage,
        who=lambda answer: answer.member or _phone(answer.phone, program.country),
        shown=shown,
    )


@blueprint.get("/nps/<any(nps_weeks, nps_groups, nps_locations, nps_tiers):name>.csv")
@staff_only(*OFFICE)
def nps_table(name: str) -> Response:
    drawn = _figures(nps_figures.figures(ctx(), actor(), _weeks()))
    if name not in drawn:
        abort(404)
    return download(drawn[name].table)


@blueprint.post("/nps/<uuid:ask_id>/handled")
@staff_only(*MANAGERS)
def nps_handled(ask_id: UUID) -> AnyResponse:
    """Somebody has seen to it; back to where it was said."""
    nps_desk.handle(ctx(), actor(), ask_id)
    return redirect(url_for("office.nps", _anchor="open-title"), 303)


@blueprint.get("/nps/rules", endpoint="nps_rules")
@staff_only(*MANAGERS)
def rules_page() -> str:
    return _rules_page(nps_rules.as_typed(nps_rules.saved(ctx(), actor())), {})


@blueprint.post("/nps/rules")
@staff_only(*MANAGERS)
def nps_rules_save() -> AnyResponse | tuple[str, int]:
    form = typed_form("active")
    try:
        nps_rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _rules_page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.nps_rules", saved=1), 303)


def _rules_page(form: dict[str, str], errors: dict[str, str]) -> str:
    program = programs.get(ctx(), actor().program_id)
    usual = nps_rules.Rules()
    return render_template(
        "office/nps_rules.html",
        program=program,
        form=form,
        errors=errors,
        saved="saved" in request.args and not errors,
        rules=nps_rules.saved(ctx(), actor()),
        languages=LANGUAGES,
        usual={language: usual.question(language, program.organization_name) for language in LANGUAGES},
        most_letters=nps_rules.LONGEST_QUESTION,
    )


def _phone(phone: str, country: str) -> str:
    """The number for those who may see it."""
    if not phone.startswith("+"):  # somebody who was erased
        return text().gettext("Erased")
    return text().digits(shown_phone(phone, country) if actor().may_manage else masked(phone))


def _weeks() -> int:
    wanted = request.args.get("weeks", USUAL, type=int)
    return wanted if wanted in PERIODS else USUAL


def _after() -> UUID | None:
    try:
        return UUID(request.args.get("after", ""))
    except ValueError:
        return None


def _figures(found: NpsFigures) -> dict[str, Figure]:
    """By the names of their tables; a place or tier by itself says no more than the whole."""
    _ = text().gettext
    made = [_over_time(found), _groups(found)]
    if len(found.by_location) > 1:
        made.append(_by("nps_locations", _("By location"), _("Location"), _("No location told"), found.by_location))
    if len(found.by_tier) > 1:
        made.append(_by("nps_tiers", _("By tier"), _("Tier"), _("No tier"), found.by_tier))
    return {figure.table.name: figure for figure in made}


def _over_time(found: NpsFigures) -> Figure:
    _ = text().gettext
    scores = [week.score for week in found.by_week]
    rows: list[list[Cell]] = [
        [text().date(week), one.score, one.answers] for week, one in zip(found.weeks, found.by_week, strict=True)
    ]
    table = Table("nps_weeks", _("NPS by week"), [_("Week of"), _("NPS"), _("Answers")], rows)
    return figures.line_of_scores(table, found.weeks, scores)


def _groups(found: NpsFigures) -> Figure:
    _ = text().gettext
    series = [
        [one.promoters for one in found.by_week],
        [one.passives for one in found.by_week],
        [one.detractors for one in found.by_week],
    ]
    rows: list[list[Cell]] = [
        [text().date(week), *(counts[place] for counts in series)] for place, week in enumerate(found.weeks)
    ]
    columns = [_("Week of"), _("9 and 10"), _("7 and 8"), _("0 to 6")]
    return figures.stacked_weeks(Table("nps_groups", _("Answers by week"), columns, rows), found.weeks, series)


def _by(name: str, title: str, head: str, nothing: str, tallies: tuple[tuple[str, Tally], ...]) -> Figure:
    _ = text().gettext
    rows: list[list[Cell]] = [
        [shown_name or nothing, one.score, one.answers, one.promoters, one.passives, one.detractors]
        for shown_name, one in tallies
    ]
    columns = [head, _("NPS"), _("Answers"), _("9 and 10"), _("7 and 8"), _("0 to 6")]
    return Figure(Table(name, title, columns, rows))
