"""Workers that are killed send nobody a campaign's SMS twice: the short form of tests/soak/campaign.py."""

from pathlib import Path

from app.services.context import Context
from app.settings import Settings
from tests.soak.campaign import Plan, run


def test_a_campaign_whose_workers_are_killed_again_and_again_reaches_everybody_once(
    ctx: Context, test_settings: Settings, tmp_path: Path
) -> None:
    urls = test_settings.database_url.get_secret_value(), test_settings.redis_url.get_secret_value()
    report = run(Plan(recipients=300, kills=3, per_second=60), tmp_path, *urls)
    assert ([], 3) == (report.faults, report.kills)
