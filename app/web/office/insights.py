"""The owner's look at some weeks: who joined, came and left, and what was given and used."""

from datetime import date

from flask import Response, abort, render_template, request

from app.db.bonus import BonusKind
from app.db.delivery import Wallet
from app.i18n import N_, Money
from app.services import bonus_rules, delivery_overview, insights, nps_figures, programs
from app.services.insights import FREQUENCIES, OTHERS, PERIODS, Given, Insights
from app.services.programs import ProgramView
from app.web import figures
from app.web.access import OFFICE, actor, ctx, staff_only
from app.web.figures import Figure
from app.web.language import text
from app.web.office.frame import blueprint
from app.web.tables import Cell, Table, download, shown

USUAL = 12
_WALLETS = {Wallet.APPLE: N_("Apple Wallet"), Wallet.GOOGLE: N_("Google Wallet")}


@blueprint.get("/insights", endpoint="insights")
@staff_only(*OFFICE)
def page() -> str:
    weeks = _weeks()
    found = insights.insights(ctx(), actor(), weeks)
    program = programs.get(ctx(), actor().program_id)
    drawn = _figures(found, program)
    return render_template(
        "office/insights.html",
        program=program,
        found=found,
        figures=drawn,
        installed=delivery_overview.installed(ctx(), actor()),
        nps=nps_figures.figures(ctx(), actor(), weeks).all,
        joined=sum(sum(counts) for _, counts in found.joined),
        left=sum(found.left),
        weeks=weeks,
        periods=PERIODS,
        shown=shown,
    )


@blueprint.get("/insights/<string(maxlength=20):name>.csv")
@staff_only(*OFFICE)
def insights_table(name: str) -> Response:
    found = insights.insights(ctx(), actor(), _weeks())
    drawn = _figures(found, programs.get(ctx(), actor().program_id))
    if name not in drawn:
        abort(404)
    return download(drawn[name].table)


def _weeks() -> int:
    wanted = request.args.get("weeks", USUAL, type=int)
    return wanted if wanted in PERIODS else USUAL


def _figures(found: Insights, program: ProgramView) -> dict[str, Figure]:
    """By the names of their tables."""
    currency, bonus = program.currency, bonus_rules.shown_naming(ctx(), program).kind
    made = (
        _joined(found),
        _people(found),
        _wallets(found),
        _frequencies(found),
        _stamps(found),
        _credit(found, currency),
        *([] if bonus is BonusKind.OFF else [_bonus(found, currency, bonus)]),
        _locations(found, currency, bonus),
    )
    return {figure.table.name: figure for figure in made}


def _joined(found: Insights) -> Figure:
    _ = text().gettext
    names = {"": _("No channel named"), OTHERS: _("Other channels")}
    columns = [names.get(via, via) for via, _counts in found.joined]
    table = _by_week("joined", _("Joined, by channel"), found.weeks, columns, [counts for _, counts in found.joined])
    return figures.stacked_weeks(table, found.weeks, [counts for _, counts in found.joined])


def _people(found: Insights) -> Figure:
    _ = text().gettext
    series = [found.came, found.left]
    table = _by_week("people", _("Who came and who left"), found.weeks, [_("Came"), _("Left")], series)
    return figures.lines_of_weeks(table, found.weeks, series)


def _wallets(found: Insights) -> Figure:
    _ = text().gettext
    added = [found.added[wallet] for wallet in _WALLETS]
    columns = [_(name) for name in _WALLETS.values()]
    removed = [sum(counts) for counts in zip(*found.removed.values(), strict=True)]
    table = _by_week(
        "wallets", _("Cards added to wallets"), found.weeks, [*columns, _("Removed from wallets")], [*added, removed]
    )
    return figures.stacked_weeks(table, found.weeks, added)


def _frequencies(found: Insights) -> Figure:
    _ = text().gettext
    rows = [(_often(least, most), count) for (least, most), count in zip(FREQUENCIES, found.frequencies, strict=True)]
    return figures.bars(Table("visits", _("How often members came"), [_("Visits"), _("Members")], rows))


def _often(least: int, most: int | None) -> str:
    words = text()
    if most is None:
        return words.gettext("%(n)s times or more", n=least)
    if least == most:
        return words.ngettext("%(n)s time", "%(n)s times", least) if least else words.gettext("Not once")
    return words.gettext("%(least)s to %(most)s times", least=least, most=most)


def _stamps(found: Insights) -> Figure:
    _ = text().gettext
    series = [
        [week.stamps for week in found.given],
        [week.rewards for week in found.given],
        [week.rewards_used for week in found.given],
    ]
    columns = [_("Stamps given"), _("Rewards given"), _("Rewards used")]
    table = _by_week("stamps", _("Stamps and rewards"), found.weeks, columns, series)
    return figures.lines_of_weeks(table, found.weeks, series)


def _credit(found: Insights, currency: str) -> Figure:
    _ = text().gettext
    series = [[week.credit_minor for week in found.given], [week.credit_used_minor for week in found.given]]
    rows: list[list[Cell]] = [
        [text().date(week), Money(given, currency), Money(used, currency)]
        for week, given, used in zip(found.weeks, *series, strict=True)
    ]
    table = Table("credit", _("Credit"), [_("Week of"), _("Credit given"), _("Credit used")], rows)
    return figures.lines_of_weeks(table, found.weeks, series, currency)


def _bonus(found: Insights, currency: str, kind: BonusKind) -> Figure:
    _ = text().gettext
    series = [[week.bonus for week in found.given], [week.bonus_used for week in found.given]]
    rows: list[list[Cell]] = [
        [text().date(week), _much(given, currency, kind), _much(used, currency, kind)]
        for week, given, used in zip(found.weeks, *series, strict=True)
    ]
    table = Table("bonus", _("Bonus"), [_("Week of"), _("Bonus given"), _("Bonus used")], rows)
    return figures.lines_of_weeks(table, found.weeks, series, currency if kind is BonusKind.MONEY else "")


def _much(amount: int, currency: str, kind: BonusKind) -> Cell:
    return Money(amount, currency) if kind is BonusKind.MONEY else amount


def _locations(found: Insights, currency: str, bonus: BonusKind) -> Figure:
    _ = text().gettext
    columns = [_("Location"), _("Stamps given"), _("Rewards given"), _("Rewards used")]
    columns += [_("Credit given"), _("Credit used")]
    columns += [] if bonus is BonusKind.OFF else [_("Bonus given"), _("Bonus used")]
    rows = [_place(name or _("No location told"), given, currency, bonus) for name, given in found.locations]
    table = Table("locations", _("By location"), columns, rows)
    return figures.bars(table) if len(rows) > 1 else Figure(table)


def _place(name: str, given: Given, currency: str, bonus: BonusKind) -> list[Cell]:
    cells: list[Cell] = [
        name,
        given.stamps,
        given.rewards,
        given.rewards_used,
        Money(given.credit_minor, currency),
        Money(given.credit_used_minor, currency),
    ]
    if bonus is not BonusKind.OFF:
        cells += [_much(given.bonus, currency, bonus), _much(given.bonus_used, currency, bonus)]
    return cells


def _by_week(name: str, title: str, weeks: tuple[date, ...], columns: list[str], series: list[list[int]]) -> Table:
    rows: list[list[Cell]] = [
        [text().date(week), *(counts[place] for counts in series)] for place, week in enumerate(weeks)
    ]
    return Table(name, title, [text().gettext("Week of"), *columns], rows)
