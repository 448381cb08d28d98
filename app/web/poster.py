"""The poster that invites people to join, for printing on A4 or A5."""

from flask import Blueprint, render_template, request, url_for
from markupsafe import Markup

from app.i18n import LANGUAGES
from app.services import join_codes, members, programs
from app.services.programs import ProgramView
from app.web.access import OFFICE, actor, ctx, staff_only
from app.web.brand import brand_colors, stamps_picture
from app.web.language import speaking, text
from app.web.qr import qr_svg
from sms.phones import shown

blueprint = Blueprint("poster", __name__)

SIZES = ("A4", "A5")


@blueprint.get("/office/poster")
@staff_only(*OFFICE)
def page() -> str:
    """The poster beside its choices: ?via= (the channel that its QR code names), ?language= and ?size=."""
    program = programs.get(ctx(), actor().program_id)
    via = members.channel_tag(request.args.get("via", "poster"))
    language = request.args.get("language", "")
    language = language if language in LANGUAGES else program.language
    size = request.args.get("size", "")
    size = size if size in SIZES else SIZES[0]
    short_path = url_for("join.form", slug=program.slug)
    link = ctx().settings.base_url + url_for("join.form", slug=program.slug, via=via or None)
    with speaking(language):
        sheet = render_template(
            "poster/sheet.html",
            program=program,
            language=language,
            size=size,
            qr=qr_svg(link, text().gettext("QR code of the join page")),
            stamps=stamps_picture(program, 0),
            texting=_texting(program, via),
            short_link=ctx().settings.base_url.partition("://")[2] + short_path,
        )
    return render_template(
        "poster/page.html",
        program=program,
        colors=brand_colors(program),
        sheet=Markup(sheet),  # noqa: S704 - a template's output, escaped there
        link=link,
        sizes=SIZES,
        form={"via": via, "language": language, "size": size},
    )


def _texting(program: ProgramView, via: str) -> dict[str, str]:
    """The code to text and the number to text it to, for this channel; empty when nobody can join by SMS."""
    number = ctx().settings.texting_number
    code = join_codes.active_code(ctx(), program.id, via) if number else ""
    return {"code": text().digits(code), "number": text().digits(shown(number, program.country))} if code else {}
