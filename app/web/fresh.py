"""A card's link made anew: the page behind the SMS that somebody asked for because others may have the old link."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.services import fresh_links
from app.web.access import public
from app.web.brand import brand_colors
from app.web.card_link import keep_private, opened_by
from app.web.language import prefer

blueprint = Blueprint("fresh", __name__)
blueprint.after_request(keep_private)


@blueprint.get("/fresh/<token>")
@public
def page(token: str) -> str:
    """Looking changes nothing: messengers and scanners look, too."""
    program, language = opened_by(fresh_links.opened, token)
    prefer(language)
    return render_template("own/fresh.html", token=token, program=program, colors=brand_colors(program))


@blueprint.post("/fresh/<token>")
@public
def renew(token: str) -> AnyResponse:
    new = opened_by(fresh_links.renew, token)
    return redirect(url_for("card.page", token=new), 303)
