"""Where people join: a link, a piece of HTML and a QR code for each place, and how many joined there."""

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.i18n import LANGUAGES
from app.services import join_channels, members, programs
from app.services.errors import InvalidForm
from app.services.programs import ProgramView
from app.web import snippets
from app.web.access import OFFICE, actor, ctx, staff_only
from app.web.brand import brand_colors
from app.web.language import text
from app.web.office.frame import blueprint, language_options, shown_errors
from app.web.qr import qr_file, qr_svg

FIRST = "site"
_MIME_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


@blueprint.get("/channels", endpoint="channels")
@staff_only(*OFFICE)
def page() -> str:
    """?via= is the channel to show, ?language= the one of the words for the shop's own page."""
    return _page({}, {})


@blueprint.post("/channels", endpoint="channels_add")
@staff_only(*OFFICE)
def add() -> AnyResponse | tuple[str, int]:
    form = request.form.to_dict()
    try:
        tag = join_channels.add(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.channels", via=tag), 303)


@blueprint.post("/channels/remove", endpoint="channels_remove")
@staff_only(*OFFICE)
def remove() -> AnyResponse:
    join_channels.remove(ctx(), actor(), request.form.get("tag", ""))
    return redirect(url_for("office.channels"), 303)


@blueprint.get("/channels/code.<any(png, svg):kind>", endpoint="channels_code")
@staff_only(*OFFICE)
def code(kind: str) -> Response:
    """The QR code of a channel's link, for whoever prints it."""
    program = programs.get(ctx(), actor().program_id)
    via = _via()
    response = Response(qr_file(_link(program, via), kind), mimetype=_MIME_TYPES[kind])
    response.headers.set("Content-Disposition", "attachment", filename=f"{program.slug}-{via}.{kind}")
    return response


def _page(form: dict[str, str], errors: dict[str, str]) -> str:
    program, via = programs.get(ctx(), actor().program_id), _via()
    language = request.args.get("language", "")
    language = language if language in LANGUAGES else program.language
    link = _link(program, via)
    names = {tag: text().gettext(name) for tag, name in join_channels.USUAL.items()}
    return render_template(
        "office/channels.html",
        program=program,
        channels=join_channels.every(ctx(), actor()),
        names=names,
        via=via,
        link=link,
        colors=brand_colors(program),
        words=snippets.words(program, language),
        button=snippets.button(program, link, language),
        card=snippets.card(program, link, language),
        qr=qr_svg(link, text().gettext("QR code of the join page")),
        choice={"language": language},
        languages=language_options(),
        days=join_channels.DAYS,
        form=form,
        errors=errors,
    )


def _via() -> str:
    return members.channel_tag(request.args.get("via", "")) or FIRST


def _link(program: ProgramView, via: str) -> str:
    return ctx().settings.base_url + url_for("join.form", slug=program.slug, via=via)
