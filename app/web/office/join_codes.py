"""The 5-digit codes that people text to join."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.services import join_codes as codes
from app.services import programs
from app.services.errors import InvalidForm
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.office.frame import blueprint, shown_errors
from sms.phones import shown


@blueprint.get("/join-codes")
@staff_only(*MANAGERS)
def join_codes() -> str:
    return _page({}, {})


@blueprint.post("/join-codes")
@staff_only(*MANAGERS)
def join_codes_add() -> Response | tuple[str, int]:
    form = request.form.to_dict()
    try:
        made = codes.create(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, shown_errors(invalid)), 422
    return redirect(url_for("office.join_codes", made=made.code), 303)


@blueprint.post("/join-codes/<uuid:code_id>/on")
@staff_only(*MANAGERS)
def join_codes_on(code_id: UUID) -> Response:
    codes.set_active(ctx(), actor(), code_id, True)
    return redirect(url_for("office.join_codes"), 303)


@blueprint.post("/join-codes/<uuid:code_id>/off")
@staff_only(*MANAGERS)
def join_codes_off(code_id: UUID) -> Response:
    codes.set_active(ctx(), actor(), code_id, False)
    return redirect(url_for("office.join_codes"), 303)


def _page(form: dict[str, str], errors: dict[str, str]) -> str:
    program = programs.get(ctx(), actor().program_id)
    number = ctx().settings.texting_number
    every = codes.every(ctx(), program.id)
    return render_template(
        "office/join_codes.html",
        program=program,
        codes=every,
        made=next((code for code in every if code.code == request.args.get("made")), None),
        number=shown(number, program.country) if number else "",
        form=form,
        errors=errors,
    )
