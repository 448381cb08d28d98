"""What cashiers, tills and locations did, so that goals can be set."""

from collections.abc import Iterator

from flask import Response, render_template, request

from app.db.bonus import BonusKind
from app.i18n import Money
from app.services import bonus_rules, programs, staff_figures
from app.services.programs import ProgramView
from app.services.staff_figures import PERIODS, Work
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint
from app.web.tables import Cell, Table, as_file, shown

USUAL = 4


@blueprint.get("/staff-figures", endpoint="cashiers")
@staff_only(*MANAGERS)
def page() -> str:
    weeks = _weeks()
    found = staff_figures.lines(ctx(), actor(), weeks)
    program = _program()
    currency = _bonus_currency(program)
    _ = text().gettext
    return render_template(
        "office/cashiers.html",
        program=program,
        people=_table("people", _("By cashier"), _("Cashier or till"), staff_figures.by(found, "who"), currency),
        places=_table("places", _("By location"), _("Location"), staff_figures.by(found, "location"), currency),
        by_week=_by_week(found, currency),
        weeks=weeks,
        periods=PERIODS,
        shown=shown,
    )


@blueprint.get("/staff-figures.csv", endpoint="cashiers_file")
@staff_only(*MANAGERS)
def file() -> Response:
    found = staff_figures.lines(ctx(), actor(), _weeks())
    return as_file("staff-figures.csv", _rows(found, _bonus_currency(_program())))


def _program() -> ProgramView:
    return programs.get(ctx(), actor().program_id)


def _bonus_currency(program: ProgramView) -> str:
    """'' where bonus is points."""
    return program.currency if bonus_rules.get(ctx(), program.id).kind is not BonusKind.POINTS else ""


def _weeks() -> int:
    wanted = request.args.get("weeks", USUAL, type=int)
    return wanted if wanted in PERIODS else USUAL


def _measures() -> list[str]:
    _ = text().gettext
    return [_("Joined"), _("Stamps"), _("Bonus"), _("Visits"), _("Rewards used")]


def _cells(work: Work, currency: str) -> list[Cell]:
    bonus = Money(work.bonus, currency) if currency else work.bonus
    return [work.joins, work.stamps, bonus, work.visits, work.redemptions]


def _table(name: str, title: str, head: str, found: list[tuple[str, Work]], currency: str) -> Table:
    nowhere = text().gettext("No location told")
    return Table(name, title, [head, *_measures()], [[who or nowhere, *_cells(work, currency)] for who, work in found])


def _by_week(found: list[staff_figures.Line], currency: str) -> list[Table]:
    """A table of each week, the newest first."""
    tables = []
    for week in dict.fromkeys(line.week for line in found):
        mine = [line for line in found if line.week == week]
        title = text().gettext("Week of %(day)s", day=week)
        head = text().gettext("Cashier or till")
        tables.append(_table(f"week-{week}", title, head, staff_figures.by(mine, "who"), currency))
    return tables


def _rows(found: list[staff_figures.Line], currency: str) -> Iterator[list[Cell]]:
    _ = text().gettext
    yield [_("Week of"), _("Cashier or till"), _("Location"), *_measures()]
    for line in found:
        yield [line.week.isoformat(), line.who, line.location, *_cells(line.work, currency)]
