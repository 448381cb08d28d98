"""Writing a campaign: one page for whom, what, when and what comes with it, counted and looked at before it is kept."""

from uuid import UUID

from flask import jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.campaigns import Medium
from app.i18n import LANGUAGES, N_
from app.loyalty import campaign_text, segments
from app.loyalty.segments import Group
from app.services import (
    campaign_counter,
    campaign_forms,
    campaign_people,
    campaign_preview,
    campaigns,
    programs,
    segment_forms,
)
from app.services import segments as segment_service
from app.services.campaign_counter import Counted
from app.services.campaign_preview import Audience, Outlook
from app.services.errors import InvalidForm, Refused
from app.services.segment_forms import Draft
from app.services.sms_by_hand import MOST_PARTS
from app.web.access import OFFICE, actor, ctx, staff_only
from app.web.language import text
from app.web.office import campaign_words as words
from app.web.office.frame import blueprint, shown_errors
from app.web.office.member_rewards import kind_options
from sms.phones import masked, shown

Page = Response | str | tuple[str, int]

# What the insert buttons put into a text, and what they are called.
INSERTS = (
    ("{first_name|…}", campaign_text.FIELDS["first_name"]),
    ("{stamps_left}", campaign_text.FIELDS["stamps_left"]),
    ("{reward}", campaign_text.FIELDS["reward"]),
    ("{credit|…}", campaign_text.FIELDS["credit"]),
    ("{credit_until|…}", campaign_text.FIELDS["credit_until"]),
    ("{code}", N_("Credit code")),
    ("{program}", N_("Programme's name")),
    ("{link}", campaign_text.FIELDS["link"]),
    ("{stop}", N_("Way out")),
)


@blueprint.get("/campaigns/new")
@staff_only(*OFFICE)
def campaigns_new() -> str:
    form = campaign_forms.empty(programs.get(ctx(), actor().program_id)) | {"who": campaign_people.HERE}
    return _page(form, Draft("all"))


@blueprint.post("/campaigns/new")
@staff_only(*OFFICE)
def campaigns_add() -> Page:
    return _written(None)


@blueprint.get("/campaigns/<uuid:campaign_id>/edit")
@staff_only(*OFFICE)
def campaigns_edit(campaign_id: UUID) -> str:
    here = actor()
    view = campaigns.get(ctx(), here, campaign_id)
    program = programs.get(ctx(), here.program_id)
    tree = segments.read(view.values.tree)
    form = campaign_forms.as_typed(view.values, program)
    form |= {"who": campaign_people.known(ctx(), here).value_of(tree), "version": str(view.version)}
    return _page(form, segment_forms.draft_of(tree, program.currency), campaign_id=campaign_id)


@blueprint.post("/campaigns/<uuid:campaign_id>/edit")
@staff_only(*OFFICE)
def campaigns_save(campaign_id: UUID) -> Page:
    return _written(campaign_id)


@blueprint.post("/campaigns/count")
@staff_only(*OFFICE)
def campaigns_count() -> Response:
    """What the texts cost as they are typed: {"texts": {field: {"line", "cautions", "error"}}}, all in words."""
    counted = campaign_counter.count(ctx(), actor(), request.form)
    currency = programs.get(ctx(), actor().program_id).currency
    wallet_only = request.form.get("medium") == Medium.WALLET
    return jsonify(texts={field: _told(one, currency, wallet_only) for field, one in counted.items()})


def _told(one: Counted, currency: str, wallet_only: bool) -> dict[str, object]:
    said = text()
    line = ""
    if one.error is None and not wallet_only:
        parts = said.ngettext("%(n)s part", "%(n)s parts", one.count.parts)
        price = said.price(one.cost_micro, currency) if one.cost_micro else ""
        units = said.ngettext("%(n)s character", "%(n)s characters", one.count.units)
        line = " | ".join(part for part in (parts, price, f"{units} ({one.count.encoding})") if part)
    cautions = [said.gettext(caution.message, **caution.params) for caution in one.cautions]
    if one.count.parts > MOST_PARTS and not wallet_only:
        cautions.insert(0, said.gettext("That is too long: %(most)s parts are the most.", most=MOST_PARTS))
    return {"line": line, "cautions": cautions, "error": words.told(one.error)}


def _written(campaign_id: UUID | None) -> Page:
    """Keep what was typed, or, by another button than 'Save', show what it would come to."""
    form = request.form.to_dict()
    draft = segment_forms.draft(form)
    if segment_forms.acted(form):
        return _page(form, draft, campaign_id=campaign_id)
    here = actor()
    program = programs.get(ctx(), here.program_id)
    errors: dict[str, Refused] = {}
    tree = segments.EVERYONE
    try:
        tree = campaign_people.chosen(ctx(), here, form)
    except InvalidForm as invalid:
        errors = invalid.errors
    if form.get("action") in ("count", "preview"):
        return _looked(form, draft, None if errors else tree, errors, campaign_id)
    try:
        values = campaign_forms.read(form, tree, program)
    except InvalidForm as invalid:
        errors = invalid.errors | errors
    if errors:
        return _page(form, draft, shown_errors(InvalidForm(errors)), campaign_id=campaign_id), 422
    if campaign_id is None:
        saved = campaigns.create(ctx(), here, values)
    else:
        try:
            saved = campaigns.update(ctx(), here, campaign_id, values, _version(form))
        except Refused as refusal:
            return _page(form, draft, shown_errors(refusal), campaign_id=campaign_id), refusal.status
    return redirect(url_for("office.campaigns_one", campaign_id=saved.id), 303)


def _version(form: dict[str, str]) -> int:
    version = form.get("version", "")
    return int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0


def _looked(
    form: dict[str, str], draft: Draft, tree: Group | None, errors: dict[str, Refused], campaign_id: UUID | None
) -> Page:
    """The page with what was asked for: how many, or all there is to know."""
    here = actor()
    if tree is None:
        return _page(form, draft, shown_errors(InvalidForm(errors)), campaign_id=campaign_id), 422
    program = programs.get(ctx(), here.program_id)
    audience: Audience | None = None
    outlook: Outlook | None = None
    try:
        if form["action"] == "count":
            values = campaign_forms.draft(form, tree, program)
            audience = campaign_preview.audience(ctx(), here, values)
        else:
            outlook = campaign_preview.outlook(ctx(), here, campaign_forms.read(form, tree, program))
            audience = outlook.audience
    except InvalidForm as invalid:
        return _page(form, draft, shown_errors(invalid), campaign_id=campaign_id), 422
    except Refused as refusal:
        return _page(form, draft, shown_errors(refusal), campaign_id=campaign_id), refusal.status
    return _page(form, draft, campaign_id=campaign_id, audience=audience, outlook=outlook)


def _page(
    form: dict[str, str],
    draft: Draft,
    errors: dict[str, str] | None = None,
    *,
    campaign_id: UUID | None = None,
    audience: Audience | None = None,
    outlook: Outlook | None = None,
) -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)
    known = campaign_people.known(ctx(), here)
    spoken = campaign_people.languages(ctx(), here)
    counted = campaign_counter.count(ctx(), here, form)
    wallet_only = form.get("medium") == Medium.WALLET
    return render_template(
        "office/campaign_edit.html",
        program=program,
        campaign_id=campaign_id,
        form=form,
        errors=errors or {},
        draft=draft,
        choices=segment_service.choices(ctx(), here, draft),
        known=known,
        languages=sorted(LANGUAGES, key=lambda one: (one != program.language, -spoken.get(one, 0))),
        spoken=spoken,
        counted={field: _told(one, program.currency, wallet_only) for field, one in counted.items()},
        inserts=INSERTS,
        media=words.options({medium.value: name for medium, name in words.MEDIA.items()}),
        reward_kinds=kind_options(program),
        benefits=words.options({benefit.value: name for benefit, name in words.BENEFITS.items()}),
        times=words.options({str(time): name for time, name in words.TIMES.items()}),
        weekdays=words.weekdays(),
        audience=audience,
        outlook=outlook,
        has_b=any(form.get(campaign_forms.text_field("b", language), "").strip() for language in LANGUAGES),
        **look_words(),
    )


def look_words() -> dict[str, object]:
    """What the partial templates of counts and previews need."""
    here = actor()
    country = programs.get(ctx(), here.program_id).country
    return {
        "skipped": words.skipped,
        "language_name": words.language,
        "phone": lambda number: shown(number, country) if here.may_manage else masked(number),
        "most_parts": MOST_PARTS,
    }
