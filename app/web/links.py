"""The links in messages: `/l/` leads on, and counts; `/u/` ends the offers; `/r/` is a member's link for friends."""

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.services import consents, limits, link_visitors, nps, referral_links, short_links, unsubscribing
from app.services.clicks import Click, ClickCounter
from app.services.unsubscribing import Subscription
from app.web.access import ctx, public
from app.web.brand import brand_colors
from app.web.card_link import keep_private, opened_by
from app.web.language import prefer, text

blueprint = Blueprint("links", __name__)
blueprint.after_request(keep_private)
_MISSES = "short-link"
FRIENDS = "friend"  # the join channel


@blueprint.record_once
def _count_clicks(state: BlueprintSetupState) -> None:
    state.app.extensions["leima_clicks"] = ClickCounter(state.app.extensions["leima"])


def click_counter() -> ClickCounter:
    """What counts this app's clicks."""
    counter: ClickCounter = current_app.extensions["leima_clicks"]
    return counter


@blueprint.get("/l/<token>")
@public
def follow(token: str) -> AnyResponse:
    """To where the link leads. What comes along with the request is never taken over."""
    target = opened_by(short_links.find, token, limit_name=_MISSES)
    found = link_visitors.visitor(request.method, dict(request.headers))
    click_counter().note(Click(target.recipient_number, found.kind, clock.now()))
    if target.surveyed_id is not None:
        address = url_for("nps.page", token=nps.token_for(ctx(), target.surveyed_id, nps.CAMPAIGN))
    else:
        address = target.address or url_for("card.page", token=target.card_token)
    return Response(status=302, headers={"Location": address, "Cache-Control": "no-store"})


@blueprint.get("/r/<code>")
@public
def friend(code: str) -> AnyResponse:
    """To the join page, which then knows whose link it was. It is not said to the friend, nor is anything else."""
    invitation = opened_by(referral_links.find, code, limit_name=_MISSES)
    referral = invitation.code or None
    return redirect(url_for("join.form", slug=invitation.program.slug, via=FRIENDS, friend=referral))


@blueprint.get("/u/<token>")
@public
def offers(token: str) -> str:
    """Whether offers come, and the button that ends them. Previewers that look at the page end nothing."""
    return _page(token, _looked(token))


@blueprint.post("/u/<token>")
@public
def stop(token: str) -> AnyResponse:
    _set(token, wanted=False)
    return redirect(url_for("links.offers", token=token), 303)


@blueprint.post("/u/<token>/again")
@public
def start_again(token: str) -> AnyResponse:
    _set(token, wanted=True)
    return redirect(url_for("links.offers", token=token), 303)


def _looked(token: str) -> Subscription:
    """From here on the page speaks the member's language."""
    subscription = opened_by(unsubscribing.look, token, limit_name=_MISSES)
    prefer(subscription.language)
    return subscription


def _set(token: str, *, wanted: bool) -> None:
    _looked(token)
    limits.spend(ctx(), limits.LINK, "offers", token)
    unsubscribing.set_offers(ctx(), token, wanted, text().language)


def _page(token: str, subscription: Subscription) -> str:
    program = subscription.program
    return render_template(
        "links/offers.html",
        token=token,
        program=program,
        subscription=subscription,
        colors=brand_colors(program),
        wording=consents.wording(consents.OFFERS_BY_SMS, True, program.organization_name, text()),
    )
