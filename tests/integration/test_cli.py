"""The command line, over the test's own engines."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import text, update

from app import clock
from app import settings as settings_module
from app.cli import doctor_delivery
from app.cli.main import main
from app.db.credit import Credit
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.services import credits, doorbell
from app.services.context import Context
from app.settings import Settings
from certs import development, identity
from sandbox.apns import ApnsSandbox
from sandbox.google import GoogleSandbox
from tests.factories import Shop
from tests.integration.databases import another_database

CREATE = [
    "program", "create", "--slug", "north", "--name", "North Club", "--organization", "Café North",
    "--language", "fi", "--time-zone", "Europe/Helsinki", "--currency", "EUR", "--stamps", "8",
    "--reward", "Ilmainen kahvi", "--owner-name", "Olga", "--owner-login", "olga",
]  # fmt: skip


@pytest.fixture
def leima(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> Callable[..., Result]:
    """Run `leima …` on the test's database; keyword arguments change settings."""

    def run(*arguments: str, typed: str | None = None, **changes: object) -> Result:
        monkeypatch.setattr(settings_module, "load", lambda: ctx.settings.model_copy(update=changes))
        return CliRunner().invoke(main, list(arguments), input=typed)

    return run


def test_a_programme_is_made_with_an_owner_who_can_sign_in(leima: Callable[..., Result], tmp_path: Path):
    password = tmp_path / "password"
    password.write_text("a long enough password\n")
    done = leima(*CREATE, "--owner-password-file", str(password))
    assert (0, "") == (done.exit_code, done.stderr)
    assert "/join/north" in done.stdout
    assert "north\tNorth Club\towners: olga\n" == leima("program", "list").stdout


def test_only_what_has_no_default_is_asked_for(leima: Callable[..., Result]):
    answers = ["north", "North Club", "Café North", "Free coffee", "Olga", "olga", *["a long enough password"] * 2]
    done = leima("program", "create", typed="\n".join(answers) + "\n")
    assert (0, "") == (done.exit_code, done.stderr)


@pytest.mark.parametrize("command", [("list",), ("owner", "north", "--name", "Olga", "--login", "olga")])
def test_a_new_database_gets_its_schema_first(leima: Callable[..., Result], ctx: Context, command: tuple[str, ...]):
    with another_database(ctx, "new") as url:
        done = leima("program", *command, typed="a long enough password\n" * 2, database_url=SecretStr(url))
    told = {"list": (0, ""), "owner": (1, "Error: There is no such programme.\n")}
    assert told[command[0]] == (done.exit_code, done.stderr)


def test_several_faults_are_told_one_a_line(leima: Callable[..., Result]):
    arguments = ["-" if value == "north" else "?" if value == "EUR" else value for value in CREATE]
    done = leima(*arguments, typed="short\nshort\n")
    faults = done.stderr.removeprefix("Error: ").splitlines()
    assert ["slug", "currency", "owner_password"] == [line.split(":")[0] for line in faults]


def test_a_password_that_is_too_short_makes_nothing(leima: Callable[..., Result]):
    done = leima(*CREATE, typed="short\nshort\n")
    assert 1 == done.exit_code
    assert "at least 10 characters" in done.stderr
    assert "" == leima("program", "list").stdout


def test_a_short_name_is_given_once(leima: Callable[..., Result], shop: Shop, tmp_path: Path):
    password = tmp_path / "password"
    password.write_text("a long enough password")
    arguments = [shop.program.slug if value == "north" else value for value in CREATE]
    done = leima(*arguments, "--owner-password-file", str(password))
    assert (1, "Error: Another programme has this short name.\n") == (done.exit_code, done.stderr)


def test_a_programme_gets_another_owner(leima: Callable[..., Result], shop: Shop, tmp_path: Path):
    password = tmp_path / "password"
    password.write_text("a long enough password")
    done = leima("program", "owner", "kulma", "--name", "Olga", "--login", "olga", "--password-file", str(password))
    assert 0 == done.exit_code
    assert "kulma\tKulma Club\towners: alice, olga\n" == leima("program", "list").stdout


def test_settings_are_printed_as_a_table(leima: Callable[..., Result]):
    assert settings_module.markdown_table() + "\n" == leima("settings").stdout


def test_the_doctor_finds_a_sound_installation_well(leima: Callable[..., Result], shop: Shop):
    done = leima("doctor")
    assert 0 == done.exit_code, done.output
    assert "every balance is the sum of its ledger" in done.stdout


def test_the_doctor_finds_a_balance_that_is_not_its_ledger(leima: Callable[..., Result], shop: Shop):
    member = shop.member()
    with shop.ctx.engine.begin() as connection:
        connection.execute(text("UPDATE members SET stamps = 3 WHERE id = :id"), {"id": member.id})
    done = leima("doctor")
    assert 1 == done.exit_code
    assert f"member {member.id}: 3 stamps cached, 0 in the ledger" in done.stdout


def test_the_doctor_finds_codes_whose_pepper_is_lost(leima: Callable[..., Result], shop: Shop):
    last_day = (clock.now() + timedelta(days=9)).date().isoformat()
    credits.grant(shop.ctx, shop.owner, shop.member().id, {"amount": "5", "last_day": last_day, "sms": "on"}, key="k")
    with shop.ctx.sessions.begin() as session:
        session.execute(update(Credit).values(pepper_id="lost"))
    assert "pepper lost is missing" in leima("doctor").output


def test_the_doctor_finds_a_programme_that_nobody_can_manage(leima: Callable[..., Result], shop: Shop):
    with shop.ctx.engine.begin() as connection:
        connection.execute(text("UPDATE staff SET active = false"))
    done = leima("doctor")
    assert 1 == done.exit_code
    assert "kulma has no owner who can sign in" in done.stdout


def test_the_doctor_finds_a_database_that_is_behind(leima: Callable[..., Result], ctx: Context):
    with ctx.engine.begin() as connection:
        head = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = 'long-ago'"))
    try:
        done = leima("doctor")
    finally:
        with ctx.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})
    assert 1 == done.exit_code
    assert "run `leima migrate`" in done.stdout


@pytest.mark.parametrize(
    ("days_later", "exit_code", "hint"),
    [(0, 0, "for development"), (366, 1, "expired")],
    ids=["valid", "expired"],
)
def test_the_doctor_looks_at_the_certificates(
    leima: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    shop: Shop,
    days_later: int,
    exit_code: int,
    hint: str,
):
    moment = datetime.now(UTC) + timedelta(days=days_later)
    monkeypatch.setattr(clock, "now", lambda: moment)
    done = leima("doctor")
    assert exit_code == done.exit_code
    assert hint in done.stdout


def test_the_doctor_says_when_there_is_no_certificate(leima: Callable[..., Result], shop: Shop, tmp_path: Path):
    done = leima("doctor", data=tmp_path)
    assert 1 == done.exit_code
    assert "leima certs import" in done.stdout


def test_the_doctor_finds_a_pass_type_without_a_certificate(leima: Callable[..., Result], shop: Shop, tmp_path: Path):
    other = development.make("pass.fi.leima.other", "LEIMATEAM1", "Leima", datetime.now(UTC))
    identity.save(other, tmp_path / "certs")
    done = leima("doctor", data=tmp_path)
    assert 1 == done.exit_code
    assert "kulma wants pass.fi.leima.test, and there is none" in done.stdout


@pytest.fixture
def apns(pass_identity: identity.SigningIdentity) -> Iterator[ApnsSandbox]:
    """Apple's push service, which trusts the development certificate."""
    assert pass_identity.root is not None
    with ApnsSandbox([pass_identity.root.public_bytes(Encoding.PEM)]) as sandbox:
        yield sandbox


def at_apns(apns: ApnsSandbox, folder: Path) -> dict[str, object]:
    """The settings that lead to the stand-in."""
    (folder / "ca.pem").write_text(apns.ca_pem)
    return {"apns_address": f"localhost:{apns.address[1]}", "ca_file": folder / "ca.pem"}


def test_the_doctor_is_let_in_by_apples_push_service_and_pushes_nothing(
    leima: Callable[..., Result], shop: Shop, apns: ApnsSandbox, tmp_path: Path
):
    done = leima("doctor", **at_apns(apns, tmp_path))
    assert 0 == done.exit_code, done.output
    assert f"localhost:{apns.address[1]} lets pass.fi.leima.test in" in done.stdout
    assert [] == apns.rules.pushes()


def test_the_doctor_asks_nobody_about_a_development_certificate(leima: Callable[..., Result], shop: Shop):
    assert "apple push    not asked" in leima("doctor").stdout


def test_the_doctor_says_what_to_open_when_apple_is_not_reached(leima: Callable[..., Result], shop: Shop):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        done = leima("doctor", apns_address=f"localhost:{port}")
    assert 1 == done.exit_code
    assert f"open outgoing TCP port {port} in the firewall" in done.stdout


def test_the_doctor_waits_for_a_silent_service_no_longer_than_it_must(
    leima: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, shop: Shop
):
    monkeypatch.setattr(doctor_delivery, "APNS_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        done = leima("doctor", apns_address=f"localhost:{silent.getsockname()[1]}")
        assert time.monotonic() - started < 5
    assert 1 == done.exit_code
    assert "The server did not answer in time. Let this machine connect" in done.stdout


def test_the_doctor_says_when_apple_does_not_take_the_certificate(
    leima: Callable[..., Result], shop: Shop, apns: ApnsSandbox, tmp_path: Path
):
    stranger = development.make("pass.fi.leima.test", "LEIMATEAM1", "Leima", datetime.now(UTC))
    identity.save(stranger, tmp_path / "certs")
    done = leima("doctor", data=tmp_path, **at_apns(apns, tmp_path))
    assert 1 == done.exit_code
    assert "pass.fi.leima.test: The server does not accept our certificate: unknown ca" in done.stdout


def test_the_doctor_says_when_something_else_answers_for_apple(
    leima: Callable[..., Result], shop: Shop, apns: ApnsSandbox
):
    done = leima("doctor", apns_address=f"localhost:{apns.address[1]}")
    assert 1 == done.exit_code
    assert "The server's certificate is not trusted" in done.stdout


def test_the_doctor_warns_when_production_pushes_elsewhere(
    leima: Callable[..., Result], shop: Shop, apns: ApnsSandbox, tmp_path: Path
):
    done = leima("doctor", env="production", **at_apns(apns, tmp_path))
    assert "which reaches no customer's phone: unset it" in done.stdout


@pytest.mark.parametrize(
    ("team", "exit_code", "said"),
    [("LEIMATEAM1", 0, "lets push key KEY1234567 in"), ("OTHERTEAM1", 1, "and the push key to team OTHERTEAM1")],
)
def test_the_doctor_looks_at_the_push_key(
    leima: Callable[..., Result],
    shop: Shop,
    apns: ApnsSandbox,
    tmp_path: Path,
    team: str,
    exit_code: int,
    said: str,
):
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    keys = {"apns_key": SecretStr(key.decode()), "apns_key_id": "KEY1234567", "apns_team_id": team}
    done = leima("doctor", **keys, **at_apns(apns, tmp_path))
    assert exit_code == done.exit_code, done.output
    assert said in done.stdout


def test_the_doctor_finds_a_push_key_that_is_none(leima: Callable[..., Result], shop: Shop):
    done = leima("doctor", apns_key=SecretStr("nonsense"), apns_key_id="KEY1234567", apns_team_id="LEIMATEAM1")
    assert 1 == done.exit_code
    assert "LEIMA_APNS_KEY: This is not a push key." in done.stdout


@pytest.fixture(scope="module")
def google_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture
def at_google(google_server: GoogleSandbox) -> Iterator[dict[str, object]]:
    """The settings that lead to the stand-in."""
    yield {
        "google_issuer_id": google_server.issuer_id,
        "google_account": SecretStr(google_server.account_file.read_text()),
        "google_api_url": google_server.url,
        "ca_file": google_server.ca_file,
        "wallet_url": "https://leima.example",
    }
    google_server.faults.clear()


def test_the_doctor_says_that_google_is_not_set_up_as_a_matter_of_fact(leima: Callable[..., Result], shop: Shop):
    done = leima("doctor")
    assert "ok       google wallet not set up" in done.stdout


def test_the_doctor_asks_google_and_tells_of_test_cards(
    leima: Callable[..., Result], shop: Shop, at_google: dict[str, object]
):
    done = leima("doctor", **at_google)
    assert 0 == done.exit_code, done.output
    assert "answers to leima@leima-sandbox.iam.gserviceaccount.com" in done.stdout
    assert "TEST ONLY" in done.stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"google_issuer_id": "3388000000000000999"}, "may not act for this issuer"),
        ({"google_account": SecretStr("{}")}, "LEIMA_GOOGLE_ACCOUNT is not a service account's key."),
        ({"google_account": SecretStr("no json")}, "LEIMA_GOOGLE_ACCOUNT is not JSON."),
        ({"google_api_url": "https://localhost:1"}, "to localhost:1 and oauth2.googleapis.com: open outgoing TCP"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "LEIMA_CA_FILE cannot be used"),
        ({"wallet_url": ""}, "there is no https address for them"),
    ],
    ids=["another issuer", "not an account", "not JSON", "not reached", "no authorities", "no https"],
)
def test_the_doctor_says_what_google_lacks(
    leima: Callable[..., Result], shop: Shop, at_google: dict[str, object], changes: dict[str, object], said: str
):
    done = leima("doctor", **(at_google | changes))
    assert 1 == done.exit_code, done.output
    assert said in done.stdout


def test_the_doctor_waits_for_google_no_longer_than_it_must(
    leima: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    shop: Shop,
    google_server: GoogleSandbox,
    at_google: dict[str, object],
):
    monkeypatch.setattr(doctor_delivery, "GOOGLE_SECONDS", 0.1)
    google_server.faults.latency = 1.0
    started = time.monotonic()
    done = leima("doctor", **at_google)
    google_server.faults.latency = 0.0
    assert time.monotonic() - started < 5
    assert "no answer. Let this machine connect" in done.stdout


@pytest.fixture
def workers(ctx: Context) -> Iterator[None]:
    """A worker for each channel has signed in."""
    signed_in = [
        SimpleWorker([doorbell.queue(ctx.valkey, channel)], connection=ctx.valkey, serializer=JSONSerializer)
        for channel in Channel
    ]
    for worker in signed_in:
        worker.register_birth()
    yield
    for worker in signed_in:
        worker.register_death()


def outbox_row(shop: Shop, state: OutboxState, due_at: datetime) -> None:
    with shop.ctx.sessions.begin() as session:
        row = OutboxRow(
            channel=Channel.APPLE, program_id=shop.program.id, subject_id=uuid4(), state=state, due_at=due_at
        )
        row.created_at = due_at
        session.add(row)


def test_the_doctor_says_when_no_worker_has_signed_in(leima: Callable[..., Result], shop: Shop):
    done = leima("doctor")
    assert 0 == done.exit_code
    assert (
        "no worker is running for apple, google, sms, refresh, task, campaign: start `python worker.py`" in done.stdout
    )


def test_the_doctor_finds_what_nobody_delivers(leima: Callable[..., Result], shop: Shop):
    outbox_row(shop, OutboxState.WAITING, clock.now() - timedelta(minutes=7))
    done = leima("doctor")
    assert 1 == done.exit_code
    assert "late: 1, the oldest by 7 minutes, and no worker is running: start `python worker.py`" in done.stdout


def test_the_doctor_finds_workers_that_do_not_keep_up(leima: Callable[..., Result], shop: Shop, workers: None):
    outbox_row(shop, OutboxState.WAITING, clock.now() - timedelta(minutes=7))
    done = leima("doctor")
    assert 0 == done.exit_code
    assert "late: 1, the oldest by 7 minutes. See its log" in done.stdout


def test_the_doctor_finds_workers_that_do_well(leima: Callable[..., Result], shop: Shop, workers: None):
    outbox_row(shop, OutboxState.LEASED, clock.now() + timedelta(minutes=1))
    done = leima("doctor")
    assert "worker        runs, and nothing is late" in done.stdout


def test_the_doctor_says_where_to_see_what_did_not_arrive(leima: Callable[..., Result], shop: Shop):
    for _ in range(2):
        outbox_row(shop, OutboxState.DEAD, clock.now() - timedelta(days=1))
    done = leima("doctor")
    assert 0 == done.exit_code
    assert "kulma: 2 did not arrive. The office shows which and why" in done.stdout


def test_wrong_settings_end_a_command_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings_module, "load", lambda: settings_module.Settings.model_validate({}))

    def load() -> Settings:
        raise settings_module.SettingsError("LEIMA_SECRET_KEY is missing.")

    monkeypatch.setattr(settings_module, "load", load)
    done = CliRunner().invoke(main, ["doctor"])
    assert 2 == done.exit_code
    assert "LEIMA_SECRET_KEY is missing" in done.stderr
