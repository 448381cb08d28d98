"""Bringing an old register: a file is checked, its columns and mistakes are shown, and then its people join."""

from uuid import UUID

from flask import Response as FlaskResponse
from flask import redirect, render_template, request, url_for
from phonenumbers import PhoneNumberFormat, PhoneNumberType, example_number_for_type, format_number
from werkzeug.wrappers import Response

from app.db.register import ImportState
from app.i18n import N_
from app.services import programs, register_import, register_work, stamp_cards
from app.services.errors import InvalidForm
from app.services.register_columns import FIELDS
from app.services.register_file import CODE_PAGES, MOST_BYTES
from app.services.register_import import RegisterView
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors
from app.web.tables import as_file

SHOWN_ERRORS = 50
STATES = {
    ImportState.CHECKING: N_("Being checked"),
    ImportState.CHECKED: N_("Checked"),
    ImportState.RUNNING: N_("Being imported"),
    ImportState.DONE: N_("Imported"),
    ImportState.STOPPED: N_("Stopped"),
    ImportState.FAILED: N_("Not read"),
}
# A cell that begins so is taken for a formula by spreadsheets.


@blueprint.url_value_preprocessor
def _room_for_a_register(endpoint: str | None, _values: dict[str, object] | None) -> None:
    """Before the form is read, which is long before the view."""
    if endpoint == "office.members_register_upload":
        request.max_content_length = MOST_BYTES + 100_000


@blueprint.get("/register")
@staff_only(*MANAGERS)
def members_register() -> str:
    return _start_page({})


@blueprint.post("/register")
@staff_only(*MANAGERS)
def members_register_upload() -> Response | tuple[str, int]:
    file = request.files.get("file")
    if file is None or not file.filename:
        return _start_page({"file": text().gettext("Choose the file first.")}), 422
    with file.stream:
        data = file.read()
    try:
        import_id = register_import.upload(
            ctx(), actor(), file.filename, data, encoding=request.form.get("encoding", "")
        )
    except InvalidForm as invalid:
        return _start_page(shown_errors(invalid)), 422
    return redirect(url_for("office.members_register_one", import_id=import_id), 303)


@blueprint.get("/register/sample.csv")
@staff_only(*MANAGERS)
def members_register_sample() -> FlaskResponse:
    """A file with the headings that Leima knows, in the reader's language, and one person."""
    program = programs.get(ctx(), actor().program_id)
    number = example_number_for_type(program.country, PhoneNumberType.MOBILE)
    phone = format_number(number, PhoneNumberFormat.E164) if number else "+358401234567"
    alice = {
        "phone": f" {phone}",
        "name": "Alice",
        "last_name": "Example",
        "email": "alice@example.com",
        "birth_date": "1980-01-31",
        "city": "Helsinki",
        "language": text().language,
        "stamps": "3",
        "old_card": "001234",
        "consent": text().gettext("no"),
        "joined_on": "2020-01-31",
    }
    further = [shown.card.name for shown in stamp_cards.in_use(ctx(), program)[1:]]
    headings = [text().gettext(name) for name in FIELDS.values()]
    return as_file("register.csv", [headings + further, [alice[field] for field in FIELDS] + ["2"] * len(further)])


@blueprint.get("/register/<uuid:import_id>")
@staff_only(*MANAGERS)
def members_register_one(import_id: UUID) -> str:
    return _page(register_import.get(ctx(), actor(), import_id), {"wording": _usual_wording()}, {})


@blueprint.get("/register/<uuid:import_id>/state")
@staff_only(*MANAGERS)
def members_register_state(import_id: UUID) -> str | tuple[str, int]:
    """How far it is, as a part of the page; 204 when the page is to be shown anew."""
    view = register_import.get(ctx(), actor(), import_id)
    if not view.moving:
        return "", 204
    return render_template("office/_register_state.html", register=view, pace=_a_minute())


@blueprint.post("/register/<uuid:import_id>/columns")
@staff_only(*MANAGERS)
def members_register_columns(import_id: UUID) -> Response | tuple[str, int]:
    form = request.form.to_dict()
    try:
        register_import.check_again(ctx(), actor(), import_id, form)
    except InvalidForm as invalid:
        view = register_import.get(ctx(), actor(), import_id)
        return _page(view, form, shown_errors(invalid), open_columns=True), 422
    return _back(import_id)


@blueprint.post("/register/<uuid:import_id>/start")
@staff_only(*MANAGERS)
def members_register_start(import_id: UUID) -> Response | tuple[str, int]:
    form = request.form.to_dict()
    try:
        register_import.start(ctx(), actor(), import_id, form)
    except InvalidForm as invalid:
        return _page(register_import.get(ctx(), actor(), import_id), form, shown_errors(invalid)), 422
    return _back(import_id)


@blueprint.post("/register/<uuid:import_id>/stop")
@staff_only(*MANAGERS)
def members_register_stop(import_id: UUID) -> Response:
    register_import.stop(ctx(), actor(), import_id)
    return _back(import_id)


@blueprint.get("/register/<uuid:import_id>/mistakes.csv")
@staff_only(*MANAGERS)
def members_register_mistakes(import_id: UUID) -> FlaskResponse:
    view = register_import.get(ctx(), actor(), import_id)
    heading = [text().gettext(name) for name in (N_("Row"), N_("Column"), N_("What is wrong"), N_("What happens"))]
    rows = [
        [
            str(error.row),
            _column_name(view, error.field),
            text().gettext(error.message, **error.params),
            text().gettext("The row is left out") if error.left_out else text().gettext("Joins without it"),
        ]
        for error in view.errors
    ]
    return as_file("mistakes.csv", [heading, *rows])


def _back(import_id: UUID) -> Response:
    return redirect(url_for("office.members_register_one", import_id=import_id), 303)


def _usual_wording() -> str:
    return text().gettext("Agreed to offers by SMS in our old register.")


def _a_minute() -> int:
    return register_work.wave_size(ctx()) * 60 // register_work.WAVE_SECONDS


def _column_name(view: RegisterView, field: str) -> str:
    place = view.columns.get(field)
    return text().gettext(FIELDS[field]) if place is None else view.headings[place]


def _start_page(errors: dict[str, str]) -> str:
    here = actor()
    return render_template(
        "office/register.html",
        program=programs.get(ctx(), here.program_id),
        imports=register_import.every(ctx(), here),
        states=STATES,
        encodings=[("", text().gettext("Find out by itself")), *_code_pages()],
        form=request.form,
        errors=errors,
    )


def _code_pages() -> list[tuple[str, str]]:
    return [(code, text().gettext(name)) for code, name in CODE_PAGES.items()]


def _page(view: RegisterView, form: dict[str, str], errors: dict[str, str], *, open_columns: bool = False) -> str:
    chosen = {f"column_{place}": field for field, place in view.columns.items()}
    return render_template(
        "office/register_import.html",
        program=programs.get(ctx(), actor().program_id),
        register=view,
        pace=_a_minute(),
        state=STATES[view.state],
        code_page=CODE_PAGES.get(view.encoding, ""),
        fields=[("", text().gettext("Nothing that is needed")), *_field_names(view)],
        chosen=form if open_columns else chosen,
        open_columns=open_columns or view.needs_columns,
        column_name=lambda field: _column_name(view, field),
        unused=text().listed(_unused(view)),
        shown_errors=view.errors[:SHOWN_ERRORS],
        form=form,
        errors=errors,
    )


def _unused(view: RegisterView) -> list[str]:
    """The headings of the columns that nothing is taken from."""
    taken = set(view.columns.values())
    return [heading for place, heading in enumerate(view.headings) if heading.strip() and place not in taken]


def _field_names(view: RegisterView) -> list[tuple[str, str]]:
    names = {field: text().gettext(name) for field, name in FIELDS.items()}
    names |= {field: text().gettext("Stamps: %(card)s", card=name) for field, name in view.cards.items()}
    return list(names.items())
