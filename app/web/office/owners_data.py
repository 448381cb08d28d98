"""The owner's data: everything of the programme, with one click."""

from flask import Response, render_template

from app import clock
from app.services import exporting, programs
from app.services.errors import Refused
from app.web.access import OWNERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, local_day


@blueprint.get("/your-data", endpoint="owners_data")
@staff_only(*OWNERS)
def owners_data_page() -> str:
    return _page("")


@blueprint.post("/your-data", endpoint="owners_data_file")
@staff_only(*OWNERS)
def owners_data_file() -> Response | tuple[str, int]:
    """Written while it is sent: a million members take no more room here than one, and nobody waits for the first
    byte. A file that was cut off has no end, and no program opens it."""
    program = programs.get(ctx(), actor().program_id)
    try:
        pieces = exporting.stream(ctx(), actor())
    except Refused as refusal:
        return _page(refusal.text(text())), refusal.status
    day = local_day(clock.now(), program.time_zone).isoformat()
    answer = Response(pieces, mimetype="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{exporting.file_name(program.slug, day)}"'
    return answer


def _page(refused: str) -> str:
    return render_template("office/owners_data.html", refused=refused)
