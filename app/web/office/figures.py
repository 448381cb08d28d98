"""What came of campaigns: the figures of one, its recipients one by one, and all of them compared."""

from collections.abc import Iterator
from uuid import UUID

from flask import Response, abort, jsonify, render_template, request

from app.db.campaigns import Medium, RecipientState
from app.i18n import N_
from app.services import campaign_figures, campaign_log, campaign_reasons, campaigns, programs
from app.services.campaign_counting import ANSWER_DAYS
from app.services.campaign_counts import HOLDOUT
from app.services.campaign_figures import Figures, Progress
from app.services.campaign_log import LogRow, Show
from app.web import figures as drawn
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office import campaign_tables
from app.web.office.campaign_tables import SORTS, TABLES
from app.web.office.campaign_words import LOOKS, STATES, quiet
from app.web.office.frame import blueprint
from app.web.office.messages import LOOKS as SMS_LOOKS
from app.web.office.messages import STATES as SMS_STATES
from app.web.tables import Cell, as_file, download, shown
from sms.phones import masked
from sms.phones import shown as shown_phone

LARGEST_NUMBER = 2**63 - 1
SHOWS = {
    Show.ALL: N_("Everybody"),
    Show.PLANNED: N_("Waiting for their turn"),
    Show.ON_CARD: N_("On the wallet card"),
    Show.WAITING: N_("SMS on the way"),
    Show.DELIVERED: N_("SMS delivered"),
    Show.FAILED: N_("SMS failed"),
    Show.UNKNOWN: N_("SMS: nobody knows"),
    Show.SKIPPED: N_("Held back"),
    Show.HOLDOUT: N_("Left out to compare"),
    Show.CLICKED: N_("Opened the link"),
}
_STANDING = {
    RecipientState.PLANNED: N_("Waiting for their turn"),
    RecipientState.HANDED: N_("On the wallet card"),
    RecipientState.SKIPPED: N_("Held back"),
    RecipientState.HOLDOUT: N_("Left out to compare"),
}


@blueprint.get("/campaigns/<uuid:campaign_id>/figures")
@staff_only(*OFFICE)
def campaigns_figures(campaign_id: UUID) -> str:
    here = actor()
    figures = campaign_figures.figures(ctx(), here, campaign_id)
    progress = campaign_figures.progress(ctx(), here, campaign_id)
    groups = campaign_tables.groups(figures)
    return render_template(
        "office/campaign_figures.html",
        figures=figures,
        campaign=figures.campaign,
        progress=progress,
        progress_words=_progress_words(progress),
        quiet_words=quiet(
            campaign_figures.quiet_until(ctx(), here, figures.campaign), programs.get(ctx(), here.program_id)
        ),
        steps=drawn.bars(campaign_tables.steps(figures)),
        standing=drawn.Figure(campaign_tables.standing(figures)),
        held=drawn.bars(campaign_tables.held(figures)),
        failed=drawn.bars(campaign_tables.failed(figures)),
        groups=drawn.bars(groups) if len(groups.rows) > 1 else drawn.Figure(groups),
        afterwards=drawn.Figure(campaign_tables.afterwards(figures)),
        money=drawn.Figure(campaign_tables.money(figures)),
        runs=drawn.Figure(campaign_tables.runs(figures)) if len(figures.runs) > 1 else None,
        against=campaign_tables.against(figures.against) if figures.against and HOLDOUT in figures.groups else "",
        winner=campaign_tables.winner(figures.winner) if figures.winner else "",
        states=STATES,
        looks=LOOKS,
        shown=shown,
        answer_days=ANSWER_DAYS,
    )


@blueprint.get("/campaigns/<uuid:campaign_id>/figures/<any(" + ", ".join(TABLES) + "):name>.csv")
@staff_only(*OFFICE)
def campaigns_figures_table(campaign_id: UUID, name: str) -> Response:
    figures: Figures = campaign_figures.figures(ctx(), actor(), campaign_id)
    return download(TABLES[name](figures))


@blueprint.get("/campaigns/<uuid:campaign_id>/progress")
@staff_only(*OFFICE)
def campaigns_progress(campaign_id: UUID) -> Response:
    """How far it is, for the page's script."""
    progress = campaign_figures.progress(ctx(), actor(), campaign_id)
    return jsonify(
        done=progress.done,
        of=progress.of,
        moving=progress.moving,
        state=progress.state.value,
        words=_progress_words(progress),
    )


@blueprint.get("/campaigns/<uuid:campaign_id>/log")
@staff_only(*OFFICE)
def campaigns_log(campaign_id: UUID) -> str:
    show, reason = _filter()
    after = request.args.get("after", 0, type=int)
    rows, more = campaign_log.page(ctx(), actor(), campaign_id, show, reason, min(max(after, 0), LARGEST_NUMBER))
    country = programs.get(ctx(), actor().program_id).country
    return render_template(
        "office/campaign_log.html",
        campaign=campaigns.get(ctx(), actor(), campaign_id),
        program=programs.get(ctx(), actor().program_id),
        rows=rows,
        next=rows[-1].number if more else None,
        later=after > 0,
        show=show,
        reason=reason,
        reason_words=text().gettext(_reason_words(show, reason)) if reason else "",
        shows=[(value.value, text().gettext(name)) for value, name in SHOWS.items()],
        phone=lambda row: _phone(row, country),
        standing=_standing,
        why=_why,
        looks=SMS_LOOKS,
        may_manage=actor().may_manage,
    )


@blueprint.get("/campaigns/<uuid:campaign_id>/log.csv")
@staff_only(*MANAGERS)
def campaigns_log_file(campaign_id: UUID) -> Response:
    show, reason = _filter()
    slices = campaign_log.export(ctx(), actor(), campaign_id, show, reason)
    zone = programs.get(ctx(), actor().program_id).time_zone
    return as_file("campaign.csv", _file_rows(slices, zone))


@blueprint.get("/campaigns/compare")
@staff_only(*OFFICE)
def campaigns_compare() -> str:
    sort, down = _sorting()
    lines = _sorted_lines(sort, down)
    return render_template(
        "office/campaigns_compare.html",
        lines=lines,
        table=campaign_tables.compared(lines, programs.get(ctx(), actor().program_id)),
        keys=list(SORTS),
        sort=sort,
        down=down,
        shown=shown,
        against=campaign_tables.against,
        most=campaign_figures.MOST_COMPARED,
    )


@blueprint.get("/campaigns/compare.csv")
@staff_only(*OFFICE)
def campaigns_compare_file() -> Response:
    lines = _sorted_lines(*_sorting())
    return download(campaign_tables.compared(lines, programs.get(ctx(), actor().program_id)))


def _sorting() -> tuple[str, bool]:
    sort = request.args.get("sort", "")
    if sort not in SORTS:
        return "sent", True
    return sort, request.args.get("down") == "1"


def _sorted_lines(sort: str, down: bool) -> list[campaign_figures.Compared]:
    lines = campaign_figures.compared(ctx(), actor())
    return sorted(lines, key=lambda one: (SORTS[sort](one), one.started_at), reverse=down)


def _filter() -> tuple[Show, str]:
    wanted = request.args.get("show", Show.ALL.value)
    if wanted not in set(Show):
        abort(404)
    return Show(wanted), request.args.get("reason", "")[:20]


def _file_rows(slices: Iterator[list[LogRow]], time_zone: str) -> Iterator[list[Cell]]:
    words, zone = text(), time_zone
    heads = (N_("Name"), N_("Phone"), N_("Text"), N_("Way"), N_("Standing"), N_("Reason"), N_("Handed over"))
    yield [words.gettext(head) for head in (*heads, N_("Openings of the link"), N_("Parts of SMS"))]
    for rows in slices:
        for row in rows:
            yield [
                row.name,
                f" {row.phone}",  # spreadsheets take a number that begins with + for a formula
                row.variant.upper(),
                words.gettext(N_("Wallet")) if row.medium is Medium.WALLET else words.gettext(N_("SMS")),
                _standing(row),
                _why(row),
                words.moment(row.at, zone) if row.at else "",
                row.clicks,
                row.parts,
            ]


def _phone(row: LogRow, country: str) -> str:
    if not row.phone.startswith("+"):  # somebody who was erased
        return ""
    return text().digits(shown_phone(row.phone, country) if actor().may_manage else masked(row.phone))


def _standing(row: LogRow) -> str:
    return text().gettext(SMS_STATES[row.sms] if row.sms is not None else _STANDING[row.state])


def _why(row: LogRow) -> str:
    if row.reason:
        return text().gettext(campaign_reasons.held(row.reason))
    return text().gettext(campaign_reasons.failed(row.sms_reason)) if row.sms_reason else ""


def _reason_words(show: Show, reason: str) -> str:
    return campaign_reasons.held(reason) if show is Show.SKIPPED else campaign_reasons.failed(reason)


def _progress_words(progress: Progress) -> str:
    if not progress.of:
        return text().gettext("Its people are being chosen")
    return text().gettext("%(done)s of %(of)s sent", done=progress.done, of=progress.of)
