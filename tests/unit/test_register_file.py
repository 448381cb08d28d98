"""Reading an old register: whatever spreadsheets save, and whatever people write into cells."""

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services import register_columns, register_file
from app.services.errors import Refused
from app.services.old_cards import normal
from app.services.register_people import Person, RowReader, day_in, unspoilt

TODAY = date(2027, 3, 1)
COLUMNS = {name: place for place, name in enumerate(register_columns.FIELDS)}


def person(country: str = "FI", **cells: str) -> tuple[Person | None, list[tuple[str, str]]]:
    reader = RowReader(COLUMNS, country, TODAY)
    found, faults = reader.read([({"phone": "+358 40 1231000"} | cells).get(name, "") for name in COLUMNS])
    return found, [(fault.field, fault.kind) for fault in faults]


def right(country: str = "FI", **cells: str) -> Person:
    found, faults = person(country, **cells)
    assert [] == faults
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("Nimi;Puhelin\nPäivi;0401231000\n".encode(), "utf-8"),
        ("Nimi;Puhelin\nPäivi;0401231000\n".encode("utf-8-sig"), "utf-8"),
        ("Nimi;Puhelin\nPäivi;0401231000\n".encode("utf-16"), "utf-16"),
        ("Nimi;Puhelin\nPäivi;0401231000\n".encode("utf-16-le"), "utf-16-le"),
        ("Nimi;Puhelin\nPäivi;0401231000\n".encode("utf-16-be"), "utf-16-be"),
        ("Nimi;Puhelin\nPäivi;0401231000\n".encode("cp1252"), "cp1252"),
        ("sep=;\r\nNimi;Puhelin\r\nPäivi;0401231000".encode("cp1252"), "cp1252"),
        ("Nimi,Puhelin\rPäivi,0401231000\r".encode(), "utf-8"),
        ('"Nimi"\t"Puhelin"\n\n"Päivi"\t"0401231000"\n'.encode(), "utf-8"),
        ("Nimi|Puhelin\nPä\0ivi|0401231000\n\n\n".encode(), "utf-8"),
    ],
)
def test_a_register_is_read_however_it_was_saved(data: bytes, encoding: str) -> None:
    file = register_file.read(data, "fi")
    rows = [row for row, _ in register_file.records(file.content, file.start, file.delimiter) if row]
    assert (encoding, ["Nimi", "Puhelin"], [["Päivi", "0401231000"]]) == (file.encoding, file.headings, rows)


@pytest.mark.parametrize(
    ("text", "language", "encoding"),
    [
        ("Имя;Телефон\nБорис;89161234567\n", "ru", "cp1251"),
        ("نام;موبايل\nرضا;09121234567\n", "fa", "cp1256"),
        ("Имя;Телефон\nБорис;89161234567\n", "fi", "cp1251"),
    ],
)
def test_the_old_code_pages_are_told_apart(text: str, language: str, encoding: str) -> None:
    file = register_file.read(text.encode(encoding), language)
    assert (encoding, text.split("\n")[0].split(";")) == (file.encoding, file.headings)


def test_somebody_may_say_which_code_page_it_is() -> None:
    assert ["Имя"] == register_file.read("Имя\nБорис\n".encode("cp1251"), "en", "cp1251").headings


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "look like a table"),
        (b"\n \n", "look like a table"),
        (b"phone\n", "nobody"),
        (b"phone\n,,\n\n", "nobody"),
        (b"PK\x03\x04rest", "CSV"),
        (b'phone,name\n0401231000,"Anna\n0401231001,Bo\n', "quotation marks"),
        (b"phone\n" + b"1\n" * 200_001, "200000 rows"),
        (b"a" * 20_000_001, "20 MB"),
        (b"a," * 300, "look like a table"),
    ],
)
def test_what_is_no_register_is_refused_with_advice(data: bytes, words: str) -> None:
    with pytest.raises(Refused) as refused:
        register_file.read(data, "en")
    assert words in str(refused.value)


def test_rows_are_numbered_as_in_a_spreadsheet() -> None:
    assert 2 == register_file.read(b"phone\n1\n", "en").first_row
    assert 4 == register_file.read(b"sep=,\n\nphone\n1\n", "en").first_row
    assert 1 == register_file.read(b"0401231000\n", "en").first_row


@given(
    st.lists(st.lists(st.text(max_size=12), min_size=2, max_size=4), min_size=1, max_size=8), st.sampled_from(",;\t|")
)
def test_every_record_is_found_again_from_the_byte_where_it_begins(table: list[list[str]], delimiter: str) -> None:
    plain = [[cell.replace("\r", "").replace("\0", "") for cell in row] for row in table]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(plain)
    content = written.getvalue().encode("utf-8", "surrogatepass")
    try:
        content.decode()
    except UnicodeDecodeError:
        return
    start, found = 0, []
    while start < len(content):
        record, start = next(register_file.records(content, start, delimiter))
        found.append(record)
    assert plain == found


@given(st.binary(max_size=300), st.sampled_from(["en", "fa"]))
def test_any_bytes_are_a_table_or_refused(data: bytes, language: str) -> None:
    try:
        file = register_file.read(data, language)
    except Refused:
        return
    assert b"\0" not in file.content
    rows = list(register_file.records(file.content, file.start, file.delimiter))
    assert 0 < file.rows <= len(rows)


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("Phone number", "phone"),
        ("PUHELIN", "phone"),
        ("Телефон (моб.)", "phone"),
        ("شماره موبايل", "phone"),
        ("E-Mail", "email"),
        ("Sähköposti", "email"),
        ("Syntymäpäivä", "birth_date"),
        ("Дата рождения", "birth_date"),
        ("card_number", "old_card"),
        ("Jäsennumero", "old_card"),
        ("Leimat", "stamps"),
        ("Имя", "name"),
        ("Фамилия", "last_name"),
        ("Markkinointilupa", "consent"),
        ("Member since", "joined_on"),
        ("شهر", "city"),
    ],
)
def test_headings_are_known_in_four_languages(heading: str, field: str) -> None:
    assert {field: 1} == register_columns.guessed(["Nothing that is known", heading])


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("Lunch", "stamps:1"),
        ("LUNCH stamps", "stamps:1"),
        ("Stamps (lunch)", "stamps:1"),
        ("Leimat: Lunch", "stamps:1"),
        ("Coffee", "stamps"),
        ("City", "city"),
        ("Lunch address", None),
    ],
)
def test_a_column_may_be_named_like_a_stamp_card(heading: str, field: str | None) -> None:
    cards = {"stamps": "Coffee", "stamps:1": "Lunch", "stamps:2": "City", "stamps:3": "☕"}
    assert ({field: 0} if field else {}) == register_columns.guessed([heading], cards)


def test_columns_beyond_z_have_two_letters() -> None:
    assert ["A", "Z", "AA", "AZ", "BA"] == [register_file.column_letter(place) for place in (0, 25, 26, 51, 52)]


@pytest.mark.parametrize(
    ("country", "typed", "phone"),
    [
        ("FI", "401231000", "+358401231000"),
        ("FI", "358401231000", "+358401231000"),
        ("FI", "3.58401231000E+11", "+358401231000"),
        ("FI", "401231000.0", "+358401231000"),
        ("FI", '="0401231000"', "+358401231000"),
        ("FI", "'040 1231000", "+358401231000"),
        ("FI", "46701740605", "+46701740605"),
        ("IR", "۹۱۲۳۴۵۶۷۸۹", "+989123456789"),
        ("RU", "8 (916) 123-45-67", "+79161234567"),
    ],
)
def test_numbers_are_read_as_spreadsheets_leave_them(country: str, typed: str, phone: str) -> None:
    assert phone == right(country, phone=typed).phone


def test_a_number_whose_digits_are_lost_is_told_apart_from_a_wrong_one() -> None:
    assert (None, [("phone", "spreadsheet-number")]) == person(phone="4,0123E+08")
    assert (None, [("phone", "invalid-phone")]) == person(phone="040123")
    assert [("old_card", "spreadsheet-number")] == person(old_card="6,33E+15")[1]


@pytest.mark.parametrize(
    ("country", "typed", "day"),
    [
        ("FI", "31.1.1980", date(1980, 1, 31)),
        ("FI", "1980-01-31", date(1980, 1, 31)),
        ("FI", "1980-01-31 00:00:00", date(1980, 1, 31)),
        ("FI", "3/1/1980", date(1980, 1, 3)),
        ("US", "3/1/1980", date(1980, 3, 1)),
        ("US", "31/1/1980", date(1980, 1, 31)),
        ("US", "3.1.1980", date(1980, 1, 3)),
        ("RU", "31.01.1980", date(1980, 1, 31)),
        ("IR", "۱۳۵۸/۱۱/۱۱", date(1980, 1, 31)),
        ("FI", "19800131", date(1980, 1, 31)),
        ("FI", "31.13.1980", None),
        ("FI", "tomorrow", None),
        ("FI", "29.2.1981", None),
    ],
)
def test_days_are_read_in_the_orders_that_people_write(country: str, typed: str, day: date | None) -> None:
    found, faults = person(country, birth_date=typed)
    assert found is not None
    assert (day, [] if day else [("birth_date", "invalid-date")]) == (found.birth_date, faults)


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("31.1.80", "short-year"),
        ("80-01-31", "short-year"),
        ("32874", "day-number"),
        ("31.1.2080", "day-out-of-range"),
        ("31.1.1880", "day-out-of-range"),
    ],
)
def test_days_that_may_mean_another_are_refused(typed: str, kind: str) -> None:
    found, faults = person(birth_date=typed)
    assert found is not None
    assert (None, [("birth_date", kind)]) == (found.birth_date, faults)


def test_a_whole_person_is_read() -> None:
    found = right(
        name=" Anna ",
        last_name="Virtanen",
        email="anna@example.com",
        city="Turku",
        language="fi-FI",
        stamps="۷",
        old_card="%B12 34^ANNA^?",
        consent="Kyllä",
        joined_on="1.2.2020",
    )
    assert (
        Person(
            "+358401231000", "Anna Virtanen", "anna@example.com", None, "Turku", "fi", 7, "1234", True, date(2020, 2, 1)
        )
        == found
    )


@pytest.mark.parametrize(
    ("cells", "fault", "joins"),
    [
        ({"stamps": "-1"}, ("stamps", "invalid-number"), False),
        ({"stamps": "2,5"}, ("stamps", "invalid-number"), False),
        ({"stamps": "1001"}, ("stamps", "invalid-number"), False),
        ({"email": "anna"}, ("email", "invalid-email"), True),
        ({"language": "Klingon"}, ("language", "unknown-language"), True),
        ({"consent": "maybe"}, ("consent", "unclear-consent"), True),
        ({"old_card": "none"}, ("old_card", "invalid-old-card"), True),
    ],
)
def test_only_a_wrong_phone_or_balance_leaves_a_person_out(
    cells: dict[str, str], fault: tuple[str, str], joins: bool
) -> None:
    found, faults = person(**cells)
    assert ([fault], joins) == (faults, found is not None)


def test_a_formula_is_a_name_like_any_other() -> None:
    assert '=HYPERLINK("https://evil.example")' == right(name='=HYPERLINK("https://evil.example")').name


@given(st.text(max_size=60), st.sampled_from(sorted(COLUMNS)), st.sampled_from(["FI", "US", "IR", "RU"]))
def test_any_cell_is_read_or_refused(cell: str, field: str, country: str) -> None:
    found, faults = person(country, **{field: cell})
    assert (found is None) == any(name in ("phone", "stamps") for name, _ in faults)


@given(st.text(max_size=60))
def test_reading_what_was_read_changes_nothing(text: str) -> None:
    unspoilt(text)
    day_in(text, "US")
    assert normal(text) == normal(normal(text))
