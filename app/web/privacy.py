"""What a programme keeps of its members: a page for everybody, made from what the programme has set up."""

from flask import Blueprint, render_template, request

from app.i18n import LANGUAGES
from app.services import privacy, programs
from app.web.access import ctx, public
from app.web.brand import brand_colors
from app.web.language import prefer, text

blueprint = Blueprint("privacy", __name__)


@blueprint.get("/privacy/<slug>")
@public
def page(slug: str) -> str:
    program = programs.by_slug(ctx(), slug)
    prefer(request.accept_languages.best_match(list(LANGUAGES)) or program.language)
    return render_template(
        "privacy.html",
        program=program,
        notice=privacy.notice(ctx(), program, text()),
        colors=brand_colors(program),
    )
