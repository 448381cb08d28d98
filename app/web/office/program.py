"""The programme's form, with a live picture of its card."""

from flask import redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from app.services import card_preview, overview, programs
from app.services.card_preview import CardPreview
from app.services.errors import InvalidForm
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office import choices
from app.web.office.frame import blueprint, language_options, shown_errors
from app.web.qr import qr_svg


@blueprint.get("/program")
@staff_only(*MANAGERS)
def program() -> str:
    here = actor()
    form = programs.as_typed(programs.get(ctx(), here.program_id))
    return _page(form, {}, card_preview.saved(ctx(), here))


@blueprint.post("/program")
@staff_only(*MANAGERS)
def program_save() -> Response | tuple[str, int]:
    here = actor()
    form = request.form.to_dict()
    logo = request.files.get("logo")
    chosen = logo.read() if logo is not None and logo.filename else None
    try:
        programs.update(ctx(), here, form, logo=chosen, remove_logo=form.get("remove_logo") == "on")
    except InvalidForm as invalid:
        errors = shown_errors(invalid)
        if chosen is not None and "logo" not in errors:
            errors["logo"] = text().gettext("Please choose the logo again: a browser forgets it when a form is wrong.")
        return _page(form, errors, card_preview.draft(ctx(), here, form, _state())), 422
    return redirect(url_for("office.program", saved=1), 303)


@blueprint.post("/program/preview")
@staff_only(*MANAGERS)
def program_preview() -> str:
    """The picture of the card as a part of a page, of a form that is being filled in."""
    shown = card_preview.draft(ctx(), actor(), request.form, _state())
    return render_template("office/_card_preview.html", preview=shown, qr=_sample_qr(shown.card.code))


def _page(form: dict[str, str], errors: dict[str, str], preview: CardPreview) -> str:
    here = actor()
    program = programs.get(ctx(), here.program_id)
    language = text()
    return render_template(
        "office/program.html",
        program=program,
        form=form,
        errors=errors,
        preview=preview,
        qr=_sample_qr(preview.card.code),
        saved="saved" in request.args and not errors,
        with_stamps=overview.with_stamps(ctx(), program),
        languages=language_options(),
        time_zones=choices.time_zones(form.get("time_zone", "")),
        countries=choices.countries(language.language),
        currencies=choices.currencies(language.language, form.get("currency", "")),
        pass_types=choices.pass_types(programs.pass_types(ctx()), program.pass_type_identifier, language),
    )


def _state() -> str:
    return request.form.get("preview_state", "nearly")


def _sample_qr(code: str) -> Markup:
    return qr_svg(code, text().gettext("QR code of an example"))
