"""The web process: `gunicorn wsgi:app`."""

from app import logs, settings, wiring
from app.cli.common import settings_or_exit
from app.web.factory import create_app

_settings = settings_or_exit(settings.load)
logs.configure(_settings.log_level)
app = create_app(wiring.Wired(_settings).context)
