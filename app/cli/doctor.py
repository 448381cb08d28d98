"""`leima doctor`: looks at the whole installation and says what to do."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import requests
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.cli import doctor_delivery as delivery
from app.cli.common import connected, settings_or_exit
from app.cli.demo_sandbox import settings_beside
from app.cli.finding import Finding, State
from app.db import migrate
from app.services import doctoring, pepper_rotation, programs
from app.services.context import Context
from app.settings import Settings
from certs import check, identity
from certs.identity import CertificateError

LEAST_FREE_BYTES = 500 * 1024 * 1024
OLDEST_POSTGRES = 150000
MOST_CLOCK_SKEW_SECONDS = 2


@click.command()
@click.pass_obj
def doctor(load: Callable[[], Settings]) -> None:
    """Check the whole installation and say what to do. Ends with status 1 when something is broken."""
    settings = settings_or_exit(load)
    if settings.env == "demo":
        settings = settings_beside(settings)
    findings = [Finding(State.OK, "settings", f"complete, for {settings.env}"), *_folder(settings), *_url(settings)]
    findings += delivery.address(settings)
    _show(findings)
    with connected(settings) as context:
        for look in (
            _engines,
            _schema,
            _certificates,
            _programs,
            _codes,
            delivery.apple,
            delivery.google,
            delivery.worker,
            _sms,
            delivery.sms_spending,
        ):
            group = list(look(context))
            _show(group)
            findings += group
            if any(item.state is State.BAD and item.subject in ("database", "schema") for item in group):
                click.echo("The rest cannot be looked at before this is mended.")
                break
    bad = sum(item.state is State.BAD for item in findings)
    warnings = sum(item.state is State.WARNING for item in findings)
    if bad:
        click.echo(f"{bad} to mend, {warnings} to think about.")
        raise click.exceptions.Exit(1)
    click.echo(f"All is well, {warnings} to think about." if warnings else "All is well.")


def _show(findings: list[Finding]) -> None:
    for item in findings:
        click.echo(f"{item.state.value:8} {item.subject:13} {item.text}")


def _folder(settings: Settings) -> Iterator[Finding]:
    settings.data.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data).free
    if free < LEAST_FREE_BYTES:
        yield Finding(State.BAD, "disk", f"only {free // 2**20} MB are free under {settings.data}: make room")
    else:
        yield Finding(State.OK, "disk", f"{free // 2**20} MB free under {settings.data}")


def _url(settings: Settings) -> Iterator[Finding]:
    if not settings.base_url.startswith("https://"):
        yield Finding(
            State.WARNING,
            "public URL",
            f"{settings.base_url} is not https: fine for a demo; phones need LEIMA_PUBLIC_URL=https://…",
        )
        return
    try:
        answer = requests.get(f"{settings.base_url}/healthz", timeout=5)
        answer.raise_for_status()
    except requests.RequestException as error:
        yield Finding(
            State.WARNING,
            "public URL",
            f"{settings.base_url} does not answer from here ({type(error).__name__}). Is `leima serve` running, and "
            "does the proxy in front of it hold a valid certificate?",
        )
    else:
        yield Finding(State.OK, "public URL", f"{settings.base_url} answers")


def _engines(context: Context) -> Iterator[Finding]:
    try:
        version, their_time = doctoring.database_facts(context)
    except SQLAlchemyError as error:
        yield Finding(State.BAD, "database", f"PostgreSQL does not answer: {error}. Check LEIMA_DATABASE_URL")
        return
    if version < OLDEST_POSTGRES:
        yield Finding(
            State.BAD, "database", f"PostgreSQL {version // 10000} is too old: use 15 or newer (18 is tested)"
        )
    else:
        yield Finding(State.OK, "database", f"PostgreSQL {version // 10000}.{version % 10000}")
    skew = abs((clock.now() - their_time).total_seconds())
    if skew > MOST_CLOCK_SKEW_SECONDS:
        yield Finding(State.WARNING, "clock", f"{skew:.0f} s apart from the database's: switch time synchronisation on")
    try:
        info = context.valkey.info("server")
    except RedisError as error:
        yield Finding(
            State.BAD, "valkey", f"does not answer: {error}. Staff cannot sign in without it; check LEIMA_REDIS_URL"
        )
    else:
        version_text = info.get("valkey_version") or info.get("redis_version")
        yield Finding(State.OK, "valkey", f"version {version_text}")


def _schema(context: Context) -> Iterator[Finding]:
    if migrate.pending(context.engine):
        yield Finding(State.BAD, "schema", "the database is behind the code: run `leima migrate`")
    elif differing := migrate.differences(context.engine):
        yield Finding(State.BAD, "schema", f"{len(differing)} differences from the code; the first: {differing[0]}")
    else:
        yield Finding(State.OK, "schema", "up to date")


def _certificates(context: Context) -> Iterator[Finding]:
    folders = identity.folders(context.settings.data / "certs")
    if not folders:
        yield Finding(
            State.BAD, "certificates", "none: import Apple's with `leima certs import`, or try with `leima certs dev`"
        )
    for folder in folders:
        yield from _certificate(context.settings, folder)
    known = {folder.name for folder in folders}
    for program in programs.every(context):
        wanted = program.pass_type_identifier
        if wanted and wanted not in known:
            yield Finding(State.BAD, "certificates", f"{program.slug} wants {wanted}, and there is none: import it")
        if not wanted and len(known) > 1:
            yield Finding(
                State.BAD,
                "certificates",
                f"{program.slug} does not say which of {len(known)} pass types it uses: choose",
            )


def _certificate(settings: Settings, folder: Path) -> Iterator[Finding]:
    subject, name = "certificates", folder.name
    try:
        found = identity.load(folder)
    except CertificateError as error:
        yield Finding(State.BAD, subject, f"{name}: {error}")
        return
    now = clock.now()
    problems = check.problems(found.certificate, found.intermediate, found.private_key, now)
    for problem in problems:
        yield Finding(State.BAD, subject, f"{name}: {problem.text}")
    if problems:
        return
    days = found.days_left(now)
    if found.development:
        state = State.BAD if settings.env == "production" else State.WARNING
        yield Finding(state, subject, f"{name}: for development, phones refuse it; import Apple's to go live")
    elif days < identity.RENEW_DAYS:
        yield Finding(State.WARNING, subject, f"{name}: {days} days left: renew it with Apple and import the new one")
    else:
        yield Finding(State.OK, subject, f"{name}: team {found.team_identifier}, {days} days left")


def _programs(context: Context) -> Iterator[Finding]:
    made = programs.every(context)
    if not made:
        yield Finding(State.WARNING, "programmes", "none yet: `leima program create`")
    for slug in doctoring.programs_without_owner(context):
        yield Finding(State.BAD, "programmes", f"{slug} has no owner who can sign in: `leima program owner {slug}`")
    differing = doctoring.differences(context)
    for difference in differing:
        yield Finding(
            State.BAD,
            "ledger",
            f"member {difference.member_id}: {difference.stamps} stamps cached, "
            f"{difference.stamps_in_ledger} in the ledger; "
            f"{difference.rewards} rewards cached, {difference.rewards_in_ledger} in the ledger, "
            f"{difference.rewards_open} open; credit {difference.credit_minor} cached, "
            f"{difference.credit_in_ledger} in the ledger, {difference.credit_open} open; "
            f"bonus {difference.bonus} cached, {difference.bonus_in_ledger} in the ledger; "
            f"bonus earned {difference.bonus_earned} cached, {difference.bonus_earned_in_ledger} in the ledger; "
            f"visits {difference.visits} cached, {difference.visits_in_ledger} in the ledger, "
            f"{difference.visits_kept} kept. "
            "Report this: it must not happen",
        )
    stamps = doctoring.stamp_differences(context)
    for member_id, card_id, balance, found in stamps:
        yield Finding(
            State.BAD,
            "ledger",
            f"member {member_id}, stamp card {card_id}: {balance} stamps cached, {found} in the ledger. "
            "Report this: it must not happen",
        )
    credits = doctoring.credit_differences(context)
    for credit_id, balance, found in credits:
        text = f"credit {credit_id}: its balance is {balance}, {found} in the ledger. Report this: it must not happen"
        yield Finding(State.BAD, "ledger", text)
    if not (differing or stamps or credits):
        yield Finding(State.OK, "ledger", "every balance is the sum of its ledger")


def _sms(context: Context) -> Iterator[Finding]:
    settings = context.settings
    if settings.sms_provider == "console" and settings.card_link == "sms":
        state = State.BAD if settings.env == "production" else State.WARNING
        yield Finding(
            state,
            "sms",
            "messages go to the log only, so that nobody gets their card's link. Show links on the page instead "
            "(LEIMA_CARD_LINK=page) until an SMS provider is set",
        )
    else:
        yield Finding(State.OK, "sms", f"{settings.sms_provider}; new members get their link by {settings.card_link}")


def _codes(context: Context) -> Iterator[Finding]:
    """Whether the codes that customers hold can be found: their peppers are kept apart from the database."""
    try:
        missing = [pepper for pepper in pepper_rotation.status(context).peppers if not pepper.held]
    except OSError as error:
        yield Finding(State.BAD, "codes", str(error))
        return
    for pepper in missing:
        text = f"{pepper.codes} credit codes cannot be used: pepper {pepper.id} is missing. Put it back from a backup"
        yield Finding(State.BAD, "codes", text)
    if not missing:
        yield Finding(State.OK, "codes", "the peppers of all credit codes are here")
