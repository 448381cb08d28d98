"""Coupons' own ways into the wallets, from their member's pages."""

from datetime import UTC
from uuid import UUID

from flask import Blueprint, Response, abort, redirect, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.services import apple_coupons, coupons, google_cards, google_coupons, limits, members
from app.services.coupons import Coupon
from app.web.access import ctx, public
from app.web.card_link import keep_private, opened_by
from app.web.language import prefer
from passes.apple.package import MIME_TYPE

blueprint = Blueprint("coupons", __name__, url_prefix="/c/<token>/coupons/<uuid:reward_id>")
blueprint.after_request(keep_private)


@blueprint.get("/apple.pkpass")
@public
def apple_pass(token: str, reward_id: UUID) -> Response:
    signed = apple_coupons.coupon_pass(ctx(), _opened(token, reward_id))
    response = Response(signed.segments, mimetype=MIME_TYPE)
    response.content_length = sum(map(len, signed.segments))
    response.headers["Content-Disposition"] = 'attachment; filename="coupon.pkpass"'
    response.last_modified = signed.changed_at.astimezone(UTC)
    return response


@blueprint.get("/google")
@public
def google_pass(token: str, reward_id: UUID) -> AnyResponse:
    """To Google's page that puts the coupon on the phone. One that is over leads to the card's page instead."""
    coupon = _opened(token, reward_id)
    if not google_cards.is_on(ctx()):
        abort(404)
    if coupon.voided:
        return redirect(url_for("card.page", token=token))
    limits.spend(ctx(), limits.LINK, "google-pass", str(coupon.card_id))  # each asks Google, which counts calls
    return redirect(google_coupons.link(ctx(), coupon))


def _opened(token: str, reward_id: UUID) -> Coupon:
    """The coupon, if it is of the member whose link this is; the answer speaks the member's language."""
    member = opened_by(members.by_link, token)
    prefer(member.language)
    found = coupons.of_member(ctx(), member.id, reward_id)
    if found is None:
        abort(404)
    return found
