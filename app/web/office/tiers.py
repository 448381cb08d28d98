"""Tiers: which there are, how members come by them, and how many members each has."""

from decimal import Decimal

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.loyalty.credit import last_day
from app.services import card_tier, programs, tier_forms, tier_rules
from app.services.errors import InvalidForm, Refused
from app.services.tier_rules import TiersView
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors
from app.web.tiers import badge

Page = Response | str | tuple[str, int]
_FEWEST_ROWS = 3


@blueprint.get("/tiers", endpoint="tiers")
@staff_only(*OFFICE)
def tiers_page() -> str:
    here = actor()
    program, seen = programs.get(ctx(), here.program_id), tier_rules.overview(ctx(), here.program_id)
    return render_template(
        "office/tiers.html",
        program=program,
        seen=seen,
        badges=[badge(program, tier) for tier in seen.tiers],
        needs=[_counted(seen, program.currency, tier.needs) for tier in seen.tiers],
        shares=_shares(seen.members),
        kept=[last_day(until, program.time_zone) if until else None for until in seen.until],
        may_manage=here.may_manage,
        note=request.args.get("note", ""),
    )


@blueprint.get("/tiers/edit")
@staff_only(*MANAGERS)
def tiers_edit() -> str:
    program = programs.get(ctx(), actor().program_id)
    form = tier_forms.as_typed(tier_rules.overview(ctx(), program.id).rules, program.currency)
    return _form_page(form)


@blueprint.post("/tiers/edit")
@staff_only(*MANAGERS)
def tiers_save() -> Page:
    form = request.form.to_dict()
    try:
        if form.get("act") == "preview":
            return _form_page(form, sizes=tier_rules.preview(ctx(), actor(), form))
        tier_rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _form_page(form, shown_errors(invalid)), 422
    except Refused as refusal:
        return _form_page(form, shown_errors(refusal)), refusal.status
    return redirect(url_for("office.tiers", note="saved"), 303)


def _form_page(
    form: dict[str, str], errors: dict[str, str] | None = None, sizes: list[tuple[str, int]] | None = None
) -> str:
    here = actor()
    filled = [
        place for place in range(tier_forms.MOST_TIERS) if form.get(f"name-{place}") or form.get(f"needs-{place}")
    ]
    rows = max(_FEWEST_ROWS, max(filled, default=-1) + 2)
    shares = _shares([members for _, members in sizes]) if sizes else []
    return render_template(
        "office/tiers_edit.html",
        program=programs.get(ctx(), here.program_id),
        seen=tier_rules.overview(ctx(), here.program_id),
        form=form,
        errors=errors or {},
        sizes=[(name, members, share) for (name, members), share in zip(sizes or [], shares, strict=True)],
        rows=range(min(rows, tier_forms.MOST_TIERS)),
    )


def _counted(seen: TiersView, currency: str, figure: int) -> str:
    return card_tier.counted(text(), currency, seen.rules.basis, figure)


def _shares(members: list[int] | tuple[int, ...]) -> list[Decimal]:
    """Each in percent of all, to a tenth."""
    every = sum(members) or 1
    return [(Decimal(100 * some) / every).quantize(Decimal("0.1")) for some in members]
