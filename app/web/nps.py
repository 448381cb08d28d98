"""The page that asks how likely somebody is to recommend the shop: 0 to 10, and why."""

from collections.abc import Mapping

from flask import Blueprint, Response, redirect, render_template, request, url_for
from limits import parse
from werkzeug.wrappers import Response as AnyResponse

from app.loyalty.nps import HIGHEST, LOWEST
from app.services import limits, nps
from app.services.errors import InvalidForm, Refused
from app.services.nps import Question
from app.web.access import ctx, public
from app.web.brand import brand_colors
from app.web.card_link import keep_private, opened_by
from app.web.language import prefer, text

blueprint = Blueprint("nps", __name__, url_prefix="/n")
blueprint.after_request(keep_private)

_CHANGES = parse("30 per 10 minutes")


@blueprint.get("/<token>")
@public
def page(token: str) -> AnyResponse | str:
    question = _opened(token)
    if question.survey_url:
        return Response(status=302, headers={"Location": question.survey_url, "Cache-Control": "no-store"})
    typed = {"score": "" if question.score is None else str(question.score), "comment": question.comment}
    return _page(token, question, typed, {}, changing="change" in request.args)


@blueprint.post("/<token>")
@public
def answer(token: str) -> AnyResponse | tuple[str, int]:
    question = _opened(token)
    limits.spend(ctx(), _CHANGES, "nps", token)
    try:
        nps.answer(ctx(), token, request.form.to_dict())
    except InvalidForm as invalid:
        return _page(token, question, request.form, invalid.errors, changing=True), 422
    return redirect(url_for("nps.page", token=token), 303)


def _opened(token: str) -> Question:
    """From here on the page speaks the member's language."""
    question = opened_by(nps.opened, token, limit_name="nps")
    prefer(question.language)
    return question


def _page(
    token: str, question: Question, typed: Mapping[str, str], errors: dict[str, Refused], *, changing: bool
) -> str:
    return render_template(
        "nps/page.html",
        token=token,
        question=question,
        program=question.program,
        colors=brand_colors(question.program),
        asks=question.may_answer and (changing or not question.answered),
        scores=range(LOWEST, HIGHEST + 1),
        most=nps.LONGEST_COMMENT,
        form=typed,
        errors={field: refusal.text(text()) for field, refusal in errors.items()},
    )
