"""The form by which people join: what is asked, and the owner's own questions."""

from uuid import UUID

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.db.joining import QuestionKind
from app.services import join_questions, join_rules, programs
from app.services.errors import InvalidForm, Refused
from app.services.join_rules import JoinForm, Question
from app.web.access import MANAGERS, actor, ctx, staff_only
from app.web.office.frame import blueprint, language_options, shown_errors

Page = Response | str | tuple[str, int]


@blueprint.get("/joining", endpoint="joining")
@staff_only(*MANAGERS)
def page() -> str:
    asked = join_rules.get(ctx(), actor().program_id)
    return _page(join_questions.rules_as_typed(asked), asked)


@blueprint.post("/joining", endpoint="joining_save")
@staff_only(*MANAGERS)
def save() -> Page:
    form = request.form.to_dict()
    try:
        join_questions.save_rules(ctx(), actor(), form)
    except InvalidForm as invalid:
        return _page(form, join_rules.get(ctx(), actor().program_id), shown_errors(invalid)), 422
    return _back("saved")


@blueprint.post("/joining/preview", endpoint="joining_preview")
@staff_only(*MANAGERS)
def preview() -> str:
    """What newcomers would be asked, as a part of a page, with rules that are still being chosen."""
    program = programs.get(ctx(), actor().program_id)
    asked = join_rules.get(ctx(), program.id)
    try:
        asked = join_questions.drafted(asked, request.form)
    except InvalidForm:
        abort(422)
    return render_template("office/_joining_preview.html", asked=asked)


@blueprint.get("/joining/questions/new", endpoint="joining_new")
@staff_only(*MANAGERS)
def question_new() -> str:
    return _question_page({}, _kind(request.args.get("kind", "")))


@blueprint.post("/joining/questions/new", endpoint="joining_add")
@staff_only(*MANAGERS)
def question_add() -> Page:
    form, kind = request.form.to_dict(), _kind(request.form.get("kind", ""))
    try:
        join_questions.add(ctx(), actor(), kind, form)
    except (InvalidForm, Refused) as error:
        return _question_page(form, kind, shown_errors(error)), 422
    return _back("added")


@blueprint.get("/joining/questions/<uuid:question_id>", endpoint="joining_question")
@staff_only(*MANAGERS)
def question(question_id: UUID) -> str:
    found = join_questions.get(ctx(), actor(), question_id)
    return _question_page(join_questions.as_typed(found), found.kind, question=found)


@blueprint.post("/joining/questions/<uuid:question_id>", endpoint="joining_change")
@staff_only(*MANAGERS)
def question_change(question_id: UUID) -> Page:
    form = request.form.to_dict()
    found = join_questions.get(ctx(), actor(), question_id)
    try:
        join_questions.change(ctx(), actor(), question_id, form)
    except InvalidForm as invalid:
        return _question_page(form, found.kind, shown_errors(invalid), question=found), 422
    return _back("saved")


@blueprint.post("/joining/questions/<uuid:question_id>/<any(up, down, stop, ask, remove):act>", endpoint="joining_act")
@staff_only(*MANAGERS)
def question_act(question_id: UUID, act: str) -> Page:
    """The buttons beside a question in the list."""
    here = actor()
    try:
        match act:
            case "up" | "down":
                join_questions.move(ctx(), here, question_id, -1 if act == "up" else 1)
            case "stop" | "ask":
                join_questions.set_active(ctx(), here, question_id, act == "ask")
            case _:
                join_questions.remove(ctx(), here, question_id)
    except Refused as refusal:
        if refusal.status == 404:
            raise
        asked = join_rules.get(ctx(), here.program_id)
        return _page(join_questions.rules_as_typed(asked), asked, shown_errors(refusal)), refusal.status
    return _back("saved")


def _page(form: dict[str, str], asked: JoinForm, errors: dict[str, str] | None = None) -> str:
    here = actor()
    try:
        shown = join_questions.drafted(asked, form)
    except InvalidForm:
        shown = asked
    return render_template(
        "office/joining.html",
        program=programs.get(ctx(), here.program_id),
        rows=join_questions.rows(ctx(), here),
        asked=shown,
        form=form,
        errors=errors or {},
        most=join_questions.MOST_ASKED,
        kinds=list(QuestionKind),
        note=request.args.get("note", ""),
    )


def _question_page(
    form: dict[str, str],
    kind: QuestionKind,
    errors: dict[str, str] | None = None,
    *,
    question: Question | None = None,
) -> str:
    main = programs.get(ctx(), actor().program_id).language
    languages = sorted(language_options(), key=lambda option: option[0] != main)
    return render_template(
        "office/joining_question.html",
        kind=kind,
        question=question,
        languages=languages,
        places=join_questions.places(question.choices if question else ()),
        longest=(join_questions.LONGEST_QUESTION, join_questions.LONGEST_CHOICE),
        form=form,
        errors=errors or {},
    )


def _kind(typed: str) -> QuestionKind:
    return QuestionKind(typed) if typed in set(QuestionKind) else QuestionKind.TEXT


def _back(note: str) -> Response:
    return redirect(url_for("office.joining", note=note), 303)
