"""Files of members for advertising platforms."""

from flask import Response, render_template, request, stream_with_context

from app.i18n import N_
from app.services import audience, segments
from app.services.audience import Platform
from app.services.errors import InvalidForm
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors

_NAMES = {Platform.META: "Meta (Facebook, Instagram)", Platform.GOOGLE: "Google Ads", Platform.TIKTOK: "TikTok"}
_WHO = {
    "agreed": N_("Those who agreed to offers"),
    "everyone": N_("All, also those who did not agree"),
}


@blueprint.get("/audience", endpoint="audience")
@staff_only(*MANAGERS)
def audience_page() -> str:
    return _page({}, {})


@blueprint.post("/audience")
@staff_only(*MANAGERS)
def audience_file() -> Response | tuple[str, int]:
    form = request.form.to_dict()
    try:
        choice = audience.read_choice(form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    answer = Response(stream_with_context(audience.export(ctx(), actor(), choice)), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="audience-{choice.platform.value}.csv"'
    return answer


def _page(form: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "office/audience.html",
        form=form,
        errors=errors,
        platforms=[(platform.value, name) for platform, name in _NAMES.items()],
        segments=[("", text().gettext(N_("All active members")))]
        + [(str(one.id), one.name) for one in segments.every(ctx(), actor())],
        who=[(name, text().gettext(words)) for name, words in _WHO.items()],
    )
