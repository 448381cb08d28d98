"""Classes of members, how they are scored, and the credit that each class gets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.services import class_scoring, credit_policies, customer_classes, programs
from app.services.classing import ClassSize, Scoring
from app.services.customer_classes import ClassView
from app.services.errors import InvalidForm, Refused
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors, typed_form

Page = Response | str | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the picture of sizes: `share` of all members in percent."""

    size: ClassSize | ClassView
    share: Decimal


def bars(sizes: list[ClassSize] | list[ClassView]) -> list[Bar]:
    """The sizes with their shares, to a tenth of a percent."""
    every = sum(size.members for size in sizes) or 1
    return [Bar(size, (Decimal(100 * size.members) / every).quantize(Decimal("0.1"))) for size in sizes]


@blueprint.get("/classes")
@staff_only(*OFFICE)
def classes() -> str:
    here = actor()
    seen = customer_classes.overview(ctx(), here.program_id)
    return render_template(
        "office/classes.html",
        program=programs.get(ctx(), here.program_id),
        seen=seen,
        bars=bars(seen.classes),
        percent=_percent,
        runs=credit_policies.recent(ctx(), here.program_id),
        may_manage=here.may_manage,
        note=request.args.get("note", ""),
    )


@blueprint.post("/classes/propose")
@staff_only(*MANAGERS)
def classes_propose() -> Response:
    customer_classes.propose(ctx(), actor())
    return _back()


@blueprint.post("/classes/now")
@staff_only(*MANAGERS)
def classes_now() -> Response:
    class_scoring.class_now(ctx(), actor())
    return _back()


@blueprint.get("/classes/scoring")
@staff_only(*MANAGERS)
def classes_scoring() -> str:
    return _scoring_page(class_scoring.form(ctx(), actor()))


@blueprint.post("/classes/scoring")
@staff_only(*MANAGERS)
def classes_scoring_save() -> Page:
    form = request.form.to_dict()

    def act() -> Page:
        if form.get("act") == "preview":
            return _scoring_page(form, sizes=class_scoring.preview(ctx(), actor(), form))
        class_scoring.save(ctx(), actor(), form)
        return _back("scored")

    return _answered(act, lambda errors: _scoring_page(form, errors))


@blueprint.get("/classes/new")
@staff_only(*MANAGERS)
def classes_new() -> str:
    scores = str(_scoring().scores)
    return _class_page({f"{figure}_max": scores for figure in ("recency", "frequency", "money")})


@blueprint.post("/classes/new")
@staff_only(*MANAGERS)
def classes_add() -> Page:
    return _class_saved(None)


@blueprint.get("/classes/<uuid:class_id>")
@staff_only(*MANAGERS)
def classes_edit(class_id: UUID) -> str:
    return _class_page(customer_classes.class_form(ctx(), actor(), class_id), class_id=class_id)


@blueprint.post("/classes/<uuid:class_id>")
@staff_only(*MANAGERS)
def classes_save(class_id: UUID) -> Page:
    return _class_saved(class_id)


@blueprint.post("/classes/<uuid:class_id>/up")
@staff_only(*MANAGERS)
def classes_up(class_id: UUID) -> Response:
    customer_classes.move_up(ctx(), actor(), class_id)
    return _back()


@blueprint.post("/classes/<uuid:class_id>/remove")
@staff_only(*MANAGERS)
def classes_remove(class_id: UUID) -> Response:
    customer_classes.remove(ctx(), actor(), class_id)
    return _back("removed")


@blueprint.get("/classes/<uuid:class_id>/give")
@staff_only(*MANAGERS)
def classes_give(class_id: UUID) -> Page:
    """What giving this class its credit now would do, to be confirmed."""
    return _answered(lambda: _give_page(class_id, {}), lambda errors: _give_page(class_id, errors))


@blueprint.post("/classes/<uuid:class_id>/give")
@staff_only(*MANAGERS)
def classes_give_now(class_id: UUID) -> Page:
    def act() -> Page:
        credit_policies.start_now(ctx(), actor(), class_id, _seen_at())
        return _back("given")

    return _answered(act, lambda errors: _give_page(class_id, errors))


@blueprint.post("/classes/runs/<uuid:run_id>/stop")
@staff_only(*MANAGERS)
def classes_stop(run_id: UUID) -> Response:
    credit_policies.stop(ctx(), actor(), run_id)
    return _back()


def _answered(act: Callable[[], Page], wrong: Callable[[dict[str, str]], str]) -> Page:
    """What `act` answers; when it is refused, the page again with what is wrong."""
    try:
        return act()
    except InvalidForm as invalid:
        return wrong(shown_errors(invalid)), 422
    except Refused as refusal:
        if refusal.status == 404:
            raise
        return wrong(shown_errors(refusal)), refusal.status


def _class_saved(class_id: UUID | None) -> Page:
    form = typed_form("repeats")

    def act() -> Page:
        if form.get("act") == "preview":
            sizes = customer_classes.preview_class(ctx(), actor(), form, class_id)
            return _class_page(form, class_id=class_id, sizes=sizes)
        customer_classes.save(ctx(), actor(), form, class_id)
        return _back("saved")

    return _answered(act, lambda errors: _class_page(form, errors, class_id=class_id))


def _scoring_page(
    form: dict[str, str], errors: dict[str, str] | None = None, sizes: list[ClassSize] | None = None
) -> str:
    return render_template(
        "office/classes_scoring.html",
        program=programs.get(ctx(), actor().program_id),
        form=form,
        errors=errors or {},
        bars=bars(sizes) if sizes is not None else None,
    )


def _class_page(
    form: dict[str, str],
    errors: dict[str, str] | None = None,
    *,
    class_id: UUID | None = None,
    sizes: list[ClassSize] | None = None,
) -> str:
    shown = {"policy": "none", "spending_days": "90", "valid_days": "30", "every_days": "30", "at_hour": "10"} | form
    shown |= {f"{figure}_min": form.get(f"{figure}_min", "1") for figure in ("recency", "frequency", "money")}
    return render_template(
        "office/classes_edit.html",
        program=programs.get(ctx(), actor().program_id),
        name=customer_classes.one(ctx(), actor(), class_id).name if class_id else "",
        class_id=class_id,
        scores=_scoring().scores,
        form=shown,
        errors=errors or {},
        hours=[(str(hour), text().digits(f"{hour}:00")) for hour in range(24)],
        bars=bars(sizes) if sizes is not None else None,
    )


def _give_page(class_id: UUID, errors: dict[str, str]) -> str:
    here = actor()
    return render_template(
        "office/classes_give.html",
        program=programs.get(ctx(), here.program_id),
        shown=customer_classes.one(ctx(), here, class_id),
        preview=None if errors else credit_policies.preview(ctx(), here, class_id),
        errors=errors,
        percent=_percent,
    )


def _scoring() -> Scoring:
    return customer_classes.overview(ctx(), actor().program_id).scoring


def _seen_at() -> datetime:
    """When the preview was looked at. What is no moment is one that is long over."""
    try:
        return datetime.fromisoformat(request.form.get("seen_at", "")).astimezone()
    except (ValueError, OverflowError):
        return datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def _percent(share_bp: int) -> Decimal:
    return Decimal(share_bp).scaleb(-2)


def _back(note: str = "") -> Response:
    return redirect(url_for("office.classes", note=note or None), 303)
