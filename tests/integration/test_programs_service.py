"""What an owner types is checked field by field, and saved whole or not at all."""

from dataclasses import replace
from datetime import date
from io import BytesIO
from itertools import pairwise

import pytest
from PIL import Image
from sqlalchemy import func, select

from app.db.ledger import AuditEntry
from app.db.people import Role
from app.db.programs import Picture
from app.services import card_preview, member_search, overview, programs, staff, till
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import calendar_day, draft_program, minor_units, read_program
from tests.factories import PASSWORD, PROGRAM_FORM, Shop, open_shop

OWNER = {"name": "Alice", "login": "alice", "password": PASSWORD, "role": "owner", "language": "fi"}


def picture(mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (60, 30)) -> bytes:
    file = BytesIO()
    Image.new(mode, size, "white" if mode != "CMYK" else (0, 200, 200, 0)).save(file, kind)
    return file.getvalue()


def wrong_fields(**typed: str) -> dict[str, str]:
    with pytest.raises(InvalidForm) as caught:
        read_program(PROGRAM_FORM | typed)
    return {field: refusal.kind for field, refusal in caught.value.errors.items()}


@pytest.mark.parametrize(
    ("field", "typed", "kind"),
    [
        ("name", "", "required"),
        ("name", " \u202e\x00 ", "required"),
        ("name", "x" * 61, "too-long"),
        ("organization_name", "   ", "required"),
        ("welcome_text", "x" * 301, "too-long"),
        ("terms_text", "x" * 4001, "too-long"),
        ("contact_text", "x" * 501, "too-long"),
        ("language", "tlh", "unknown-choice"),
        ("time_zone", "Europe/Atlantis", "unknown-choice"),
        ("time_zone", "../../etc/passwd", "unknown-choice"),
        ("country", "XX", "unknown-choice"),
        ("currency", "EURO", "unknown-choice"),
        ("theme", "neon", "unknown-choice"),
        ("brand_color", "", "invalid-color"),
        ("brand_color", "#12345G", "invalid-color"),
        ("brand_color", "cmyk(10, 20, 30)", "invalid-color"),
        ("brand_color", "cmyk(10, 20, 30, 140)", "invalid-color"),
        ("brand_color", "rgb(1, 2, 256)", "invalid-color"),
        ("brand_color", "greenish", "invalid-color"),
        ("website", "not a website", "invalid-website"),
        ("website", "javascript://x.y/%0aalert(1)", "invalid-website"),
        ("website", "http://[::", "invalid-website"),
        ("website", "https://a.example/" + "x" * 200, "invalid-website"),
        ("stamps_needed", "", "invalid-number"),
        ("stamps_needed", "0", "invalid-number"),
        ("stamps_needed", "31", "invalid-number"),
        ("stamps_needed", "ten", "invalid-number"),
        ("stamps_needed", "9" * 400, "invalid-number"),
        ("stamps_needed", "00000000010", "invalid-number"),
        ("stamp_valid_days", "-1", "invalid-number"),
        ("stamp_valid_days", "3651", "invalid-number"),
        ("reward_valid_days", "1.5", "invalid-number"),
        ("reward_name", "", "required"),
        ("join_stamps", "10", "join-stamps-fill-card"),
        ("join_stamps", "30", "invalid-number"),
        ("smallest_purchase", "3.505", "invalid-amount"),
        ("smallest_purchase", "1,000", "invalid-amount"),
        ("smallest_purchase", "-3", "invalid-amount"),
        ("smallest_purchase", "3,50 €", "invalid-amount"),
        ("smallest_purchase", "9999999999", "invalid-amount"),
        ("smallest_purchase", "9" * 40, "invalid-amount"),
        ("starts_on", "31.1.2027", "invalid-date"),
        ("starts_on", "2027-02-30", "invalid-date"),
        ("pass_type_identifier", "com.example", "invalid-pass-type"),
    ],
)
def test_what_cannot_be_right_is_said_at_its_own_field(field: str, typed: str, kind: str) -> None:
    assert {field: kind} == wrong_fields(**{field: typed})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = wrong_fields(name="", brand_color="#12", stamps_needed="x", currency="?", smallest_purchase="?")
    assert {"name", "brand_color", "stamps_needed", "currency"} == wrong.keys()


def test_numbers_days_and_amounts_may_be_in_persian_digits() -> None:
    values = read_program(
        PROGRAM_FORM
        | {"stamps_needed": "۱۲", "smallest_purchase": "۳٫۵۰", "stamp_valid_days": "۳۶۵", "starts_on": "۲۰۲۷-۰۱-۳۱"}
    )
    assert 12 == values["stamps_needed"]
    assert 350 == values["smallest_purchase_minor"]
    assert 365 == values["stamp_valid_days"]
    assert "2027-01-31" == str(values["starts_on"])


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [
        ("3,50", "EUR", 350),
        ("3.5", "EUR", 350),
        ("3.", "EUR", 300),
        ("1 234,50", "EUR", 123450),
        ("۳٫۵۰", "EUR", 350),
        ("۵۰٬۰۰۰", "JPY", 50000),
        ("350", "JPY", 350),
        ("1.234", "KWD", 1234),
        ("0", "EUR", 0),
    ],
)
def test_an_amount_is_read_in_the_currency_s_own_minor_units(typed: str, currency: str, minor: int) -> None:
    assert minor == minor_units(typed, currency)


@pytest.mark.parametrize(
    ("typed", "currency"), [("3,50", "JPY"), ("1,000", "JPY"), ("1.2345", "KWD"), ("1.2.3", "EUR")]
)
def test_an_amount_finer_than_the_currency_is_refused(typed: str, currency: str) -> None:
    with pytest.raises(Refused):
        minor_units(typed, currency)


def test_control_characters_never_reach_the_database(shop: Shop) -> None:
    saved = shop.change_program(
        name="Kulma\x00\x07 Club", terms_text="One\x00 stamp.\r\n\r\nTen\x0b stamps.", website="kulma.example\x00"
    )
    assert "Kulma Club" == " ".join(saved.name.split())
    assert "One  stamp.\n\nTen\n stamps." == saved.terms_text.replace("stamp.  ", "stamp.")
    assert "https://kulma.example" == saved.website


def test_names_keep_emoji_and_every_script(shop: Shop) -> None:
    name = "کافه‌ی کُنج ☕ 👩‍🍳 Кафе"
    assert name == shop.change_program(name=name).name


def test_the_form_shows_again_what_was_saved(shop: Shop) -> None:
    typed = PROGRAM_FORM | {
        "smallest_purchase": "3.50",
        "stamp_valid_days": "90",
        "starts_on": "2027-01-31",
        "brand_color": "cmyk(88, 0, 16, 64)",
        "theme": "light",
    }
    saved = programs.update(shop.ctx, shop.owner, typed)
    assert typed == {name: programs.as_typed(saved)[name] for name in typed}


def test_a_short_name_fits_an_address_and_belongs_to_one_programme(shop: Shop) -> None:
    for slug in ("", "-x", "Kulma", "kulma club", "x" * 41, "kulma/..", "кулма", "kulma\n"):
        with pytest.raises(InvalidForm) as invalid:
            programs.create(shop.ctx, slug, PROGRAM_FORM)
        assert ["slug"] == list(invalid.value.errors)
    with pytest.raises(Refused) as taken:
        programs.create(shop.ctx, "kulma", PROGRAM_FORM)
    assert "slug-taken" == taken.value.kind


def test_a_programme_and_its_owner_are_made_together_or_not_at_all(ctx: Context) -> None:
    for owner in (OWNER | {"password": "short"}, OWNER | {"login": "has spaces"}):
        with pytest.raises(InvalidForm) as invalid:
            programs.create(ctx, "kulma", PROGRAM_FORM | {"name": ""}, owner)
        assert {"name"} < invalid.value.errors.keys()
        assert [] == programs.every(ctx)
    made = programs.create(ctx, "kulma", PROGRAM_FORM, OWNER)
    assert [("alice", Role.OWNER)] == [(person.login, person.role) for person in staff.every(ctx, made.id)]
    with pytest.raises(InvalidForm) as invalid:
        programs.create(ctx, "other", PROGRAM_FORM, OWNER)
    assert ["owner_login"] == list(invalid.value.errors)
    assert ["kulma"] == [program.slug for program in programs.every(ctx)]


@pytest.mark.parametrize("upload", [b"not a picture", b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_a_file_that_is_no_picture_is_refused_and_nothing_is_saved(shop: Shop, upload: bytes) -> None:
    with pytest.raises(InvalidForm) as invalid:
        programs.update(shop.ctx, shop.owner, PROGRAM_FORM | {"name": "Changed"}, logo=upload or b"\0")
    assert ["logo"] == list(invalid.value.errors)
    assert shop.program == replace(programs.get(shop.ctx, shop.program.id), version=shop.program.version)


def test_a_picture_bomb_is_refused_by_its_header(shop: Shop) -> None:
    bomb = picture("1", size=(20000, 20000))
    assert len(bomb) < 1_000_000
    with pytest.raises(InvalidForm) as invalid:
        programs.update(shop.ctx, shop.owner, PROGRAM_FORM, logo=bomb)
    assert ["logo"] == list(invalid.value.errors)


def test_a_good_logo_is_not_kept_when_another_field_is_wrong(shop: Shop) -> None:
    with pytest.raises(InvalidForm):
        programs.update(shop.ctx, shop.owner, PROGRAM_FORM | {"stamps_needed": "0"}, logo=picture())
    with shop.ctx.sessions() as session:
        assert 0 == session.scalar(select(func.count()).select_from(Picture))


def test_a_cmyk_jpeg_becomes_a_png_and_can_be_removed_again(shop: Shop) -> None:
    saved = programs.update(shop.ctx, shop.owner, PROGRAM_FORM, logo=picture("CMYK", "JPEG"))
    assert saved.logo_id is not None
    with Image.open(BytesIO(programs.picture(shop.ctx, saved.logo_id))) as kept:
        assert ("PNG", "RGBA") == (kept.format, kept.mode)
    assert saved.logo_id == programs.update(shop.ctx, shop.owner, PROGRAM_FORM).logo_id
    assert programs.update(shop.ctx, shop.owner, PROGRAM_FORM, remove_logo=True).logo_id is None


def test_saving_the_same_twice_is_saving_it_once(shop: Shop) -> None:
    first = shop.change_program(name="Kulma Stamps")
    assert first == shop.change_program(name="Kulma Stamps")
    with shop.ctx.sessions() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == "program.changed")).all()
    assert [{"fields": ["name"]}] == [row.details for row in rows]


def test_a_location_has_both_coordinates_or_neither(shop: Shop) -> None:
    form = {"name": "Torni", "latitude": "۶۰٫۱۶۷", "longitude": "24,9384"}
    made = programs.save_location(shop.ctx, shop.owner, form)
    assert (60.167, 24.9384) == (made.latitude, made.longitude)
    for wrong, fields in (
        ({"latitude": "60"}, ["longitude"]),
        ({"longitude": "24"}, ["latitude"]),
        ({"latitude": "91", "longitude": "24"}, ["latitude"]),
        ({"latitude": "60", "longitude": "-180.1"}, ["longitude"]),
        ({"latitude": "60°10′", "longitude": "x"}, ["latitude", "longitude"]),
        ({"name": "", "latitude": "60"}, ["name", "longitude"]),
        ({"address": "x" * 201}, ["address"]),
    ):
        with pytest.raises(InvalidForm) as invalid:
            programs.save_location(shop.ctx, shop.owner, {"name": "New"} | wrong)
        assert fields == list(invalid.value.errors)


def test_a_double_click_adds_one_location_and_another_with_its_name_is_refused(shop: Shop) -> None:
    form = {"name": "Torni", "address": "Yrjönkatu 26"}
    assert programs.save_location(shop.ctx, shop.owner, form) == programs.save_location(shop.ctx, shop.owner, form)
    assert 2 == len(programs.locations(shop.ctx, shop.program.id))
    with pytest.raises(InvalidForm) as invalid:
        programs.save_location(shop.ctx, shop.owner, form | {"address": "Elsewhere"})
    assert ["name"] == list(invalid.value.errors)


def test_another_programme_s_location_cannot_be_seen_or_changed(shop: Shop) -> None:
    other = open_shop(shop.ctx, "torni")
    for attempt in (
        lambda: programs.location(shop.ctx, shop.owner, other.location.id),
        lambda: programs.save_location(shop.ctx, shop.owner, {"name": "Mine now"}, other.location.id),
    ):
        with pytest.raises(Refused) as refused:
            attempt()
        assert 404 == refused.value.status


def test_the_picture_of_a_card_keeps_the_last_right_value_of_each_field(shop: Shop) -> None:
    typed = PROGRAM_FORM | {"name": "New Name", "brand_color": "cmyk(", "stamps_needed": "99", "welcome_text": ""}
    shown = card_preview.draft(shop.ctx, shop.owner, typed)
    assert "New Name" == shown.program.name
    assert "#0b5d4e" == shown.background.hex
    assert (9, 10) == (shown.card.stamps.have, shown.card.stamps.needed)
    assert "" == shown.program.welcome_text
    assert "Kulma Club" == programs.get(shop.ctx, shop.program.id).name
    assert "smallest_purchase_minor" not in draft_program(PROGRAM_FORM | {"smallest_purchase": "?"})


@pytest.mark.parametrize(("state", "have", "rewards"), [("new", 2, 0), ("nearly", 9, 0), ("reward", 0, 1)])
def test_the_picture_shows_new_nearly_full_and_rewarded_cards(shop: Shop, state: str, have: int, rewards: int) -> None:
    shown = card_preview.draft(shop.ctx, shop.owner, PROGRAM_FORM | {"join_stamps": "2"}, state)
    assert (have, rewards) == (shown.card.stamps.have, len(shown.card.auxiliary))


def test_only_stamps_that_are_pale_on_a_white_card_are_warned_about(shop: Shop) -> None:
    def warned(theme: str, color: str) -> bool:
        shown = card_preview.draft(shop.ctx, shop.owner, PROGRAM_FORM | {"theme": theme, "brand_color": color})
        return shown.pale is not None

    assert [True, False, False] == [warned("light", "#ffdd33"), warned("dark", "#ffdd33"), warned("light", "#0b5d4e")]


def test_the_overview_counts_what_stands_and_not_what_was_undone(shop: Shop) -> None:
    first, second = shop.member(1, via="poster"), shop.member(2)
    till.give_stamps(shop.ctx, shop.cashier, first.card_code, count=12)
    slip, _ = till.give_stamps(shop.ctx, shop.cashier, second.card_code, count=3)
    till.undo(shop.ctx, shop.cashier, slip["entry_id"])  # type: ignore[arg-type]
    seen = overview.numbers(shop.ctx, shop.owner)
    assert (2, 2, 2) == (seen.members, seen.joined_week, seen.joined_month)
    assert (12, 1, 0) == (seen.stamps_week, seen.rewards_open, seen.rewards_redeemed)
    assert [("", 1), ("poster", 1)] == seen.channels
    assert 1 == overview.with_stamps(shop.ctx, shop.program)


def test_the_set_up_list_ticks_what_is_done(ctx: Context, pass_identity: object) -> None:
    made = programs.create(ctx, "new", PROGRAM_FORM | {"terms_text": "", "pass_type_identifier": "pass.none.here"})
    fresh = overview.set_up(ctx, Actor(made.id))
    assert (False, False, False, False, False) == (
        fresh.texts,
        fresh.logo,
        fresh.locations,
        fresh.cashiers,
        fresh.members,
    )
    assert fresh.certificate.days_left is None
    shop = open_shop(ctx, "done")
    shop.member()
    done = overview.set_up(ctx, shop.owner)
    assert (True, True, True, True) == (done.texts, done.locations, done.cashiers, done.members)
    assert done.certificate.development
    assert not done.certificate.ready


def test_members_are_found_page_by_page_each_once(shop: Shop) -> None:
    expected = [shop.member(number, name=f"Guest {number}").id for number in range(7)][::-1]
    seen, after, pages = [], None, 0
    while pages == 0 or after is not None:
        found, after = member_search.search(shop.ctx, shop.owner, after=after, limit=3)
        seen += [member.id for member in found]
        pages += 1
    assert (expected, 3) == (seen, pages)
    assert all(a != b for a, b in pairwise(seen))


@pytest.mark.parametrize("typed", ["aino", "VIRTA", "040 123 0007", "+358401230007", "۰۴۰۱۲۳۰۰۰۷", "0007"])
def test_a_member_is_found_by_a_part_of_name_or_number(shop: Shop, typed: str) -> None:
    wanted = shop.member(7, name="Aino Virtanen")
    shop.member(8, name="Bob")
    assert [wanted.id] == [member.id for member in member_search.search(shop.ctx, shop.owner, typed)[0]]


def test_who_may_not_see_numbers_cannot_search_for_them_either(shop: Shop) -> None:
    shop.member(7, name="Aino")
    found, _ = member_search.search(shop.ctx, shop.actor(Role.MARKETER), "040123000", by_number=False)
    assert [] == found
    assert [] == member_search.search(shop.ctx, shop.owner, "%")[0]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("2026-11-22", date(2026, 11, 22)), ("1405-09-01", date(2026, 11, 22)), ("1405/9/1", date(2026, 11, 22))],
    ids=["Gregorian", "Jalali", "Jalali with slashes"],
)
def test_days_are_read_in_both_calendars(typed: str, meant: date) -> None:
    assert meant == calendar_day(typed)


@pytest.mark.parametrize("typed", ["2026-02-30", "1405-13-01", "tomorrow", "22.11.2026"])
def test_a_day_that_is_in_no_calendar_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        calendar_day(typed)
