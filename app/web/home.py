"""The front door: to the one programme's join page, or a choice of programmes."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.services import programs
from app.web.access import ctx, public

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@public
def front() -> Response | str:
    offered = programs.every(ctx())
    if len(offered) == 1:
        return redirect(url_for("join.form", slug=offered[0].slug))
    return render_template("home.html", programs=offered)
