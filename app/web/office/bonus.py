"""Bonus in the office: the rule, other rates, thresholds; and bonus given or taken by hand."""

from uuid import UUID

from babel.dates import get_day_names
from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.people import Role
from app.i18n import LANGUAGES, N_, translator
from app.services import bonus_by_hand, bonus_extras, bonus_rules, bonus_words, members, programs
from app.services.bonus_rules import Rules
from app.services.errors import InvalidForm, Refused
from app.services.programs import ProgramView
from app.web.access import MANAGERS, OFFICE, actor, ctx, current_staff, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors, typed_form
from sms.phones import masked

Page = Response | str | tuple[str, int]


@blueprint.get("/bonus", endpoint="bonus_rules")
@staff_only(*MANAGERS)
def bonus_rules_page() -> str:
    return _page()


@blueprint.post("/bonus")
@staff_only(*MANAGERS)
def bonus_rules_save() -> Page:
    form = typed_form("warn_by_sms")
    try:
        bonus_rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form=form, errors=shown_errors(invalid)), 422
    return _saved()


@blueprint.post("/bonus/rates")
@staff_only(*MANAGERS)
def bonus_rules_rate_add() -> Page:
    form = typed_form(*(f"weekday_{day}" for day in range(7)))
    try:
        bonus_extras.add_rate(ctx(), actor(), form)
    except (InvalidForm, Refused) as wrong:
        return _page(rate_form=form, rate_errors=shown_errors(wrong)), 422
    return _saved("rates-title")


@blueprint.post("/bonus/rates/<uuid:rate_id>")
@staff_only(*MANAGERS)
def bonus_rules_rate_set(rate_id: UUID) -> Response:
    bonus_extras.set_rate_active(ctx(), actor(), rate_id, request.form.get("active") == "on")
    return _saved("rates-title")


@blueprint.post("/bonus/thresholds")
@staff_only(*MANAGERS)
def bonus_rules_threshold_add() -> Page:
    form = typed_form("every")
    try:
        bonus_extras.add_threshold(ctx(), actor(), form)
    except (InvalidForm, Refused) as wrong:
        return _page(threshold_form=form, threshold_errors=shown_errors(wrong)), 422
    return _saved("thresholds-title")


@blueprint.post("/bonus/thresholds/<uuid:threshold_id>")
@staff_only(*MANAGERS)
def bonus_rules_threshold_set(threshold_id: UUID) -> Response:
    bonus_extras.set_threshold_active(ctx(), actor(), threshold_id, request.form.get("active") == "on")
    return _saved("thresholds-title")


@blueprint.get("/members/<uuid:member_id>/bonus")
@staff_only(*Role)
def bonus_form(member_id: UUID) -> Page:
    """Where whoever may give credit, of whatever role, gives or takes bonus."""
    if not actor().may_grant:
        return _back_to(member_id)
    return _by_hand(member_id, {"what": bonus_by_hand.GIVE}, {})


@blueprint.post("/members/<uuid:member_id>/bonus")
@staff_only(*Role)
def bonus_change(member_id: UUID) -> Page:
    form = request.form.to_dict()
    try:
        bonus_by_hand.change(ctx(), actor(), member_id, form, key=form.get("key") or abort(400))
    except InvalidForm as invalid:
        return _by_hand(member_id, form, shown_errors(invalid)), 422
    return _back_to(member_id)


def _saved(anchor: str | None = None) -> Response:
    return redirect(url_for("office.bonus_rules", saved=1, _anchor=anchor), 303)


def _page(
    *,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    rate_form: dict[str, str] | None = None,
    rate_errors: dict[str, str] | None = None,
    threshold_form: dict[str, str] | None = None,
    threshold_errors: dict[str, str] | None = None,
) -> str:
    program = programs.get(ctx(), actor().program_id)
    rules = bonus_rules.get(ctx(), program.id)
    example = bonus_rules.example_minor(program.currency)
    return render_template(
        "office/bonus.html",
        program=program,
        rules=rules,
        naming=bonus_rules.naming(program, rules),
        example_minor=example,
        example_gives=rules.gives(example),
        form=form or bonus_rules.as_typed(rules, program.currency),
        errors=errors or {},
        rates=bonus_extras.rates(ctx(), program.id),
        rate_form=rate_form or {},
        rate_errors=rate_errors or {},
        thresholds=bonus_extras.thresholds(ctx(), program.id),
        threshold_form=threshold_form or {},
        threshold_errors=threshold_errors or {},
        choices=_choices(program),
        shown_rate=lambda rate: _rate(program, rules, rate),
        weekdays=get_day_names("wide", locale=text().locale),
        languages=[(code, name, bonus_words.plural_forms(code)) for code, name in _languages(program)],
        counted={code: _counted(code) for code in LANGUAGES},
        saved="saved" in request.args and not (errors or rate_errors or threshold_errors),
    )


def _choices(program: ProgramView) -> dict[str, list[tuple[str, str]]]:
    """What the forms' lists offer, as values and names."""
    found = bonus_extras.choices(ctx(), program.id)
    named = {"tiers": found.tiers, "locations": found.locations, "rewards": found.rewards}
    return {what: [(str(id), name) for id, name in pairs] for what, pairs in named.items()}


def _languages(program: ProgramView) -> list[tuple[str, str]]:
    """The programme's own language first."""
    return sorted(LANGUAGES.items(), key=lambda language: language[0] != program.language)


def _counted(language: str) -> dict[str, str]:
    """Plural form → numbers that take it in this language, as examples: one → '1, 21'."""
    plural = translator(language).locale.plural_form
    found: dict[str, list[str]] = {}
    for number in (1, 2, 3, 5, 11, 21, 100):
        found.setdefault(plural(number), []).append(text().number(number))
    return {form: ", ".join(numbers[:3]) for form, numbers in found.items()}


def _rate(program: ProgramView, rules: Rules, rate: int) -> str:
    """A rate in words: '5%', or '2 points for each €1.00'."""
    if rules.kind == "money":
        return text().gettext(N_("%(share)s%%"), share=text().digits(bonus_rules.percent_typed(rate)))
    points = bonus_rules.naming(program, rules).amount(text(), rate)
    each = text().money(rules.per_minor, program.currency)
    return text().gettext(N_("%(points)s for each %(each)s"), points=points, each=each)


def _by_hand(member_id: UUID, form: dict[str, str], errors: dict[str, str]) -> str:
    member = members.by_id(ctx(), actor(), member_id)
    return render_template(
        "office/bonus_form.html",
        program=programs.get(ctx(), actor().program_id),
        member=member,
        phone=masked(member.phone),
        form=form,
        errors=errors,
        back=_page_of(member_id),
    )


def _back_to(member_id: UUID) -> Response:
    return redirect(_page_of(member_id), 303)


def _page_of(member_id: UUID) -> str:
    """The member's page that the signed-in person may open: a cashier's is the till's."""
    person = current_staff()
    if person is not None and person.role in OFFICE:
        return url_for("office.members_one", member_id=member_id, _anchor="bonus-title")
    return url_for("till.member", member_id=member_id)
