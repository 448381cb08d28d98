"""The programme's stamp cards, and the times at which stamps count more than once."""

from uuid import UUID

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.services import double_windows, programs, stamp_cards, stamp_words
from app.services.errors import InvalidForm, Refused
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.language import text
from app.web.office.frame import blueprint, shown_errors, typed_form

Page = Response | str | tuple[str, int]

_NEW_CARD = {"stamps_needed": "10", "join_stamps": "0", "birthday_stamps": "0"}
_NEW_WINDOW = {"factor": "2"}


@blueprint.get("/stamps", endpoint="stamps")
@staff_only(*MANAGERS)
def page() -> str:
    here, program = actor(), programs.get(ctx(), actor().program_id)
    cards = stamp_cards.all_of(ctx(), here.program_id)
    windows = double_windows.all_of(ctx(), here.program_id)
    return render_template(
        "office/stamps.html",
        program=program,
        cards=[(shown, stamp_words.card_sentences(text(), program, shown)) for shown in cards],
        windows=[(shown, stamp_words.window_sentence(text(), shown)) for shown in windows],
        note=request.args.get("note", ""),
    )


@blueprint.get("/stamps/first", endpoint="stamps_first")
@staff_only(*MANAGERS)
def first() -> str:
    return _card_page(stamp_cards.as_typed(ctx(), actor(), None), first=True)


@blueprint.post("/stamps/first", endpoint="stamps_first_save")
@staff_only(*MANAGERS)
def first_save() -> Page:
    form = request.form.to_dict()
    try:
        stamp_cards.save_first(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _card_page(form, shown_errors(invalid), first=True), 422
    return _back("saved")


@blueprint.get("/stamps/new", endpoint="stamps_new")
@staff_only(*MANAGERS)
def card_new() -> str:
    return _card_page(_NEW_CARD)


@blueprint.post("/stamps/new", endpoint="stamps_add")
@staff_only(*MANAGERS)
def card_add() -> Page:
    return _card_saved(request.form.to_dict(), None)


@blueprint.get("/stamps/<uuid:card_id>", endpoint="stamps_edit")
@staff_only(*MANAGERS)
def card(card_id: UUID) -> str:
    return _card_page(stamp_cards.as_typed(ctx(), actor(), card_id), card_id=card_id)


@blueprint.post("/stamps/<uuid:card_id>", endpoint="stamps_save")
@staff_only(*MANAGERS)
def card_save(card_id: UUID) -> Page:
    return _card_saved(typed_form("active"), card_id)


@blueprint.post("/stamps/<uuid:card_id>/remove", endpoint="stamps_remove")
@staff_only(*MANAGERS)
def card_remove(card_id: UUID) -> Page:
    try:
        stamp_cards.remove(ctx(), actor(), card_id)
    except Refused as refusal:
        if refusal.status == 404:
            raise
        form = stamp_cards.as_typed(ctx(), actor(), card_id)
        return _card_page(form, shown_errors(refusal), card_id=card_id), refusal.status
    return _back("removed")


@blueprint.get("/stamps/times/new", endpoint="stamps_window_new")
@staff_only(*MANAGERS)
def window_new() -> str:
    return _window_page(_NEW_WINDOW)


@blueprint.post("/stamps/times/new", endpoint="stamps_window_add")
@staff_only(*MANAGERS)
def window_add() -> Page:
    return _window_saved(request.form.to_dict(), None)


@blueprint.get("/stamps/times/<uuid:window_id>", endpoint="stamps_window")
@staff_only(*MANAGERS)
def window(window_id: UUID) -> str:
    return _window_page(double_windows.as_typed(ctx(), actor(), window_id), window_id=window_id)


@blueprint.post("/stamps/times/<uuid:window_id>", endpoint="stamps_window_save")
@staff_only(*MANAGERS)
def window_save(window_id: UUID) -> Page:
    return _window_saved(typed_form("active"), window_id)


@blueprint.post("/stamps/times/<uuid:window_id>/remove", endpoint="stamps_window_remove")
@staff_only(*MANAGERS)
def window_remove(window_id: UUID) -> Page:
    double_windows.remove(ctx(), actor(), window_id)
    return _back("removed")


def _card_saved(form: dict[str, str], card_id: UUID | None) -> Page:
    try:
        stamp_cards.save(ctx(), actor(), form, card_id)
    except InvalidForm as invalid:
        return _card_page(form, shown_errors(invalid), card_id=card_id), 422
    return _back("saved")


def _window_saved(form: dict[str, str], window_id: UUID | None) -> Page:
    try:
        double_windows.save(ctx(), actor(), form, window_id)
    except InvalidForm as invalid:
        return _window_page(form, shown_errors(invalid), window_id=window_id), 422
    return _back("saved")


def _card_page(
    form: dict[str, str], errors: dict[str, str] | None = None, *, card_id: UUID | None = None, first: bool = False
) -> str:
    here = actor()
    return render_template(
        "office/stamp_card.html",
        program=programs.get(ctx(), here.program_id),
        card_id=card_id,
        first=first,
        form=form,
        errors=errors or {},
        types=[("", text().gettext("What is named above"))]
        + [(str(type_id), name) for type_id, name in stamp_cards.reward_types(ctx(), here.program_id)],
    )


def _window_page(form: dict[str, str], errors: dict[str, str] | None = None, *, window_id: UUID | None = None) -> str:
    here = actor()
    return render_template(
        "office/stamp_window.html",
        program=programs.get(ctx(), here.program_id),
        window_id=window_id,
        form=form,
        errors=errors or {},
        weekdays=[(day, text().weekdays([day])) for day in range(7)],
        places=[place for place in programs.locations(ctx(), here.program_id) if place.active],
    )


def _back(note: str) -> Response:
    return redirect(url_for("office.stamps", note=note), 303)
