"""The tables of a campaign's figures, in the reader's language."""

from collections import Counter
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

from app.i18n import Money
from app.loyalty.campaign_schedule import local_day
from app.loyalty.shares import Difference, Verdict
from app.services import campaign_reasons
from app.services.campaign_counts import HOLDOUT, Counts
from app.services.campaign_figures import Compared, Figures, Winner
from app.services.programs import ProgramView
from app.web.language import text
from app.web.office.campaign_words import STATES
from app.web.tables import Cell, Price, Table


def steps(figures: Figures) -> Table:
    """From those who were chosen to those who came."""
    counts, got, _ = figures.counts, figures.received, text().gettext
    rows: list[tuple[str, int]] = [
        (_("Chosen"), counts.chosen),
        (_("Got it"), got.handed),
        (_("Known to have arrived"), got.delivered + got.on_card),
    ]
    if figures.campaign.values.link or got.clicks:
        rows.append((_("Opened the link"), got.people_clicked))
    return Table("steps", _("From chosen to came"), [_("Step"), _("People")], [*rows, (_("Came"), got.visitors)])


def standing(figures: Figures) -> Table:
    """Where everybody stands: the rows add up to those who were chosen."""
    counts, _ = figures.counts, text().gettext
    rows = [
        (_("Waiting for their turn"), counts.planned),
        (_("Held back"), counts.held.total()),
        (_("Left out to compare"), counts.holdout),
        (_("On the wallet card"), counts.on_card),
        (_("SMS being sent"), counts.sending),
        (_("SMS handed over, no report yet"), counts.accepted),
        (_("SMS delivered"), counts.delivered),
        (_("SMS failed"), counts.failed.total()),
        (_("SMS: nobody knows"), counts.unknown),
    ]
    return Table("standing", _("Where everybody stands"), [_("Standing"), _("People")], [row for row in rows if row[1]])


def held(figures: Figures) -> Table:
    _ = text().gettext
    return _reasons("held", _("Why some were held back"), figures.counts.held, campaign_reasons.held)


def failed(figures: Figures) -> Table:
    _ = text().gettext
    return _reasons("failed", _("Why SMS failed"), figures.counts.failed, campaign_reasons.failed)


def groups(figures: Figures) -> Table:
    """The texts, and those who were left out."""
    _, currency = text().gettext, figures.currency
    names = {"a": _("Text A"), "b": _("Text B"), HOLDOUT: _("Left out to compare")}
    listed = [(names[group], counts) for group, counts in figures.groups.items() if counts.people]
    if sum(group != HOLDOUT for group in figures.groups) > 1:
        listed.insert(-1 if HOLDOUT in figures.groups else len(listed), (_("Both texts"), figures.received))
    elif "a" in figures.groups and listed:
        listed[0] = (_("Got it"), figures.groups["a"])
    columns = [_("Who"), _("Came, of 100"), _("Came"), _("People"), _("Opened the link"), _("Opened, of 100")]
    rows = [
        (
            name,
            counts.visits.per_100,
            counts.visitors,
            counts.people,
            counts.people_clicked if counts.handed else None,
            counts.clickers.per_100,
            counts.purchases,
            Money(counts.money_minor, currency),
            _each_hundred(counts, currency),
        )
        for name, counts in listed
    ]
    columns += [_("Purchases"), _("Money in"), _("Money in, of 100 people")]
    return Table("groups", _("Who came afterwards"), columns, rows)


def afterwards(figures: Figures) -> Table:
    got, _ = figures.received, text().gettext
    rows: list[tuple[str, Cell]] = [
        (_("People who opened the link"), got.people_clicked),
        (_("Openings of the link in all"), got.clicks),
        (_("Previews drawn by messengers"), got.previews),
        (_("Openings by scanners"), got.scanners),
        (_("People who answered"), got.people_replied),
        (_("Answers"), got.replies),
        (_("Stopped the offers by SMS"), got.stopped_by_sms),
        (_("Stopped the offers by the link"), got.stopped_by_link),
        (_("Stopped the offers in another way"), got.stopped_elsewhere),
        (_("Added the card to a wallet"), got.installed),
    ]
    return Table("afterwards", _("What people did"), [_("What"), _("Number")], rows)


def money(figures: Figures) -> Table:
    got, currency, _ = figures.received, figures.currency, text().gettext
    rows: list[tuple[str, Cell]] = [
        (_("Parts of SMS"), got.parts),
        (_("Cost of the SMS"), Price(got.cost_micro, currency)),
        (_("Purchases afterwards"), got.purchases),
        (_("Money in"), Money(got.money_minor, currency)),
    ]
    if got.credits:
        rows += [
            (_("Credits given"), got.credits),
            (_("Credit given"), Money(got.credits_minor, currency)),
            (_("Credits used"), got.credits_used),
            (_("Credit used"), Money(got.credits_used_minor, currency)),
        ]
    if got.rewards:
        rows += [(_("Rewards given"), got.rewards), (_("Rewards used"), got.rewards_used)]
    return Table("money", _("Money"), [_("What"), _("Number")], rows)


def runs(figures: Figures) -> Table:
    _, currency = text().gettext, figures.currency
    columns = [_("Sent"), _("Chosen"), _("Held back"), _("Got it"), _("Known to have arrived"), _("Opened the link")]
    rows = [
        (
            text().moment(one.run.due_at, figures.time_zone),
            one.counts.chosen,
            one.counts.held.total(),
            one.counts.handed,
            one.counts.delivered + one.counts.on_card,
            one.counts.people_clicked,
            Price(one.counts.cost_micro, currency),
        )
        for one in figures.runs
    ]
    return Table("runs", _("Each time it was sent"), [*columns, _("Cost of the SMS")], rows)


# Every table of one campaign, by the name in its address.
TABLES: dict[str, Callable[[Figures], Table]] = {
    one.__name__: one for one in (steps, standing, held, failed, groups, afterwards, money, runs)
}

# What the comparison is sorted by: the key in the address, and the value.
SORTS: dict[str, Callable[[Compared], object]] = {
    "name": lambda one: one.name.casefold(),
    "sent": lambda one: one.started_at,
    "state": lambda one: one.state,
    "people": lambda one: one.received.handed,
    "arrived": lambda one: one.received.delivered + one.received.on_card,
    "opened": lambda one: one.received.clickers.per_100 or Decimal(-1),
    "came": lambda one: one.received.visits.per_100 or Decimal(-1),
    "left-out": lambda one: one.held_out.visits.per_100 or Decimal(-1),
    "stopped": lambda one: one.received.stopped,
    "cost": lambda one: one.received.cost_micro,
    "money": lambda one: one.received.money_minor,
    "credit": lambda one: one.received.credits_used_minor,
}


def compared(lines: list[Compared], program: ProgramView) -> Table:
    """The columns are in the order of SORTS."""
    _, currency = text().gettext, program.currency
    columns = [
        _("Campaign"),
        _("Sent"),
        _("State"),
        _("Got it"),
        _("Known to have arrived"),
        _("Opened, of 100"),
        _("Came, of 100"),
        _("Came, of 100 left out"),
        _("Stopped the offers"),
        _("Cost of the SMS"),
        _("Money in"),
        _("Credit used"),
    ]
    rows = [
        (
            one.name,
            text().short_date(local_day(one.started_at, program.time_zone)),
            _(STATES[one.state]),
            one.received.handed,
            one.received.delivered + one.received.on_card,
            one.received.clickers.per_100,
            one.received.visits.per_100,
            one.held_out.visits.per_100,
            one.received.stopped,
            Price(one.received.cost_micro, currency),
            Money(one.received.money_minor, currency),
            Money(one.received.credits_used_minor, currency),
        )
        for one in lines
    ]
    return Table("campaigns", _("Campaigns compared"), columns, rows)


def against(difference: Difference) -> str:
    """What may be said of those who got it and those who were left out."""
    _ = text().gettext
    bounds = {"low": _shown(min(abs(difference.low), abs(difference.high))), "high": _shown(_largest(difference))}
    match difference.verdict:
        case Verdict.TOO_FEW:
            return _("Too few people to say whether it made a difference.")
        case Verdict.CHANCE:
            return _("The difference may be chance: nothing can be said yet.")
        case Verdict.MORE:
            return _("Of 100 people, %(low)s to %(high)s more came than of those left out.", **bounds)
        case Verdict.FEWER:
            return _("Of 100 people, %(low)s to %(high)s fewer came than of those left out.", **bounds)


def winner(found: Winner) -> str:
    """Which text did better, if it can be said."""
    _ = text().gettext
    match found.text, found.difference.verdict:
        case "a", _verdict:
            return _("Text A did better: the difference is too large for chance.")
        case "b", _verdict:
            return _("Text B did better: the difference is too large for chance.")
        case _text, Verdict.TOO_FEW:
            return _("Too few people yet to say which text does better.")
        case _:
            return _("Between the texts, the difference may be chance.")


def _reasons(name: str, title: str, found: Counter[str], words: Callable[[str], str]) -> Table:
    _ = text().gettext
    rows = [(_(words(reason)), people) for reason, people in found.most_common()]
    return Table(name, title, [_("Reason"), _("People")], rows)


def _each_hundred(counts: Counts, currency: str) -> Money | None:
    if not counts.people:
        return None
    minor = (Decimal(100 * counts.money_minor) / counts.people).quantize(Decimal(1), ROUND_HALF_UP)
    return Money(int(minor), currency)


def _largest(difference: Difference) -> Decimal:
    return max(abs(difference.low), abs(difference.high))


def _shown(value: Decimal) -> str:
    return text().number(value)
