"""Campaigns: all of them by state, one of them before and after it is sent, and the programme's rules for them."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.campaigns import CampaignState, Repeat
from app.i18n import LANGUAGES
from app.services import (
    campaign_control,
    campaign_counter,
    campaign_figures,
    campaign_forms,
    campaign_preview,
    campaign_rules,
    campaign_test_send,
    campaigns,
    programs,
    staff,
)
from app.services.campaign_preview import Outlook
from app.services.campaign_rules import Rules
from app.services.campaigns import CampaignView
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.web.access import MANAGERS, OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office import campaign_words as words
from app.web.office.campaigns_writing import look_words
from app.web.office.frame import blueprint, shown_errors, typed_form

Page = Response | str | tuple[str, int]

# The order of the list: what somebody has to look at stands first.
_GROUPS = (
    (CampaignState.RUNNING, CampaignState.PAUSED),
    (CampaignState.APPROVAL,),
    (CampaignState.SCHEDULED,),
    (CampaignState.DRAFT,),
    (CampaignState.DONE, CampaignState.STOPPED),
)
_BY_VERSION: dict[str, Callable[[Context, Actor, UUID, int], object]] = {
    "submit": campaign_control.submit,
    "approve": campaign_control.approve,
    "schedule": campaign_control.schedule,
    "start": campaign_control.start_now,
}
_AT_ONCE: dict[str, Callable[[Context, Actor, UUID], object]] = {
    "send-back": campaign_control.send_back,
    "pause": campaign_control.pause,
    "resume": campaign_control.resume,
    "stop": campaign_control.stop,
}


@blueprint.get("/campaigns", endpoint="campaigns")
@staff_only(*OFFICE)
def campaigns_page() -> str:
    here = actor()
    every = campaigns.every(ctx(), here)
    return render_template(
        "office/campaigns.html",
        program=programs.get(ctx(), here.program_id),
        groups=[[one for one in every if one.state in states] for states in _GROUPS],
        states=words.STATES,
        looks=words.LOOKS,
        when=words.when,
        may_manage=here.may_manage,
    )


@blueprint.get("/campaigns/<uuid:campaign_id>")
@staff_only(*OFFICE)
def campaigns_one(campaign_id: UUID) -> str:
    return _page(campaigns.get(ctx(), actor(), campaign_id))


@blueprint.post(
    "/campaigns/<uuid:campaign_id>/"
    "<any(submit, approve, schedule, start, 'send-back', pause, resume, stop, copy, remove):act>"
)
@staff_only(*OFFICE)
def campaigns_act(campaign_id: UUID, act: str) -> Page:
    """What is so already stays so."""
    here = actor()
    try:
        if act in _BY_VERSION:
            _BY_VERSION[act](ctx(), here, campaign_id, request.form.get("version", default=0, type=int))
        elif act in _AT_ONCE:
            _AT_ONCE[act](ctx(), here, campaign_id)
        elif act == "copy":
            campaign_id = _copy(campaign_id).id
            return redirect(url_for("office.campaigns_edit", campaign_id=campaign_id), 303)
        else:
            campaigns.delete(ctx(), here, campaign_id)
            return redirect(url_for("office.campaigns"), 303)
    except Refused as refusal:
        if refusal.status == 404:
            raise
        page = _page(campaigns.get(ctx(), here, campaign_id), {"form": refusal.text(text())})
        return page, refusal.status
    return redirect(url_for("office.campaigns_one", campaign_id=campaign_id), 303)


@blueprint.post("/campaigns/<uuid:campaign_id>/test")
@staff_only(*OFFICE)
def campaigns_test(campaign_id: UUID) -> Page:
    """Its text to a phone of one's own."""
    view = campaigns.get(ctx(), actor(), campaign_id)
    form = request.form.to_dict()
    try:
        campaign_test_send.send(ctx(), actor(), view.values, form, form.get("key", ""))
    except InvalidForm as invalid:
        return _page(view, shown_errors(invalid), form), 422
    except Refused as refusal:
        return _page(view, {"test_phone": refusal.text(text())}, form), refusal.status
    return redirect(url_for("office.campaigns_one", campaign_id=campaign_id, tested=1, _anchor="test"), 303)


@blueprint.get("/campaigns/rules")
@staff_only(*MANAGERS)
def campaigns_rules() -> str:
    rules = campaign_rules.get(ctx(), actor().program_id)
    form = {name: str(getattr(rules, name)) for name in ("most_offers", "offer_days", "visit_days")}
    return _rules_page(form | {"second_person": "on" if rules.second_person else "off"}, {})


@blueprint.post("/campaigns/rules")
@staff_only(*MANAGERS)
def campaigns_rules_save() -> Page:
    form = typed_form("second_person")
    reader = FormReader(form)
    limits = {
        "most_offers": campaign_rules.MOST_OFFERS,
        "offer_days": campaign_rules.OFFER_DAYS,
        "visit_days": campaign_rules.VISIT_DAYS,
    }
    numbers = {name: reader.number(name, *between) or 0 for name, between in limits.items()}
    if reader.errors:
        return _rules_page(form, shown_errors(InvalidForm(reader.errors))), 422
    campaign_rules.save(ctx(), actor(), Rules(second_person=form["second_person"] == "on", **numbers))
    return redirect(url_for("office.campaigns_rules", saved=1), 303)


def _rules_page(form: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "office/campaign_rules.html", form=form, errors=errors, saved="saved" in request.args and not errors
    )


def _copy(campaign_id: UUID) -> CampaignView:
    values = campaigns.get(ctx(), actor(), campaign_id).values
    name = text().gettext("Copy of %(name)s", name=values.name)[:60]
    # A day that has passed is not asked for again.
    once = values.repeat is Repeat.ONCE
    return campaigns.create(ctx(), actor(), replace(values, name=name, starts_at=None if once else values.starts_at))


def _page(view: CampaignView, errors: dict[str, str] | None = None, form: dict[str, str] | None = None) -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)
    outlook: Outlook | None = None
    refused = ""
    if view.may_change:
        try:
            outlook = campaign_preview.outlook(ctx(), here, view.values)
        except Refused as refusal:
            refused = refusal.text(text())
    rules = campaign_rules.get(ctx(), here.program_id)
    names = {person.id: person.name for person in staff.every(ctx(), here.program_id)}
    return render_template(
        "office/campaign.html",
        program=program,
        view=view,
        values=view.values,
        outlook=outlook,
        refused=refused,
        next_runs=campaign_preview.next_runs(ctx(), here, view.values),
        twice=view.values.starts_at is not None and campaign_forms.is_twice(view.values.starts_at, program.time_zone),
        counted=campaign_counter.count(ctx(), here, campaign_forms.as_typed(view.values, program)),
        text_field=campaign_forms.text_field,
        # Whoever wrote it may not approve it; everybody may start what was approved.
        needs_approval=rules.second_person and view.approved_by is None,
        may_approve=here.may_manage and here.staff_id != view.staff_id,
        author=names.get(view.staff_id, "") if view.staff_id else "",
        approver=names.get(view.approved_by, "") if view.approved_by else "",
        states=words.STATES,
        looks=words.LOOKS,
        phases=words.PHASES,
        quiet_words=words.quiet(campaign_figures.quiet_until(ctx(), here, view), program),
        media=words.MEDIA,
        when=words.when(view.values, program),
        until=words.until(view.values, program),
        benefit=words.benefit(view.values, program),
        languages=[(code, LANGUAGES[code]) for code in LANGUAGES if code in view.values.texts.get("a", {})],
        form=form or {},
        errors=errors or {},
        tested="tested" in request.args,
        **look_words(),
    )
