"""An owner's data: all of them come out, in open formats, and the same installation comes of them elsewhere."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text, update

from app.db import migrate, tables
from app.db.campaigns import CampaignRecipient, LinkClick
from app.db.delivery import OutboxRow, OutboxState
from app.db.engine import make_engine, make_sessions
from app.db.ledger import AuditEntry, LedgerEntry
from app.db.people import Member, Staff
from app.db.programs import Program
from app.services import doctoring, exporting, loading, members, sms_sending, staff, till
from app.services.archive import ArchiveError, Entry, opened, packed
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.export_policy import POLICIES, exported
from tests.factories import Shop
from tests.integration import filled_tables
from tests.integration.credit_shop import grant
from tests.integration.databases import another_database


@pytest.fixture
def elsewhere(ctx: Context) -> Iterator[Context]:
    """Another installation with the same secret, whose database is empty."""
    with another_database(ctx, "elsewhere") as url:
        engine = make_engine(url)
        yield replace(ctx, engine=engine, sessions=make_sessions(engine))
        engine.dispose()


def filled(ctx: Context, slug: str = "filled") -> filled_tables.Filled:
    with ctx.engine.begin() as connection:
        return filled_tables.fill(connection, slug)


def export(ctx: Context, program_id: UUID, *, passwords: bool = False) -> bytes:
    return b"".join(exporting.stream(ctx, Actor(program_id), passwords=passwords))


def load(ctx: Context, kept: bytes) -> loading.Loaded:
    return loading.load(ctx, io.BytesIO(kept))


def rows(kept: bytes, table: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(kept)) as file:
        return list(csv.DictReader(io.StringIO(file.read(f"tables/{table}.csv").decode(), newline="")))


def contents(kept: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(kept)) as file:
        return {name: file.read(name) for name in file.namelist()}


def changed(kept: bytes, **head: object) -> bytes:
    """The same archive with another head, and tables replaced by `tables={name: content}`."""
    instead: dict[str, bytes] = head.pop("tables", {})  # type: ignore[assignment]
    archive = opened(io.BytesIO(kept), exporting.FORMAT, exporting.FORMAT_VERSION)
    entries = [
        Entry(name, [instead.get(name, archive.open(name).read())], file.rows) for name, file in archive.files.items()
    ]
    return b"".join(packed(entries, archive.head | head))


def test_every_table_has_a_policy():
    assert {table.name for table in tables.metadata.sorted_tables} == POLICIES.keys()


def test_nothing_that_goes_along_names_what_stays_behind():
    going = {table.name for table in exported()}
    named = {key.column.table.name for table in exported() for key in table.foreign_keys}
    assert set() == named - going


def test_a_table_whose_rows_name_each_other_comes_in_an_order_that_allows_it():
    own = {table.name for table in exported() for key in table.foreign_keys if key.column.table is table}
    assert {"ledger_entries"} == own
    assert ("number", "id") == POLICIES["ledger_entries"].order


def test_export_import_export_gives_the_same_bytes(ctx: Context, elsewhere: Context):
    made = filled(ctx)
    filled(ctx, "strangers")
    first = export(ctx, made.program_id, passwords=True)
    listed = json.loads(zipfile.ZipFile(io.BytesIO(first)).read("manifest.json"))["files"]
    assert [] == [file["name"] for file in listed if file.get("rows") == 0]
    load(elsewhere, first)
    second = export(elsewhere, made.program_id, passwords=True)
    assert [] == [name for name in contents(first) if contents(first)[name] != contents(second)[name]]
    assert first == second


def test_every_value_is_the_same_elsewhere(ctx: Context, elsewhere: Context):
    made = filled(ctx)
    load(elsewhere, export(ctx, made.program_id, passwords=True))
    for table in exported():
        with elsewhere.engine.connect() as connection:
            found = [dict(row) for row in connection.execute(select(table)).mappings()]
        by_key = sorted(found, key=lambda row: [str(row[column.name]) for column in table.primary_key.columns])
        kept = sorted(
            made.rows[table.name], key=lambda row: [str(row[column.name]) for column in table.primary_key.columns]
        )
        assert kept == by_key, table.name


def test_nothing_of_another_programme_goes_along(ctx: Context):
    strangers, made = filled(ctx, "strangers"), filled(ctx)
    ids = {str(row["id"]) for held in strangers.rows.values() for row in held if isinstance(row.get("id"), UUID)}
    kept = export(ctx, made.program_id)
    with zipfile.ZipFile(io.BytesIO(kept)) as file:
        everything = b"".join(file.read(name) for name in file.namelist()).decode("utf-8", "replace")
    assert set() == {known for known in ids if known in everything}


def test_values_are_in_open_formats(ctx: Context):
    kept = export(ctx, filled(ctx).program_id)
    full, sparse = rows(kept, "purchases")
    assert "2026-03-29T00:59:59.123456Z" == full["at"]
    assert filled_tables.WILD in full["receipt_no"]
    assert filled_tables.WILD == json.loads(full["lines"])["text"]
    with zipfile.ZipFile(io.BytesIO(kept)) as file:
        tail = file.read("tables/purchases.csv").decode().splitlines()[-1]
    assert '",,,,,,,' in tail  # NULL is nothing, where an empty text would be ""
    assert "" == sparse["amount_minor"]
    assert ["true", "false"] == [row["granted"] for row in rows(kept, "consents")]


def test_an_installed_shop_goes_on_elsewhere(ctx: Context, shop: Shop, elsewhere: Context):
    alice = shop.member(1, name="Alice")
    till.give_stamps(ctx, shop.cashier, alice.card_code, count=3)
    grant(shop, alice)
    done = load(elsewhere, export(ctx, shop.program.id, passwords=True))
    assert (shop.program.slug, True, True) == (done.slug, done.same_secret, done.passwords)
    assert [] == doctoring.differences(elsewhere) + doctoring.credit_differences(elsewhere)
    assert alice.id == members.by_link(elsewhere, members.card_token(ctx, alice)).id
    till.give_stamps(elsewhere, shop.cashier, alice.card_code)
    assert 4 == members.by_id(elsewhere, shop.cashier, alice.id).stamps
    with elsewhere.sessions() as session:
        numbers = session.scalars(select(LedgerEntry.number).order_by(LedgerEntry.number)).all()
    assert len(numbers) == len(set(numbers))


def test_what_was_on_its_way_waits_for_somebodys_word(ctx: Context, shop: Shop, elsewhere: Context):
    alice = shop.member(1)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, shop.program.id)
        sms_sending.queue(session, program, alice.phone, language="en", text="Hello", member_id=alice.id)
    done = load(elsewhere, export(ctx, shop.program.id))
    with elsewhere.sessions() as session:
        states = session.scalars(select(OutboxRow.state)).all()
    assert done.held > 0
    assert [OutboxState.DEAD] * done.held == list(states)


def test_passwords_stay_unless_asked_for(ctx: Context, shop: Shop, elsewhere: Context):
    kept = export(ctx, shop.program.id)
    assert {""} == {row["password_hash"] for row in rows(kept, "staff")}
    assert not load(elsewhere, kept).passwords
    with pytest.raises(Refused):
        staff.sign_in(elsewhere, "alice", "", "192.0.2.1")


def test_no_secret_is_in_an_export(ctx: Context, shop: Shop):
    grant(shop, shop.member(1))
    with zipfile.ZipFile(io.BytesIO(export(ctx, shop.program.id))) as file:
        everything = b"".join(file.read(name) for name in file.namelist())
    secrets = [ctx.settings.secret, *(pepper.key for pepper in ctx.peppers().held), shop.api_key.encode()]
    assert [] == [secret for secret in secrets if secret in everything]


def test_another_secret_is_noticed(ctx: Context, shop: Shop, elsewhere: Context):
    other = elsewhere.settings.model_copy(update={"secret_key": type(elsewhere.settings.secret_key)("x" * 40)})
    done = load(replace(elsewhere, settings=other), export(ctx, shop.program.id))
    assert not done.same_secret


def test_all_tables_are_of_one_moment(ctx: Context, shop: Shop):
    shop.member(1)
    pieces = exporting.stream(ctx, shop.owner)
    shop.member(2)
    kept = b"".join(pieces)
    assert (1, 1) == (len(rows(kept, "members")), len(rows(kept, "cards")))


def test_an_export_is_audited_and_makes_none_of_itself(ctx: Context, shop: Shop):
    kept = export(ctx, shop.program.id)
    assert [] == [row for row in rows(kept, "audit_entries") if row["action"] == "data.exported"]
    with ctx.sessions() as session:
        assert 1 == session.scalar(select(func.count()).where(AuditEntry.action == "data.exported"))


def test_one_export_of_a_programme_at_a_time(ctx: Context, shop: Shop):
    pieces = exporting.stream(ctx, shop.owner)
    with pytest.raises(Refused) as refusal:
        exporting.stream(ctx, shop.owner)
    assert "export-running" == refusal.value.kind
    pieces.close()
    assert rows(b"".join(exporting.stream(ctx, shop.owner)), "programs")


def test_who_stops_reading_leaves_nothing_behind(ctx: Context, shop: Shop):
    with ctx.engine.begin() as connection:
        many = text("INSERT INTO locations (id, program_id, name, address, active) "
                    "SELECT uuidv7(), :program, n::text || md5(n::text), md5(n::text), true "
                    "FROM generate_series(1, 30000) AS n")  # fmt: skip
        connection.execute(many, {"program": shop.program.id})
    pieces = exporting.stream(ctx, shop.owner)
    assert len(next(pieces)) > 100_000
    pieces.close()
    with ctx.engine.connect() as connection:
        begun = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE '%transaction%'"
        )
        assert 0 == connection.execute(text(f"{begun} AND pid <> pg_backend_pid()")).scalar_one()


def test_a_programme_joins_others_in_one_installation(ctx: Context, elsewhere: Context):
    made = filled(ctx)
    kept = export(ctx, made.program_id)
    migrate.upgrade(elsewhere.engine)
    with elsewhere.engine.begin() as connection:
        theirs = filled_tables.fill(connection, "theirs")
        connection.execute(update(Staff).values(login="somebody" + func.cast(Staff.id, Staff.login.type)))
    before = export(elsewhere, theirs.program_id)
    load(elsewhere, kept)
    again = exporting.stream(elsewhere, Actor(theirs.program_id))
    assert rows(before, "campaign_recipients") == rows(b"".join(again), "campaign_recipients")
    with elsewhere.sessions() as session:
        recipients = session.scalars(select(CampaignRecipient.number).filter_by(program_id=made.program_id)).all()
        mine = select(LinkClick.recipient_number).join(
            CampaignRecipient, CampaignRecipient.number == LinkClick.recipient_number
        )
        clicked = session.scalars(mine.where(CampaignRecipient.program_id == made.program_id)).all()
    assert sorted(recipients) == sorted(clicked)
    assert set() == set(recipients) & {row["number"] for row in theirs.rows["campaign_recipients"]}


def test_a_programme_that_is_here_already_is_refused(ctx: Context, shop: Shop):
    kept = export(ctx, shop.program.id)
    with pytest.raises(ArchiveError, match="a programme kulma in this installation already"):
        load(ctx, kept)


def test_a_newer_leimas_data_are_refused_with_words(ctx: Context, shop: Shop, elsewhere: Context):
    kept = changed(export(ctx, shop.program.id), revision="9999")
    with pytest.raises(ArchiveError, match="newer Leima"):
        load(elsewhere, kept)


def test_rows_of_another_programme_are_not_let_in(ctx: Context, shop: Shop, elsewhere: Context):
    """Somebody made a file that would write into the neighbours' programme."""
    migrate.upgrade(elsewhere.engine)
    with elsewhere.engine.begin() as connection:
        theirs = filled_tables.fill(connection, "theirs")
    kept = export(ctx, shop.program.id)
    lines = zipfile.ZipFile(io.BytesIO(kept)).read("tables/locations.csv").decode()
    wrong = lines.replace(str(shop.program.id), str(theirs.program_id)).encode()
    with pytest.raises(ArchiveError, match="another programme"):
        load(elsewhere, changed(kept, tables={"tables/locations.csv": wrong}))
    with elsewhere.sessions() as session:
        assert ["theirs"] == list(session.scalars(select(Program.slug)))


@pytest.mark.parametrize("table", ["outbox", "saved_answers", "pg_authid"])
def test_a_table_that_does_not_belong_into_it_is_refused(ctx: Context, shop: Shop, elsewhere: Context, table: str):
    archive = opened(io.BytesIO(export(ctx, shop.program.id)), exporting.FORMAT, exporting.FORMAT_VERSION)
    entries = [Entry(name, [archive.open(name).read()], file.rows) for name, file in archive.files.items()]
    kept = b"".join(packed([*entries, Entry(f"tables/{table}.csv", [b"id\n"], 0)], archive.head))
    with pytest.raises(ArchiveError, match="do not belong"):
        load(elsewhere, kept)


def test_what_does_not_fit_leaves_nothing(ctx: Context, shop: Shop, elsewhere: Context):
    alice = shop.member(1)
    kept = export(ctx, shop.program.id)
    lines = zipfile.ZipFile(io.BytesIO(kept)).read("tables/cards.csv").decode()
    nobodys = lines.replace(str(alice.id), str(shop.location.id)).encode()
    with pytest.raises(ArchiveError, match=r"do not fit into this installation \(table cards\)"):
        load(elsewhere, changed(kept, tables={"tables/cards.csv": nobodys}))
    load(elsewhere, kept)
    with elsewhere.sessions() as session:
        assert 1 == session.scalar(select(func.count()).select_from(Member))


def test_a_damaged_file_is_not_begun_with(ctx: Context, shop: Shop, elsewhere: Context):
    kept = bytearray(export(ctx, shop.program.id))
    kept[len(kept) // 3] ^= 1
    with pytest.raises(ArchiveError):
        load(elsewhere, bytes(kept))
    with elsewhere.engine.connect() as connection:
        assert migrate.current(connection) is None


def test_many_rows_take_no_more_memory_than_a_few(ctx: Context, shop: Shop):
    """What is held between a row and the ZIP is some hundred kilobytes."""
    with ctx.engine.begin() as connection:
        entry = insert(AuditEntry).values(
            id=func.uuidv7(), program_id=shop.program.id, at=func.now(), action="x", details={"text": "y" * 200}
        )
        connection.execute(entry)
        for _ in range(15):
            connection.execute(
                text("INSERT INTO audit_entries (id, program_id, at, action, details) "
                     "SELECT uuidv7(), program_id, at, action, details FROM audit_entries")
            )  # fmt: skip
    largest = max(map(len, exporting.stream(ctx, shop.owner)))
    assert largest < 3 * 2**20
