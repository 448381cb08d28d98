"""Joining: the page behind the QR code on the poster."""

from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.i18n import LANGUAGES, N_
from app.services import (
    consents,
    fresh_links,
    join_codes,
    join_rules,
    limits,
    members,
    messages,
    programs,
    referral_links,
    referral_rules,
    referral_words,
)
from app.services.context import Actor
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.members import JoinRequest
from app.services.programs import ProgramView
from app.web import asked as asking
from app.web import device_mark
from app.web.access import ctx, public
from app.web.brand import brand_colors, stamps_picture
from app.web.language import prefer, text
from sms.phones import masked, normalise, shown

blueprint = Blueprint("join", __name__)

_LONGEST_WORDING = 4000  # what the consents table keeps
# Keep a number in one piece, on one line and from left to right, inside any sentence.
_ISOLATE, _ISOLATE_END, _SPACE = "\u2066", "\u2069", "\u00a0"


@blueprint.get("/join/<slug>")
@public
def form(slug: str) -> str:
    program = _opened(slug)
    came = {"via": members.channel_tag(request.args.get("via", "")), "friend": request.args.get("friend", "")[:60]}
    return _page(program, came, {})


@blueprint.post("/join/<slug>")
@public
def submit(slug: str) -> AnyResponse | str | tuple[str, int]:
    program = _opened(slug)
    limits.spend(ctx(), limits.JOIN, "join", request.remote_addr or "")
    try:
        wanted = _read(program)
        if ctx().settings.card_link == "page":
            member, _ = members.join(ctx(), Actor(program.id), wanted, source="web")
            return redirect(url_for("card.page", token=members.card_token(ctx(), member)), 303)
        phone = messages.join_and_send_link(ctx(), Actor(program.id), wanted, source="web")
    except InvalidForm as invalid:
        return _page(program, request.form, invalid.errors), 422
    except Refused as refusal:
        if refusal.kind != "member-blocked":
            raise
        return _page(program, request.form, {"phone": refusal}), refusal.status
    return _sent(program, _in_one_piece(masked(phone)))


@blueprint.get("/join/<slug>/link")
@public
def lost(slug: str) -> str:
    """'I have a card already: send me the link.'"""
    return _lost_page(_opened(slug), {}, {})


@blueprint.post("/join/<slug>/link")
@public
def send_link(slug: str) -> str | tuple[str, int]:
    """The answer is the same for everybody: it must not tell who is a member."""
    program = _opened(slug)
    limits.spend(ctx(), limits.JOIN, "join", request.remote_addr or "")
    typed = request.form.get("phone", "")
    try:
        if request.form.get("stop_old") == "on":
            fresh_links.ask(ctx(), program.id, typed)
        else:
            messages.send_link_again(ctx(), program.id, typed)
    except InvalidForm as invalid:
        return _lost_page(program, request.form, invalid.errors), 422
    return _sent(program, _in_one_piece(masked(normalise(typed, program.country))), again=True)


@blueprint.get("/picture/<uuid:picture_id>.png")
@public
def picture(picture_id: UUID) -> Response:
    """A logo. What an id stands for never changes, so it may be kept for a year."""
    content = programs.picture(ctx(), picture_id)
    return Response(content, mimetype="image/png", headers={"Cache-Control": "public, max-age=31536000, immutable"})


def _opened(slug: str) -> ProgramView:
    """The programme; from here on the page speaks the visitor's language, else the programme's."""
    program = programs.by_slug(ctx(), slug)
    prefer(request.accept_languages.best_match(list(LANGUAGES)) or program.language)
    return program


def _wordings(program: ProgramView) -> dict[str, str]:
    """What is agreed to, word by word as on the page."""
    return {
        "terms": text().gettext(N_("I accept the terms of %(name)s."), name=program.name),
        consents.OFFERS_BY_SMS: consents.wording(consents.OFFERS_BY_SMS, True, program.organization_name, text()),
    }


def _read(program: ProgramView) -> JoinRequest:
    """What was typed. Raises InvalidForm for everything that is wrong at once."""
    reader, asked = FormReader(request.form), join_rules.get(ctx(), program.id)
    told = asking.told(asked, reader)
    wordings = _wordings(program)
    agreed = {purpose: wording for purpose, wording in wordings.items() if request.form.get(purpose) == "on"}
    if "terms" not in agreed:
        reader.wrong("terms", "terms-not-accepted", N_("Please accept the terms: nobody can join without them."))
    else:
        agreed["terms"] = f"{wordings['terms']}\n\n{program.terms_text}".strip()[:_LONGEST_WORDING]
    typed = JoinRequest(
        phone=request.form.get("phone", ""),
        language=text().language,
        via=request.form.get("via", ""),
        consents=agreed,
        referral=request.form.get("friend", ""),
        mark=device_mark.of_joining(program),
        **told,
    )
    if reader.errors:
        raise InvalidForm(members.faults(typed, program.country, asked, needed=True) | reader.errors)
    return typed


def _lost_page(program: ProgramView, typed: Mapping[str, str], errors: dict[str, Refused]) -> str:
    return render_template(
        "join/lost.html",
        program=program,
        colors=brand_colors(program),
        form=typed,
        errors={field: refusal.text(text()) for field, refusal in errors.items()},
    )


def _in_one_piece(number: str) -> str:
    return _ISOLATE + number.replace(" ", _SPACE) + _ISOLATE_END


def _texting(program: ProgramView, via: str) -> dict[str, str]:
    """How to join by SMS through this channel; empty when nobody can."""
    number = ctx().settings.texting_number
    code = join_codes.active_code(ctx(), program.id, members.channel_tag(via)) if number else ""
    if not code:
        return {}
    spoken = text().digits(shown(number, program.country))
    return {
        "code": text().digits(code),
        "number": _in_one_piece(spoken),
        "address": f"sms:{number}?&body={code}",  # '?&' is what both iOS and Android understand
    }


def _page(program: ProgramView, typed: Mapping[str, str], errors: dict[str, Refused]) -> str:
    return render_template(
        "join/form.html",
        program=program,
        colors=brand_colors(program),
        stamps=stamps_picture(program, program.join_stamps),
        texting=_texting(program, typed.get("via", "")),
        wordings=_wordings(program),
        asked=join_rules.get(ctx(), program.id),
        invited=_invited(program, typed.get("friend", "")),
        form=typed,
        errors={field: refusal.text(text()) for field, refusal in errors.items()},
    )


def _invited(program: ProgramView, code: str) -> list[str]:
    """What somebody who comes by a friend's link reads: the owner's words, and what they get."""
    rules = referral_rules.of_view(ctx(), program)
    if not rules.active or not referral_links.read(code):
        return []
    promise = referral_words.promise(text(), rules, referral_rules.choices(ctx(), program.id))
    return [words for words in (rules.invitation(text().language, program.language), promise) if words]


def _sent(program: ProgramView, phone: str, *, again: bool = False) -> str:
    return render_template("join/sent.html", program=program, colors=brand_colors(program), phone=phone, again=again)
