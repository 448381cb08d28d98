"""The guard's page: odd patterns with their evidence, what was decided, and the thresholds."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.guard import AlertState
from app.i18n import N_
from app.loyalty.guarding import Rule
from app.services import code_troubles, guard_desk, programs, typed_purchases
from app.services.code_alarms import CodeAlarm
from app.services.errors import InvalidForm
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors, typed_form

RULE_NAMES = {
    Rule.MEMBER_STAMPS: N_("Stamps to one member"),
    Rule.MEMBER_BONUS: N_("Purchases with bonus, typed for one member"),
    Rule.MEMBER_USES: N_("Rewards and credit used by one member"),
    Rule.MEMBER_VISITS: N_("One card at the door too soon after its visit"),
    Rule.TILL_STAMPS: N_("Stamps given by one cashier or till"),
    Rule.TILL_JOINS: N_("Members joined by one cashier or till"),
    Rule.TILL_UNDOS: N_("Acts undone by one cashier or till"),
    Rule.TILL_RECEIPTS: N_("One receipt number for several members"),
    Rule.TILL_CODES: N_("Wrong codes at one cashier or till"),
    Rule.MEMBER_RINGS: N_("Members who bring each other"),
    Rule.MEMBER_DEVICES: N_("Friends of one member in a browser that was seen before"),
}
RULE_HINTS = {
    Rule.MEMBER_BONUS: N_("Purchases whose amounts staff typed. What till software sends is not counted."),
}
TROUBLES = {
    CodeAlarm.GUESSING: N_("Many wrong codes in the whole programme: somebody may be guessing"),
    CodeAlarm.PAUSED: N_("Paused after wrong codes: %(who)s"),
    CodeAlarm.SPACE_FULL: N_("No free code was found: let codes lapse sooner, or take unused coupons back"),
}
_DECISIONS = {"fine": AlertState.FINE, "block": AlertState.BLOCKED, "show": AlertState.SHOWN}


@blueprint.get("/guard")
@staff_only(*MANAGERS)
def guard() -> str:
    return _page({}, {})


@blueprint.post("/guard/thresholds")
@staff_only(*MANAGERS)
def guard_thresholds() -> Response | tuple[str, int]:
    form = typed_form(*(f"{rule}_active" for rule in Rule))
    try:
        guard_desk.save_thresholds(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.guard", saved="1"), 303)


@blueprint.post("/guard/largest")
@staff_only(*MANAGERS)
def guard_largest() -> Response | tuple[str, int]:
    """Set the largest purchase that a cashier may type."""
    form = request.form.to_dict()
    try:
        typed_purchases.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.guard", saved="1"), 303)


@blueprint.get("/guard/<uuid:alert_id>")
@staff_only(*MANAGERS)
def guard_alert(alert_id: UUID) -> str:
    alert, evidence = guard_desk.one(ctx(), actor(), alert_id)
    program = programs.get(ctx(), actor().program_id)
    return render_template(
        "office/guard_alert.html",
        program=program,
        alert=alert,
        evidence=evidence,
        rule=RULE_NAMES[alert.rule],
        hint=RULE_HINTS.get(alert.rule),
    )


@blueprint.post("/guard/<uuid:alert_id>")
@staff_only(*MANAGERS)
def guard_decide(alert_id: UUID) -> Response:
    if decided := _DECISIONS.get(request.form.get("decision", "")):
        guard_desk.decide(ctx(), actor(), alert_id, decided)
    return redirect(url_for("office.guard_alert", alert_id=alert_id), 303)


@blueprint.post("/guard/codes/<uuid:subject_id>/lift")
@staff_only(*MANAGERS)
def guard_lift(subject_id: UUID) -> Response:
    """Let somebody who was paused try codes again."""
    code_troubles.end_pause(ctx(), actor(), subject_id)
    return redirect(url_for("office.guard", saved="1"), 303)


def _usual_largest(currency: str) -> str:
    usual = typed_purchases.usual_largest(currency)
    return text().gettext("any sum") if usual is None else text().money(usual, currency)


def _page(form: dict[str, str], errors: dict[str, str]) -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)
    saved = guard_desk.read_thresholds(ctx(), here)
    shown = {f"{rule}_most": text().digits(str(one.most)) for rule, one in saved.items()}
    shown |= {f"{rule}_minutes": text().digits(str(one.minutes)) for rule, one in saved.items()}
    shown |= {f"{rule}_active": "on" if one.active else "" for rule, one in saved.items()}
    shown |= typed_purchases.as_typed(ctx(), here.program_id)
    return render_template(
        "office/guard.html",
        program=program,
        usual_largest=_usual_largest(program.currency),
        alerts=guard_desk.every(ctx(), here),
        troubles=code_troubles.newest(ctx(), here),
        trouble_names=TROUBLES,
        rules=RULE_NAMES,
        form=shown | form,
        hints=RULE_HINTS,
        errors=errors,
    )
