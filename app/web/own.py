"""The customer's own pages behind their card's link: receipts, who they are, what they want to hear, their data."""

from collections.abc import Iterator, Mapping
from os import SEEK_END
from typing import IO

from flask import Blueprint, Response, redirect, render_template, request, url_for
from limits import parse
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.i18n import N_
from app.services import consents, limits, nps, nps_rules, own_data, own_page, usual, warranties
from app.services.errors import InvalidForm, Refused
from app.services.own_page import OwnPage
from app.web import device_mark, refer
from app.web.access import ctx, public
from app.web.brand import brand_colors
from app.web.card_link import keep_private, opened_by
from app.web.language import prefer, text
from app.web.qr import qr_svg
from app.web.rewards import of_card
from sms.phones import shown

blueprint = Blueprint("own", __name__, url_prefix="/c/<token>/me")
blueprint.after_request(keep_private)

_CHANGES = parse("60 per 10 minutes")
_PIECE = 64 * 1024  # bytes
_DOWNLOADS = parse("20 per 10 minutes")
FRIENDS = "friend"  # the join channel
_HEARD = {consents.OFFERS_BY_SMS: N_("Offers by SMS"), consents.OFFERS_BY_EMAIL: N_("Offers by e-mail")}


@blueprint.get("")
@public
def page(token: str) -> str:
    opened = own_opened(token)
    return _page(token, opened, own_page.as_typed(opened), {})


@blueprint.post("/details")
@public
def save_details(token: str) -> AnyResponse | tuple[str, int]:
    opened = own_opened(token)
    limits.spend(ctx(), _CHANGES, "own-page", str(opened.member.id))
    try:
        own_page.save_details(ctx(), token, request.form)
    except InvalidForm as invalid:
        return _page(token, opened, request.form, invalid.errors), 422
    return redirect(url_for("own.page", token=token, saved="details"), 303)


@blueprint.post("/hear/<purpose>")
@public
def hear(token: str, purpose: str) -> AnyResponse:
    """Begin or stop to hear of something: `granted` is 'yes' or not."""
    opened = own_opened(token)
    limits.spend(ctx(), _CHANGES, "own-page", str(opened.member.id))
    own_page.set_hearing(ctx(), token, purpose, request.form.get("granted") == "yes", text().language)
    return redirect(url_for("own.page", token=token, saved="hear", _anchor="hear"), 303)


@blueprint.get("/receipts")
@public
def receipts(token: str) -> str:
    opened = own_opened(token)
    return render_template(
        "own/receipts.html",
        receipts=own_page.receipts_of(ctx(), opened.member),
        history=own_page.history_of(ctx(), opened.member),
        usual=usual.of_member(ctx(), opened.member.id),
        warranties=warranties.of_member(ctx(), opened.member.id),
        most=own_page.MOST_SHOWN,
        **frame(token, opened),
    )


@blueprint.get("/friend")
@public
def friend(token: str) -> str:
    """The way to join, for passing on. It tells nothing of who passes it on.

    Where something is given for friends, it is the member's own link, with what came of it.
    """
    opened = own_opened(token)
    device_mark.note(opened.program, opened.member, at_once=True)
    referral = refer.shown(opened)
    link = referral.link or ctx().settings.base_url + url_for("join.form", slug=opened.program.slug, via=FRIENDS)
    return render_template(
        "own/friend.html",
        link=link,
        referral=referral,
        message=referral.message(link, opened.program),
        qr=qr_svg(link, text().gettext("QR code of the join page")),
        **frame(token, opened),
    )


@blueprint.post("/survey")
@public
def survey(token: str) -> AnyResponse | str:
    """To the question how likely the member is to recommend the shop, if it is time for one.

    A form of ours may lead to no other site (form-action), so that an owner's own survey is led to by a page.
    """
    opened = own_opened(token)
    limits.spend(ctx(), _CHANGES, "own-page", str(opened.member.id))
    if not opened.active or not nps.may_ask(ctx(), opened.program, opened.member.id):
        return redirect(url_for("card.page", token=token), 303)
    address = url_for("nps.page", token=nps.token_for(ctx(), opened.member.id, nps.PAGE))
    if nps_rules.of_view(ctx(), opened.program).survey_url:
        return render_template("own/survey.html", address=address, **frame(token, opened))
    return redirect(address, 303)


@blueprint.get("/data.<form>")
@public
def data(token: str, form: str) -> Response:
    """Everything that is kept of the member, as one JSON file or as a ZIP of tables (CSV)."""
    opened = own_opened(token)
    limits.spend(ctx(), _DOWNLOADS, "own-data", str(opened.member.id))
    file = own_data.packed(ctx(), opened.member, form, text())
    size = file.seek(0, SEEK_END)
    file.seek(0)
    response = Response(_pieces(file), mimetype=own_data.MIME_TYPES[form])
    response.call_on_close(file.close)
    response.content_length = size
    name = f"{opened.program.slug}-my-data-{clock.now():%Y-%m-%d}.{form}"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def own_opened(token: str) -> OwnPage:
    """From here on the page speaks the member's language."""
    opened = opened_by(own_page.opened, token)
    prefer(opened.member.language)
    return opened


def frame(token: str, opened: OwnPage) -> dict[str, object]:
    return {
        "token": token,
        "member": opened.member,
        "program": opened.program,
        "active": opened.active,
        "colors": brand_colors(opened.program),
    }


def _page(token: str, opened: OwnPage, typed: Mapping[str, str], errors: dict[str, Refused]) -> str:
    organization = opened.program.organization_name
    return render_template(
        "own/page.html",
        opened=opened,
        phone=shown(opened.member.phone, opened.program.country),
        names={purpose: text().gettext(name) for purpose, name in _HEARD.items()},
        wordings={
            hearing.purpose: consents.wording(hearing.purpose, True, organization, text())
            for hearing in opened.hearings
        },
        sources=consents.SOURCES,
        saved=request.args.get("saved", ""),
        form=typed,
        errors={field: refusal.text(text()) for field, refusal in errors.items()},
        **of_card(opened.program, opened.member),
        **frame(token, opened),
    )
