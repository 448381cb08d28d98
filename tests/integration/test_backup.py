"""Backups: what was backed up comes back whole, or nothing is changed, whatever is wrong or killed."""

import io
import os
import re
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, func, select, text, update

from app import settings as settings_module
from app.cli.main import main
from app.cli.processes import ROOT
from app.db import migrate
from app.db.campaigns import Campaign, CampaignState
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.engine import make_engine, make_sessions
from app.db.keeping import ErasedBy
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.services import backups, code_redeeming, credit_use, erasing, members, peppers, sms_sending, till
from app.services.archive import opened
from app.services.context import Context
from app.services.errors import Refused
from app.services.peppers import PepperStore
from certs import identity
from tests.factories import Shop
from tests.integration import filled_tables
from tests.integration.code_shop import give
from tests.integration.databases import another_database

WORDS = "a passphrase for tests"


@dataclass(frozen=True)
class Place:
    """Another installation: a database and a data folder, both empty."""

    url: str
    data: Path
    engine: Engine
    leima: Callable[..., Result]

    def count(self, table: type) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def is_empty(self) -> bool:
        with self.engine.connect() as connection:
            tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
            return tables.scalar_one() == 0


@pytest.fixture
def leima(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> Callable[..., Result]:
    """Run `leima …` on the test's database; keyword arguments change settings."""

    def run(*arguments: object, typed: str | None = None, **changes: object) -> Result:
        monkeypatch.setattr(settings_module, "load", lambda: ctx.settings.model_copy(update=changes))
        return CliRunner().invoke(main, list(map(str, arguments)), input=typed)

    return run


@pytest.fixture
def place(ctx: Context, leima: Callable[..., Result], tmp_path: Path) -> Iterator[Place]:
    data = tmp_path / "data"
    with another_database(ctx, "restored") as url:

        def run(*arguments: object, **given: object) -> Result:
            return leima(*arguments, **{"database_url": SecretStr(url), "data": data} | given)

        engine = make_engine(url)
        yield Place(url, data, engine, run)
        engine.dispose()


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text(WORDS + "\n")
    return file


def bring_secrets(ctx: Context, place: Place) -> None:
    """What is kept apart from backups, and is brought by hand: the peppers and the certificates' keys."""
    place.data.mkdir(exist_ok=True)
    (place.data / peppers.FILE_NAME).write_bytes((ctx.settings.data / peppers.FILE_NAME).read_bytes())
    for folder in identity.folders(ctx.settings.data / "certs"):
        own = place.data / "certs" / folder.name
        own.mkdir(parents=True, exist_ok=True)
        (own / "key.pem").write_bytes((folder / "key.pem").read_bytes())


def many_members(connection: Connection, shop: Shop, number: int) -> None:
    statement = text(
        "INSERT INTO members (id, program_id, phone, language, name, email, city, via, status, joined_at, stamps, "
        "rewards) SELECT uuidv7(), :program, '+35850' || n, 'en', md5(n::text), md5(n::text) || '@example.com', '', "
        "'', 'active', now(), 0, 0 FROM generate_series(1000000, 999999 + :number) AS n"
    )
    connection.execute(statement, {"program": shop.program.id, "number": number})


def test_an_encrypted_backup_restored_goes_on(
    ctx: Context, shop: Shop, leima: Callable[..., Result], place: Place, passphrase: Path, tmp_path: Path
):
    alice = shop.member(1, name="Alice")
    till.give_stamps(ctx, shop.cashier, alice.card_code, count=4)
    file = tmp_path / "kulma.backup"
    done = leima("backup", file, "--encrypt", "--passphrase-file", passphrase)
    assert 0 == done.exit_code, done.output
    assert b"Alice" not in file.read_bytes()
    assert 0o600 == file.stat().st_mode & 0o777

    done = place.leima("restore", file, typed=WORDS + "\n")
    assert 3 == done.exit_code, done.output  # the keys are kept elsewhere, and the doctor misses them
    assert "key.pem of pass.fi.leima.test is not here" in done.output
    bring_secrets(ctx, place)
    checked = place.leima("doctor")
    assert 0 == checked.exit_code, checked.output

    there = Context(**{name: getattr(ctx, name) for name in Context.__dataclass_fields__} | {
        "engine": place.engine, "sessions": make_sessions(place.engine)
    })  # fmt: skip
    found = members.by_link(there, members.card_token(ctx, alice))
    assert ("Alice", 4) == (found.name, found.stamps)
    till.give_stamps(there, shop.cashier, alice.card_code)
    assert 5 == members.by_id(there, shop.cashier, alice.id).stamps


def test_a_code_on_a_customers_phone_pays_after_a_restore_with_the_peppers_and_without_them_all_say_so(
    ctx: Context, shop: Shop, leima: Callable[..., Result], place: Place, tmp_path: Path
):
    alice, bert = shop.member(1), shop.member(2)
    codes = [give(ctx, shop, member.id).code for member in (alice, bert)]
    assert 0 == leima("backup", tmp_path / "first").exit_code
    done = place.leima("restore", tmp_path / "first")
    [pepper] = ctx.peppers().held
    assert f"code pepper {pepper.id} is not here: put code_peppers back" in done.output

    data = {name: getattr(ctx, name) for name in Context.__dataclass_fields__}
    data |= {"engine": place.engine, "sessions": make_sessions(place.engine)}
    there = Context(**data | {"peppers": PepperStore(ctx.settings.model_copy(update={"data": place.data}))})
    for asker in (shop.cashier, shop.owner):
        with pytest.raises(Refused) as refused:
            code_redeeming.redeem(there, asker, codes[0], amount_minor=400)
        assert "lacks a secret that older codes were made with" in str(refused.value)
    (credit,) = members.by_id(there, shop.cashier, alice.id).credits
    assert 1000 == credit.balance_minor
    newer = give(there, shop, bert.id).code
    assert 400 == code_redeeming.redeem(there, shop.cashier, newer, amount_minor=400)[0]["redeemed_minor"]
    by_card = credit_use.use(there, shop.cashier, alice.id, bill_minor=300, card_code=alice.card_code)[0]
    assert 700 == by_card["left_minor"]
    checked = place.leima("doctor")
    assert 1 == checked.exit_code
    assert f"2 credit codes cannot be used: pepper {pepper.id} is missing" in checked.output

    made_meanwhile = (place.data / peppers.FILE_NAME).read_text()
    bring_secrets(ctx, place)
    with (place.data / peppers.FILE_NAME).open("a") as file:
        file.write(made_meanwhile)
    for code in (codes[0], newer):
        assert 600 == code_redeeming.redeem(there, shop.cashier, code, amount_minor=600)[0]["redeemed_minor"]
    with pytest.raises(Refused) as refused:
        code_redeeming.redeem(there, shop.cashier, "0000000", amount_minor=400)
    assert "This code is not valid." == str(refused.value)
    checked = place.leima("doctor")
    assert "the peppers of all credit codes are here" in checked.output


def test_every_row_of_every_table_comes_back(ctx: Context, leima: Callable[..., Result], place: Place, tmp_path: Path):
    with ctx.engine.begin() as connection:
        for slug in ("ours", "theirs"):
            made = filled_tables.fill(connection, slug)
            connection.execute(update(Campaign).values(state=CampaignState.DRAFT))
    assert 0 == leima("backup", tmp_path / "first").exit_code
    done = place.leima("restore", tmp_path / "first")
    assert "rows" in done.output, done.output
    assert 0 == place.leima("backup", tmp_path / "second").exit_code
    first, second = (
        opened(io.BytesIO((tmp_path / name).read_bytes()), backups.FORMAT, backups.FORMAT_VERSION).files
        for name in ("first", "second")
    )
    tables = {name: file for name, file in first.items() if name.startswith("tables/")}
    assert made.rows.keys() == {name.removeprefix("tables/").removesuffix(".csv") for name in tables}
    assert [] == [name for name, file in tables.items() if file != second[name]]


def test_what_waited_is_held_after_a_restore(
    ctx: Context, shop: Shop, leima: Callable[..., Result], place: Place, tmp_path: Path
):
    """The message may have gone out after the backup was made: nobody gets it twice without a person's word."""
    alice = shop.member(1)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, shop.program.id)
        sms_sending.queue(session, program, alice.phone, language="en", text="Hello", member_id=alice.id)
        campaign = Campaign(
            program_id=program.id, name="Spring", state=CampaignState.SCHEDULED, created_at=alice.joined_at,
            changed_at=alice.joined_at, starts_at=alice.joined_at, next_run_at=alice.joined_at,
        )  # fmt: skip
        session.add(campaign)
    leima("backup", tmp_path / "backup")
    done = place.leima("restore", tmp_path / "backup")
    assert "1 messages and campaign runs that waited are held, and 1 campaigns paused" in done.output
    with place.engine.connect() as connection:
        held = connection.execute(select(OutboxRow.channel).where(OutboxRow.state == OutboxState.DEAD)).scalars().all()
        assert [Channel.SMS] == list(held)
        assert [CampaignState.PAUSED] == list(connection.execute(select(Campaign.state)).scalars())


def test_a_backup_holds_no_secret(ctx: Context, shop: Shop, leima: Callable[..., Result], tmp_path: Path):
    shop.member(1)
    leima("backup", tmp_path / "backup")
    archive = opened(io.BytesIO((tmp_path / "backup").read_bytes()), backups.FORMAT, backups.FORMAT_VERSION)
    everything = b"".join(archive.open(name).read() for name in archive.files) + str(archive.head).encode()
    keys = [pepper.key for pepper in ctx.peppers().held]
    url = ctx.settings.database_url.get_secret_value().encode()
    secrets = [ctx.settings.secret, *keys, url, shop.api_key.encode(), b"PRIVATE KEY"]
    assert [] == [secret for secret in secrets if secret in everything]
    assert "LEIMA_SECRET_KEY" in archive.head["settings"]
    assert any(name.endswith("certificate.pem") for name in archive.files)


def test_a_place_with_data_is_not_restored_into(shop: Shop, leima: Callable[..., Result], tmp_path: Path):
    leima("backup", tmp_path / "backup")
    done = leima("restore", tmp_path / "backup", data=tmp_path / "data")
    assert 1 == done.exit_code
    assert "There are data in this installation already" in done.stderr


def test_a_migrated_but_empty_place_is_restored_into(
    shop: Shop, leima: Callable[..., Result], place: Place, tmp_path: Path
):
    leima("backup", tmp_path / "backup")
    migrate.upgrade(place.engine)
    assert "Restored" in place.leima("restore", tmp_path / "backup").output
    assert 1 == place.count(Program)


SCHEMA = """SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"""


def test_a_restored_database_has_every_index_and_constraint(
    ctx: Context, shop: Shop, leima: Callable[..., Result], place: Place, tmp_path: Path
):
    leima("backup", tmp_path / "backup")
    place.leima("restore", tmp_path / "backup")
    assert [] == migrate.differences(place.engine)

    def schema(engine: Engine) -> list[str]:
        # PostgreSQL reads its own words for a list of texts with the casts in other places.
        with engine.connect() as connection:
            found = connection.execute(text(SCHEMA)).scalars()
            return sorted(re.sub(r"::[a-z ]+(\[\])?|[()]", "", definition) for definition in found)

    assert schema(ctx.engine) == schema(place.engine)


def test_a_wrong_passphrase_changes_nothing(
    shop: Shop, leima: Callable[..., Result], place: Place, passphrase: Path, tmp_path: Path
):
    leima("backup", tmp_path / "backup", "--passphrase-file", passphrase)
    done = place.leima("restore", tmp_path / "backup", typed="another passphrase\n")
    assert (1, True) == (done.exit_code, "The passphrase is wrong" in done.stderr)
    assert place.is_empty()


def place_in_members(file: Path) -> int:
    """Where the members' table lies in a plain backup. (Not every byte of a ZIP says something.)"""
    with zipfile.ZipFile(file) as held:
        found = held.getinfo("tables/members.csv")
    return found.header_offset + 30 + len(found.filename) + found.compress_size // 2


@pytest.mark.parametrize("is_sealed", [True, False], ids=["encrypted", "plain"])
@pytest.mark.parametrize("damage", ["cut off", "flipped at the beginning", "flipped inside", "flipped at the end"])
def test_a_damaged_backup_changes_nothing(
    shop: Shop,
    leima: Callable[..., Result],
    place: Place,
    passphrase: Path,
    tmp_path: Path,
    is_sealed: bool,
    damage: str,
):
    shop.member(1)
    file = tmp_path / "backup"
    options = ["--passphrase-file", passphrase] if is_sealed else []
    leima("backup", file, *options)
    kept = bytearray(file.read_bytes())
    inside = len(kept) // 2 if is_sealed else place_in_members(file)
    at = {"flipped at the beginning": 35, "flipped inside": inside}.get(damage, len(kept) - 10)
    if damage == "cut off":
        kept = kept[:-100]
    else:
        kept[at] ^= 0xFF
    file.write_bytes(kept)
    done = place.leima("restore", file, *options)
    assert 1 == done.exit_code, done.output
    assert "Take another copy" in done.stderr or "passphrase is wrong" in done.stderr
    assert place.is_empty()


def test_a_short_passphrase_is_refused(leima: Callable[..., Result], shop: Shop, tmp_path: Path):
    done = leima("backup", tmp_path / "backup", "--encrypt", typed="short\nshort\n")
    assert (1, "at least 12 characters" in done.stderr) == (done.exit_code, True)
    assert [] == list(tmp_path.iterdir())


def test_no_file_is_written_over(leima: Callable[..., Result], shop: Shop, tmp_path: Path):
    (tmp_path / "backup").write_text("something dear")
    done = leima("backup", tmp_path / "backup")
    assert (1, "something dear") == (done.exit_code, (tmp_path / "backup").read_text())


def process(
    ctx: Context, database: str, data: Path, *arguments: object, most_bytes: int = 0
) -> subprocess.Popen[bytes]:
    """`leima …` as a process of its own, which can be killed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEIMA_")} | {
        "LEIMA_ENV": "test",
        "LEIMA_DATA": str(data),
        "LEIMA_SECRET_KEY": ctx.settings.secret.decode(),
        "LEIMA_DATABASE_URL": database,
        "LEIMA_REDIS_URL": ctx.settings.redis_url.get_secret_value(),
    }

    def limit() -> None:
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", *map(str, arguments)],
        cwd=ROOT, env=environment, preexec_fn=limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def kill_while_copying(engine: Engine, running: subprocess.Popen[bytes]) -> None:
    """Kill the process in the middle of a large table."""
    copying = text("SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 5000")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(copying).scalar_one():
            assert running.poll() is None, running.stdout and running.stdout.read()
            time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.communicate()


def test_a_killed_backup_leaves_no_file_under_its_name(ctx: Context, shop: Shop, tmp_path: Path):
    with ctx.engine.begin() as connection:
        many_members(connection, shop, 100_000)
    url = ctx.settings.database_url.get_secret_value()
    kill_while_copying(ctx.engine, process(ctx, url, ctx.settings.data, "backup", tmp_path / "backup"))
    assert [] == [file.name for file in tmp_path.iterdir() if not file.name.endswith(".part")]


def test_a_full_disk_leaves_nothing(ctx: Context, shop: Shop, tmp_path: Path):
    with ctx.engine.begin() as connection:
        many_members(connection, shop, 20_000)
    url = ctx.settings.database_url.get_secret_value()
    told, _ = process(ctx, url, ctx.settings.data, "backup", tmp_path / "backup", most_bytes=50_000).communicate()
    assert b"cannot be written: File too large. Nothing is left of it" in told
    assert [] == list(tmp_path.iterdir())


def test_a_killed_restore_leaves_nothing_and_can_be_done_again(
    ctx: Context, shop: Shop, leima: Callable[..., Result], place: Place, tmp_path: Path
):
    with ctx.engine.begin() as connection:
        many_members(connection, shop, 60_000)
    leima("backup", tmp_path / "backup")
    kill_while_copying(place.engine, process(ctx, place.url, place.data, "restore", tmp_path / "backup"))
    until = time.monotonic() + 20
    while not place.is_empty() and time.monotonic() < until:
        time.sleep(0.05)  # the server notices that nobody is there any more
    assert place.is_empty()
    assert "Restored" in place.leima("restore", tmp_path / "backup").output
    assert 60_000 == place.count(Member)


def test_who_was_erased_since_is_erased_again(
    ctx: Context, shop: Shop, leima: Callable[..., Result], place: Place, tmp_path: Path
):
    alice, bob = shop.member(1, name="Alice"), shop.member(2, name="Bob")
    leima("backup", tmp_path / "backup")
    erasing.erase(ctx, shop.owner, alice.id, ErasedBy.MEMBER)
    late = shop.member(3)
    erasing.erase(ctx, shop.owner, late.id, ErasedBy.STAFF, erasing.Why.ASKED)
    assert 0 == leima("erasures", "export", "--to", tmp_path / "erased.csv").exit_code
    assert "Alice" not in (tmp_path / "erased.csv").read_text()

    done = place.leima("restore", tmp_path / "backup", "--erasures", tmp_path / "erased.csv")
    assert "Erased again: 1. Erased already: 0. Not here: 1." in done.output
    with place.engine.connect() as connection:
        found = dict(connection.execute(select(Member.id, Member.status)).all())
        assert {alice.id: MemberStatus.ERASED, bob.id: MemberStatus.ACTIVE} == found
        assert "" == connection.execute(select(Member.name).where(Member.id == alice.id)).scalar_one()


def test_the_list_of_erasures_may_be_a_newer_export(
    ctx: Context, shop: Shop, leima: Callable[..., Result], tmp_path: Path
):
    erasing.erase(ctx, shop.owner, shop.member(1).id, ErasedBy.MEMBER)
    leima("export", "kulma", "--to", tmp_path / "kulma.zip")
    done = leima("erasures", "apply", tmp_path / "kulma.zip")
    assert "Erased again: 0. Erased already: 1. Not here: 0." in done.output
    (tmp_path / "other.csv").write_text("name\nAlice\n")
    assert "no list of erasures" in leima("erasures", "apply", tmp_path / "other.csv").stderr


def test_an_upgrade_backs_up_migrates_and_looks(place: Place, ctx: Context, tmp_path: Path):
    with place.engine.begin() as connection:
        migrate.upgrade_within(connection, "0005")
        connection.execute(text("INSERT INTO pictures (id, sha256, content, created_at) VALUES "
                                "(uuidv7(), 'x', '\\x00', now())"))  # fmt: skip
    done = place.leima("upgrade")
    assert f"From schema 0005 to {migrate.head()}." in done.output
    assert not migrate.pending(place.engine)
    backup = next((place.data / "backups").iterdir())
    assert backup.name.startswith("before-upgrade-from-0005-")

    with place.engine.begin() as connection:
        names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
        connection.execute(text(f"DROP TABLE {', '.join(names)}"))
    assert "Restored" in place.leima("restore", backup).output
    assert not migrate.pending(place.engine)
    with place.engine.connect() as connection:
        assert 1 == connection.execute(text("SELECT count(*) FROM pictures")).scalar_one()


def test_an_upgrade_with_nothing_to_do_says_so(leima: Callable[..., Result], shop: Shop, tmp_path: Path):
    done = leima("upgrade", data=tmp_path)
    assert f"The database is at schema {migrate.head()}, which is this Leima's. There is nothing to do." in done.output


def test_a_newer_leimas_database_is_told_as_such(place: Place):
    migrate.upgrade(place.engine)
    with place.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    done = place.leima("upgrade")
    assert (1, True) == (done.exit_code, "which a newer Leima has made" in done.stderr)


def test_export_and_load_from_the_command_line(
    ctx: Context, shop: Shop, leima: Callable[..., Result], place: Place, passphrase: Path, tmp_path: Path
):
    shop.member(1)
    file = tmp_path / "kulma.zip"
    done = leima("export", "kulma", "--to", file, "--encrypt", "--passphrase-file", passphrase)
    assert (0, "") == (done.exit_code, done.stderr)
    bring_secrets(ctx, place)
    development_key = place.data / "certs" / "pass.fi.leima.test"
    for part in backups.PUBLIC_PARTS:
        (development_key / part).write_bytes((ctx.settings.data / "certs" / development_key.name / part).read_bytes())
    done = place.leima("load", file, "--passphrase-file", passphrase)
    assert 0 == done.exit_code, done.output
    assert "Brought Kulma Club (kulma)" in done.output
    again = place.leima("load", file, "--passphrase-file", passphrase)
    assert "There is a programme kulma in this installation already" in again.stderr
    assert "There is no such programme" in leima("export", "nobody", "--to", tmp_path / "x").stderr
