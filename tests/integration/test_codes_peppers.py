"""Rotating the pepper: codes that people hold go on working, in processes that run too."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import update

from app import clock
from app.cli.main import main
from app.db.credit import Credit, CreditStatus
from app.services import code_redeeming, credit_codes, pepper_rotation
from app.services.context import Context
from app.services.peppers import PepperStore
from app.settings import Settings
from sms.codes import near
from tests.factories import Shop
from tests.integration.code_shop import drawn, give, give_group


@pytest.fixture
def own_settings(test_settings: Settings, tmp_path: Path) -> Settings:
    return test_settings.model_copy(update={"data": tmp_path})


@pytest.fixture
def running(ctx: Context, own_settings: Settings) -> Context:
    """A process that has read the peppers before a rotation."""
    made = replace(ctx, settings=own_settings, peppers=PepperStore(own_settings))
    made.peppers()
    return made


@pytest.fixture
def leima(own_settings: Settings) -> Iterator[Callable[..., Result]]:
    def run(*arguments: str, **changes: object) -> Result:
        return CliRunner().invoke(
            main, list(arguments), obj=None, default_map=None, catch_exceptions=False,
            env={
                "LEIMA_ENV": "test",
                "LEIMA_DATA": str(own_settings.data),
                "LEIMA_SECRET_KEY": own_settings.secret_key.get_secret_value(),
                "LEIMA_DATABASE_URL": own_settings.database_url.get_secret_value(),
                "LEIMA_REDIS_URL": own_settings.redis_url.get_secret_value(),
                **{name: str(value) for name, value in changes.items()},
            },
        )  # fmt: skip

    return run


def works(ctx: Context, shop: Shop, code: str) -> bool:
    return code_redeeming.check(ctx, shop.owner, code, "").balance_minor > 0


def test_codes_go_on_working_over_rotations_in_a_process_that_runs(
    running: Context, shop: Shop, leima: Callable[..., Result]
) -> None:
    old = [give(running, shop, shop.member().id).code, give_group(running, shop, 1)[0].code]
    assert "1 kept" in leima("codes", "rotate-pepper").output
    newer = give(running, shop, shop.member(1).id)
    assert "2 kept" in leima("codes", "rotate-pepper").output

    assert [True] * 3 == [works(running, shop, code) for code in (*old, newer.code)]
    with running.sessions.begin() as session:
        assert newer.code == credit_codes.code_for(running, session, session.get_one(Credit, newer.credit_id))
    assert 3 == len(running.peppers().held)


def test_a_pepper_that_no_code_needs_is_dropped(running: Context, shop: Shop, leima: Callable[..., Result]) -> None:
    give_group(running, shop, 1)
    leima("codes", "rotate-pepper")
    with running.sessions.begin() as session:
        closed_at = clock.now() - credit_codes.REST - timedelta(days=1)
        session.execute(update(Credit).values(status=CreditStatus.USED, closed_at=closed_at))
    assert "1 kept, because codes need them; 1 dropped" in leima("codes", "rotate-pepper").output  # it rests still
    credit_codes.free_rested(running)

    assert "0 kept, because codes need them; 2 dropped" in leima("codes", "rotate-pepper").output
    assert 1 == len(running.peppers().held)


def test_new_codes_keep_away_from_those_of_older_peppers(
    running: Context, shop: Shop, leima: Callable[..., Result]
) -> None:
    give_group(running, shop, 1, draw_one=drawn(["4821357"]))
    leima("codes", "rotate-pepper")
    close = sorted(near("4821357"))[:5]

    made = give_group(running, shop, 1, draw_one=drawn(["4821357", *close, "7777777"]))
    assert "7777777" == made[0].code


def test_with_peppers_in_the_settings_the_command_says_what_to_set(
    running: Context, leima: Callable[..., Result]
) -> None:
    told = leima("codes", "rotate-pepper", LEIMA_CODE_PEPPERS="p" * 40).output

    assert "in two steps" in told
    assert "p" * 40 not in told
    assert told.index("at the end") < told.index("to the front")


def test_a_process_that_keyed_with_the_older_pepper_is_understood_after_step_one(
    running: Context, shop: Shop, own_settings: Settings
) -> None:
    def process(peppers: str) -> Context:
        settings = own_settings.model_copy(update={"code_peppers": SecretStr(peppers)})
        return replace(running, settings=settings, peppers=PepperStore(settings))

    old, new = "o" * 40, "n" * 40
    before, step_one, step_two = process(old), process(f"{old},{new}"), process(f"{new},{old}")
    codes = [give_group(each, shop, 1)[0].code for each in (before, step_one, step_two)]

    assert [True] * 6 == [works(each, shop, code) for each in (step_one, step_two) for code in codes]


def test_status_tells_odds_digits_and_lost_peppers(running: Context, shop: Shop, leima: Callable[..., Result]) -> None:
    give_group(running, shop, 101)
    told = leima("codes", "status").output
    assert "kulma\t101 active\t100 guesses hit one with 0.101%\ttills ask the phone's last 4 digits" in told
    assert "From 101 active codes on" in told
    assert "101 codes\theld, newest" in told

    PepperStore(running.settings).path.unlink()
    assert "MISSING" in leima("codes", "status").output
    assert [0, 101] == [use.codes for use in pepper_rotation.status(running).peppers]
