"""Visits: how they count and what they give, the latest ones, and when people come."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.services import programs, visit_figures, visit_rules
from app.services.errors import InvalidForm
from app.web import charts, figures
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.figures import Figure
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors
from app.web.tables import Table, shown


@blueprint.get("/visits", endpoint="visits")
@staff_only(*OFFICE)
def page() -> str:
    return _page({}, {})


@blueprint.post("/visits", endpoint="visits_save")
@staff_only(*MANAGERS)
def save() -> Response | tuple[str, int]:
    form = request.form.to_dict()
    try:
        visit_rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.visits", saved=1), 303)


@blueprint.post("/visits/rewards", endpoint="visits_add")
@staff_only(*MANAGERS)
def add() -> Response | tuple[str, int]:
    form = request.form.to_dict()
    try:
        visit_rules.add_goal(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.visits", saved=1), 303)


@blueprint.post("/visits/rewards/<uuid:goal_id>/remove", endpoint="visits_remove")
@staff_only(*MANAGERS)
def remove(goal_id: UUID) -> Response:
    visit_rules.remove_goal(ctx(), actor(), goal_id)
    return redirect(url_for("office.visits", saved=1), 303)


def _page(form: dict[str, str], errors: dict[str, str]) -> str:
    here = actor()
    rules = visit_rules.get(ctx(), here.program_id)
    times = visit_figures.times(ctx(), here)
    rules_sent = "hours_apart" in form
    return render_template(
        "office/visits.html",
        program=programs.get(ctx(), here.program_id),
        rules=rules,
        form=form if rules_sent else visit_rules.as_typed(rules),
        goal_form=form if not rules_sent else {},
        errors=errors,
        saved="saved" in request.args and not errors,
        may_manage=here.may_manage,
        goals=visit_rules.goals(ctx(), here.program_id),
        types=[(str(type_id), name) for type_id, name in visit_rules.types(ctx(), here.program_id)],
        latest=visit_figures.latest(ctx(), here),
        weeks=visit_figures.WEEKS,
        hours=_hours(times.hours),
        weekdays=_weekdays(times.weekdays),
        came=sum(times.hours),
        shown=shown,
    )


def _hours(counts: list[int]) -> Figure:
    _ = text().gettext
    names = [text().digits(f"{hour:02}:00") for hour in range(24)]
    most = max(counts)
    drawing = charts.stacked(
        [[count] for count in counts],
        names,
        numbers=[text().number(tick) for tick in charts.ticks(most)],
        rtl=text().direction == "rtl",
    )
    table = Table("hours", _("By the hour"), [_("Hour"), _("Visits")], list(zip(names, counts, strict=True)))
    busiest = names[counts.index(most)]
    return Figure(
        table, drawing, words=_("Most visits in one hour: %(count)s, from %(hour)s.", count=most, hour=busiest)
    )


def _weekdays(counts: list[int]) -> Figure:
    _ = text().gettext
    rows = [(text().weekdays([day]), count) for day, count in enumerate(counts)]
    return figures.bars(Table("weekdays", _("By the day of the week"), [_("Day of the week"), _("Visits")], rows))
