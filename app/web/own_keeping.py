"""On the customer's own pages: receipts kept for a warranty, all data on one page, a new link, staying, and erasing."""

from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from limits import parse
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.services import fresh_links, limits, own_data, own_erasing, own_page, staying, warranties
from app.services.errors import InvalidForm, Refused
from app.web.access import ctx, public
from app.web.card_link import keep_private
from app.web.language import text
from app.web.own import frame, own_opened
from app.web.own_data_words import shown_sections
from sms.phones import masked

blueprint = Blueprint("own_keeping", __name__, url_prefix="/c/<token>/me")
blueprint.after_request(keep_private)

_CHANGES = parse("60 per 10 minutes")
_PAGES = parse("20 per 10 minutes")


@blueprint.get("/receipts/<uuid:purchase_id>")
@public
def receipt(token: str, purchase_id: UUID) -> str:
    """One receipt: to print, and to keep until a warranty ends."""
    return _receipt(token, purchase_id, {"remind": "on"}, {})


@blueprint.post("/receipts/<uuid:purchase_id>")
@public
def keep(token: str, purchase_id: UUID) -> AnyResponse | tuple[str, int]:
    opened = own_opened(token)
    limits.spend(ctx(), _CHANGES, "own-page", str(opened.member.id))
    try:
        warranties.keep(ctx(), token, purchase_id, request.form)
    except InvalidForm as invalid:
        return _receipt(token, purchase_id, request.form, invalid.errors), 422
    return redirect(url_for("own_keeping.receipt", token=token, purchase_id=purchase_id, saved=1), 303)


@blueprint.post("/warranties/<uuid:warranty_id>/remove")
@public
def remove(token: str, warranty_id: UUID) -> AnyResponse:
    opened = own_opened(token)
    limits.spend(ctx(), _CHANGES, "own-page", str(opened.member.id))
    warranties.remove(ctx(), token, warranty_id)
    return redirect(url_for("own.receipts", token=token), 303)


def _receipt(token: str, purchase_id: UUID, typed: Mapping[str, str], errors: dict[str, Refused]) -> str:
    opened = own_opened(token)
    return render_template(
        "own/receipt.html",
        receipt=own_page.receipt_of(ctx(), opened.member, purchase_id),
        kept=[one for one in warranties.of_member(ctx(), opened.member.id) if one.purchase_id == purchase_id],
        form=typed,
        errors={field: refusal.text(text()) for field, refusal in errors.items()},
        saved="saved" in request.args,
        **frame(token, opened),
    )


@blueprint.get("/everything")
@public
def everything(token: str) -> str:
    """All that is kept of the member on one page, to read and to print."""
    opened = own_opened(token)
    limits.spend(ctx(), _PAGES, "own-data", str(opened.member.id))
    sections, cut = own_data.for_reading(ctx(), opened.member)
    return render_template(
        "own/everything.html",
        sections=shown_sections(text(), opened.program, sections),
        cut=cut,
        made_at=clock.now(),
        **frame(token, opened),
    )


@blueprint.post("/stay")
@public
def stay(token: str) -> AnyResponse:
    """Who was told that they will be erased, as they were not seen for long, says that they stay."""
    staying.stay(ctx(), token)
    return redirect(url_for("card.page", token=token), 303)


@blueprint.get("/link")
@public
def link(token: str) -> str:
    """Somebody else may have the link: how to get a new one."""
    opened = own_opened(token)
    phone = masked(opened.member.phone)
    return render_template("own/link.html", phone=phone, sent="sent" in request.args, **frame(token, opened))


@blueprint.post("/link")
@public
def send_link(token: str) -> AnyResponse:
    opened = own_opened(token)
    fresh_links.ask_for(ctx(), opened.member)
    return redirect(url_for("own_keeping.link", token=token, sent=1), 303)


@blueprint.get("/erase")
@public
def erase(token: str) -> str:
    """What would go, and what the shop keeps: the first of two steps."""
    return _erase_page(token, {})


@blueprint.post("/erase/code")
@public
def send_code(token: str) -> AnyResponse:
    own_opened(token)
    own_erasing.send_code(ctx(), token)
    return redirect(url_for("own_keeping.erase", token=token), 303)


@blueprint.post("/erase")
@public
def erase_now(token: str) -> str | tuple[str, int]:
    opened = own_opened(token)
    try:
        sure, code = request.form.get("sure") == "on", request.form.get("one_time_code", "")
        own_erasing.erase(ctx(), token, sure=sure, code=code)
    except InvalidForm as invalid:
        return _erase_page(token, invalid.errors), 422
    return render_template("own/erased.html", **frame(token, opened))


def _erase_page(token: str, errors: dict[str, Refused]) -> str:
    opened = own_opened(token)
    needs_code = own_erasing.needs_code(ctx(), opened.member)
    return render_template(
        "own/erase.html",
        has=own_erasing.losses(opened.member),
        needs_code=needs_code,
        code_is_out=needs_code and own_erasing.code_is_out(ctx(), opened.member),
        phone=masked(opened.member.phone),
        errors={field: refusal.text(text()) for field, refusal in errors.items()},
        **frame(token, opened),
    )
