"""Which language a page speaks: what the visitor chose, else what the page is for, else what the browser prefers."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, g, has_request_context, request

from app.i18n import LANGUAGES, Translator, translator
from app.web.access import current_staff

COOKIE = "leima_language"


def text() -> Translator:
    """The translator of the page being made."""
    if not has_request_context():
        return translator("en")
    if "text" not in g:
        g.text = translator(_chosen() or _of_staff() or _of_browser())
    found: Translator = g.text
    return found


def prefer(language: str) -> None:
    """The page belongs to someone who speaks this language; a visitor's own choice still wins."""
    g.text = translator(_chosen() or language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """What is made inside speaks to customers, in this language; the page around it to whoever prints it."""
    own = text()
    g.text = translator(language)
    try:
        yield
    finally:
        g.text = own


def _chosen() -> str:
    for choice in (request.args.get("lang", ""), request.cookies.get(COOKIE, "")):
        if choice in LANGUAGES:
            return choice
    return ""


def _of_staff() -> str:
    person = current_staff()
    return person.language if person else ""


def _of_browser() -> str:
    """The first language in the browser's order that is one of ours; 'fa-IR' is Persian."""
    for tag in request.accept_languages.values():
        if (short := tag.split("-")[0].lower()) in LANGUAGES:
            return short
    return "en"


def install(app: Flask) -> None:
    """Give templates their texts, and remember a language that was chosen by ?lang=."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.globals.update(
        gettext=lambda message, **values: text().gettext(message, **values),
        ngettext=lambda one, many, n, **values: text().ngettext(one, many, n, **values),
        _=lambda message, **values: text().gettext(message, **values),
        LANGUAGES=LANGUAGES,
    )
    app.context_processor(lambda: {"text": text()})

    @app.after_request
    def remember_choice(response):  # type: ignore[no-untyped-def]
        chosen = request.args.get("lang", "")
        if chosen in LANGUAGES:
            response.set_cookie(
                COOKIE, chosen, max_age=365 * 24 * 3600, secure=request.is_secure, httponly=True, samesite="Lax"
            )
        return response
