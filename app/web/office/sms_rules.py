"""SMS settings: what a part costs, the daily cap, countries and quiet hours."""

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.services import sms_rules as rules
from app.services import sms_spending
from app.services.errors import InvalidForm
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office import choices
from app.web.office.frame import blueprint, shown_errors


@blueprint.get("/sms-rules")
@staff_only(*MANAGERS)
def sms_rules() -> str:
    return _page(rules.as_typed(rules.get(ctx(), actor().program_id)), {})


@blueprint.post("/sms-rules")
@staff_only(*MANAGERS)
def sms_rules_save() -> Response | tuple[str, int]:
    form = request.form.to_dict()
    try:
        rules.save(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.sms_rules", saved=1), 303)


@blueprint.post("/sms-rules/resume")
@staff_only(*MANAGERS)
def sms_rules_resume() -> Response:
    """After an alarm of the provider's: a manager has looked."""
    rules.resume(ctx(), actor())
    return redirect(url_for("office.sms_rules"), 303)


def _page(form: dict[str, str], errors: dict[str, str]) -> str:
    saved = rules.get(ctx(), actor().program_id)
    names = dict(choices.countries(text().language))
    typed = {name.removeprefix("country_") for name in form if name.startswith("country_")}
    listed = [code for code in names if code in typed | set(saved.countries)]
    return render_template(
        "office/sms_rules.html",
        form=form,
        errors=errors,
        spending=sms_spending.standing(ctx(), actor().program_id),
        may_manage=actor().may_manage,
        listed=[(code, names[code]) for code in listed],
        others=[("", text().gettext("None"))] + [(code, name) for code, name in names.items() if code not in listed],
        saved="saved" in request.args and not errors,
    )
