"""The card's own page, opened by a personal link, and the card's ways into Apple's and Google's wallets."""

from datetime import UTC, date

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.db.people import MemberStatus
from app.loyalty.card_codes import grouped
from app.loyalty.credit import day_of, last_day
from app.services import (
    apple_passes,
    card_tier,
    card_visits,
    cards,
    google_cards,
    limits,
    members,
    nps,
    stamp_cards,
    stamp_words,
    staying,
)
from app.services.cards import OpenedCard
from app.services.programs import ProgramView
from app.services.views import CreditView
from app.web import device_mark
from app.web.access import ctx, public
from app.web.brand import brand_colors, counted_picture, stamps_picture
from app.web.card_link import keep_private, opened_by
from app.web.language import prefer, text
from app.web.qr import qr_svg
from app.web.rewards import of_card
from passes.apple.package import MIME_TYPE

blueprint = Blueprint("card", __name__, url_prefix="/c")
blueprint.after_request(keep_private)


@blueprint.get("/<token>")
@public
def page(token: str) -> Response:
    opened = _opened(token)
    member, program = opened.member, opened.program
    device_mark.note(program, member)
    content = render_template(
        "card/page.html",
        token=token,
        member=member,
        program=program,
        history=opened.history,
        active=member.status is MemberStatus.ACTIVE,
        have=min(member.stamps, program.stamps_needed),
        **of_card(program, member),
        credits=[_shown_credit(credit, program.time_zone) for credit in member.credits],
        codes=opened.codes,
        earning=_earning(program),
        colors=brand_colors(card_tier.dressed(program, member)),
        stamps=stamps_picture(card_tier.dressed(program, member), member.stamps),
        tier_fields=card_tier.front(text(), program, member),
        tier_notes=card_tier.back(text(), program, member),
        further=[(shown, counted_picture(program, shown)) for shown in member.further_stamps],
        qr=qr_svg(member.card_code, text().gettext("QR code of your card")),
        code=grouped(member.card_code),
        visits=card_visits.shown(ctx(), text(), program, member),
        erased_on=staying.erased_on(ctx(), member),
        asks=member.status is MemberStatus.ACTIVE and nps.may_ask(ctx(), program, member.id),
    )
    response = Response(content)
    response.vary.add("User-Agent")
    return response


def _earning(program: ProgramView) -> list[tuple[str, list[str]]]:
    """The name of each stamp card ('' of the only one) and what it gives stamps for."""
    kinds = stamp_cards.in_use(ctx(), program)
    several, first = len(kinds) > 1, text().gettext("Stamps")
    return [
        ((shown.card.name or first) if several else "", stamp_words.customer_sentences(text(), program, shown))
        for shown in kinds
    ]


def _shown_credit(credit: CreditView, time_zone: str) -> tuple[CreditView, date | None, date]:
    """A credit with its first day, if that is still to come, and its last."""
    first = day_of(credit.valid_from, time_zone) if credit.valid_from > clock.now() else None
    return credit, first, last_day(credit.expires_at, time_zone)


@blueprint.get("/<token>/apple.pkpass")
@public
def apple_pass(token: str) -> Response:
    opened = _opened(token)
    signed = apple_passes.apple_pass(ctx(), opened.member)
    response = Response(signed.segments, mimetype=MIME_TYPE)
    response.content_length = sum(map(len, signed.segments))
    response.headers["Content-Disposition"] = f'attachment; filename="{opened.program.slug}.pkpass"'
    response.last_modified = signed.changed_at.astimezone(UTC)
    return response


@blueprint.get("/<token>/google")
@public
def google_pass(token: str) -> AnyResponse:
    """To Google's page that puts the card on the phone. A card that has ended says so on its own page instead."""
    member = _opened(token).member
    if not google_cards.is_on(ctx()):
        abort(404)
    if member.status is not MemberStatus.ACTIVE:
        return redirect(url_for("card.page", token=token))
    limits.spend(ctx(), limits.LINK, "google-pass", str(member.card_id))  # each asks Google, which counts calls
    return redirect(google_cards.link(ctx(), member))


@blueprint.post("/<token>/leave")
@public
def leave(token: str) -> AnyResponse:
    """End the membership, when the box beside the button is ticked. A blocked card stays blocked."""
    opened = _opened(token)
    if opened.member.status is MemberStatus.ACTIVE and request.form.get("sure") == "on":
        members.leave(ctx(), token)
    return redirect(url_for("card.page", token=token), 303)


def _opened(token: str) -> OpenedCard:
    """The card; from here on the page speaks the member's language."""
    opened = opened_by(cards.opened, token)
    prefer(opened.member.language)
    return opened
