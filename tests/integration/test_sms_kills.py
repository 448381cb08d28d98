"""A worker that is killed at any moment sends nobody an SMS twice: the short form of tests/soak/sms.py."""

from pathlib import Path

from app.services.context import Context
from app.settings import Settings
from tests.soak.sms import Plan, run


def test_workers_that_are_killed_again_and_again_send_everybody_one_sms(
    ctx: Context, test_settings: Settings, tmp_path: Path
) -> None:
    urls = test_settings.database_url.get_secret_value(), test_settings.redis_url.get_secret_value()
    report = run(Plan(messages=40, kills=3, per_second=20), tmp_path, *urls)
    assert ([], 3) == (report.faults, report.kills)
