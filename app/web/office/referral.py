"""Referral: what is given for friends, who came by whose link, and the word about those that are held."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.referrals import RewardedOn
from app.i18n import LANGUAGES
from app.services import programs, referral_desk, referral_rules, referral_words
from app.services.errors import InvalidForm
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors, typed_form
from sms.phones import shown


@blueprint.get("/referral")
@staff_only(*MANAGERS)
def referral() -> str:
    possible = referral_rules.choices(ctx(), actor().program_id)
    return _page(referral_rules.as_typed(referral_rules.saved(ctx(), actor()), possible), {})


@blueprint.post("/referral")
@staff_only(*MANAGERS)
def referral_save() -> Response | tuple[str, int]:
    form = typed_form("active")
    try:
        referral_rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.referral", saved=1), 303)


@blueprint.post("/referral/<uuid:referral_id>")
@staff_only(*MANAGERS)
def referral_decide(referral_id: UUID) -> Response:
    """Allow one that is held, or refuse it: `decision` is 'allow' or not."""
    referral_desk.decide(ctx(), actor(), referral_id, allow=request.form.get("decision") == "allow")
    return redirect(url_for("office.referral", _anchor="friends-title"), 303)


def _page(form: dict[str, str], errors: dict[str, str]) -> str:
    here = actor()
    possible = referral_rules.choices(ctx(), here.program_id)
    held, _ = referral_desk.page(ctx(), here, held=True)
    rows, more = referral_desk.page(ctx(), here, after=_after())
    words, rules = text(), referral_rules.saved(ctx(), here)
    return render_template(
        "office/referral.html",
        program=programs.get(ctx(), here.program_id),
        form=form,
        errors=errors,
        saved="saved" in request.args and not errors,
        sentences=referral_words.sentences(words, rules, possible),
        on_joining=rules.active and rules.rewarded_on is RewardedOn.JOINING,
        possible=possible,
        rewards=[("", words.gettext("None"))] + [(str(id), name) for id, name in possible.rewards],
        languages=LANGUAGES,
        most_letters=referral_rules.LONGEST_TEXT,
        counts=referral_desk.counts(ctx(), here),
        held=held,
        rows=rows,
        more=more,
        later="after" in request.args,
        states=referral_words.STATES,
        reasons=referral_words.REASONS,
        who=_who,
    )


def _who(name_or_phone: str) -> str:
    """A name as it is, a number as people read it; who was erased has neither."""
    if name_or_phone.startswith("!"):
        return text().gettext("Erased")
    if not name_or_phone.startswith("+"):
        return name_or_phone
    country = programs.get(ctx(), actor().program_id).country
    return text().digits(shown(name_or_phone, country))


def _after() -> UUID | None:
    try:
        return UUID(request.args.get("after", ""))
    except ValueError:
        return None
