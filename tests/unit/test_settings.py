"""Settings: early and clear about what is missing or wrong."""

from pathlib import Path

import pytest

from app.settings import SettingsError, load, markdown_table

SECRET = "x" * 40
GOOD = {"LEIMA_SECRET_KEY": SECRET, "LEIMA_PUBLIC_URL": "https://leima.example/"}


def test_production_needs_a_secret_and_a_public_address():
    with pytest.raises(SettingsError) as error:
        load({})
    assert "LEIMA_SECRET_KEY is missing" in str(error.value)
    assert "LEIMA_PUBLIC_URL is missing" in str(error.value)


def test_a_demo_needs_nothing():
    assert "demo" == load({}, env="demo").env


def test_the_public_address_has_no_slash_at_its_end():
    assert "https://leima.example" == load(GOOD).base_url


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("LEIMA_SECRET_KEY", "short", "at least 32 characters"),
        ("LEIMA_PUBLIC_URL", "http://leima.example", "must start with https://"),
        ("LEIMA_PUBLIC_URL", "leima.example", "must start with https://"),
        ("LEIMA_PORT", "eighty", "LEIMA_PORT"),
        ("LEIMA_PORT", "70000", "LEIMA_PORT"),
        ("LEIMA_DATABASE_URL", "mysql://x", "must start with postgresql://"),
        ("LEIMA_REDIS_URL", "memcached://x", "must start with redis://"),
        ("LEIMA_DEFAULT_COUNTRY", "Finland", "two-letter country code"),
        ("LEIMA_CARD_LINK", "pigeon", "LEIMA_CARD_LINK"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_do(name: str, value: str, hint: str):
    with pytest.raises(SettingsError) as error:
        load(GOOD | {name: value})
    assert hint in str(error.value)


def test_problems_between_settings_are_told_with_those_of_each():
    with pytest.raises(SettingsError) as error:
        load({"LEIMA_PORT": "eighty", "LEIMA_SECRET_KEY": "short", "LEIMA_PUBLIC_URL": "leima.example"})
    told = [line.split(" ")[0].rstrip(":") for line in str(error.value).splitlines()]
    assert ["LEIMA_PORT", "LEIMA_PUBLIC_URL", "LEIMA_SECRET_KEY"] == sorted(told)


def test_a_demo_shows_the_card_link_on_the_page_unless_told_otherwise():
    assert ("page", "sms") == (load({}, env="demo").card_link, load(GOOD).card_link)
    assert "sms" == load({"LEIMA_ENV": "demo", "LEIMA_CARD_LINK": "sms"}).card_link


def test_a_secret_is_read_from_a_file(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    settings = load({"LEIMA_SECRET_KEY_FILE": str(file), "LEIMA_PUBLIC_URL": "https://leima.example"})
    assert SECRET == settings.secret_key.get_secret_value()


def test_a_file_that_cannot_be_read_is_told():
    with pytest.raises(SettingsError, match=r"LEIMA_SECRET_KEY_FILE: cannot read /nowhere"):
        load({"LEIMA_SECRET_KEY_FILE": "/nowhere", "LEIMA_PUBLIC_URL": "https://leima.example"})


def test_a_value_and_a_file_for_it_are_one_too_many(tmp_path: Path):
    with pytest.raises(SettingsError, match="are both set"):
        load(GOOD | {"LEIMA_SECRET_KEY_FILE": str(tmp_path / "secret")})


def test_secrets_do_not_show_when_settings_are_printed():
    assert SECRET not in repr(load(GOOD))


def test_the_readme_has_the_table_of_all_settings():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert markdown_table() in readme
