"""What every answer carries and every form must bring: headers, cookies, CSRF tokens."""

import secrets
from datetime import timedelta

from flask import Flask, Response, abort, g, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from app.settings import Settings

MOST_BYTES = 6 * 1024 * 1024  # a logo of 5 MB and the form around it

csrf = CSRFProtect()


def nonce() -> str:
    """This answer's nonce for <style>: the brand's colours are set there, since style attributes are not allowed."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    value: str = g.nonce
    return value


def install(app: Flask, settings: Settings) -> None:
    https = settings.base_url.startswith("https://")
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=512 * 1024,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        SESSION_COOKIE_NAME="__Host-leima" if https else "leima",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a till stays open all day
        WTF_CSRF_SSL_STRICT=False,  # the token decides; tills behind privacy proxies send no Referer
    )
    if settings.proxy_count:
        count = settings.proxy_count
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    csrf.init_app(app)
    app.before_request(_refuse_nul)
    app.jinja_env.globals["csp_nonce"] = nonce
    app.after_request(lambda response: _headers(response, https))


def _refuse_nul() -> None:
    """PostgreSQL's texts cannot hold NUL: there is no such address, and no such value."""
    if "\0" in request.path:
        abort(404)
    typed = [request.args]
    if request.endpoint and not csrf._is_exempt():  # machines' bodies are read, and checked, by their views
        typed.append(request.form)
    if any("\0" in part for values in typed for name in values for part in (name, *values.getlist(name))):
        abort(400)


def _headers(response: Response, https: bool) -> Response:
    style = f"'self' 'nonce-{g.nonce}'" if "nonce" in g else "'self'"
    response.headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'none'; script-src 'self'; style-src {style}; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if https:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static":
        # Pages hold people's cards: no proxy may keep them, and 'back' after signing out shows nothing.
        response.headers.setdefault("Cache-Control", "no-store")
    return response
