"""Builds the Flask app. Nothing is made at import: `create_app(context)` is handed everything."""

import secrets

from flask import Flask

from app.services.context import Context
from app.web import (
    api,
    apple,
    apple_door,
    bonus_words,
    card,
    coupons,
    fresh,
    google,
    health,
    home,
    join,
    language,
    links,
    nps,
    observe,
    office,
    own,
    own_keeping,
    poster,
    privacy,
    refusals,
    security,
    sms,
    staff,
    till,
)
from app.web.access import current_staff
from app.web.assets import Assets


def create_app(context: Context) -> Flask:
    """The web application over these connections."""
    app = Flask(__name__, static_folder=None)
    assets = Assets(app)
    app.extensions["leima"] = context
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    security.install(app, context.settings)
    observe.install(app)
    language.install(app)
    refusals.install(app)
    app.jinja_env.globals.update(
        asset=assets.address,
        bonus_amount=bonus_words.amount,
        bonus_kind=bonus_words.kind,
        current_staff=current_staff,
        once_key=lambda: secrets.token_urlsafe(16),
        settings=context.settings,
    )
    for module in (
        home,
        health,
        staff,
        join,
        card,
        coupons,
        own,
        own_keeping,
        fresh,
        privacy,
        links,
        nps,
        till,
        office,
        poster,
        api,
        apple,
        google,
        sms,
    ):
        app.register_blueprint(module.blueprint)
    app.wsgi_app = apple_door.Door(app, context)  # type: ignore[method-assign]
    return app
