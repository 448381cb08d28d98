"""Typed settings from LEIMA_* environment variables.

Any setting may also be read from a file: LEIMA_SECRET_KEY_FILE=/run/secrets/leima holds the value of
LEIMA_SECRET_KEY. A wrong or missing value stops the start with one line per problem that says what to do.
The table in README is made from this class (`leima settings`), and a test compares them.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from app import settings_checks

PREFIX = "LEIMA_"
CODE_PEPPER_SHORTEST = 32  # characters


class SettingsError(Exception):
    """The environment holds a wrong or missing setting. The text has one line per problem."""


class Settings(BaseModel):
    """Everything that an installation decides. Fields are named as their variables, without LEIMA_."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["production", "demo", "test"] = Field(
        "production", description="`production`; `demo` and `test` allow made-up secrets and certificates"
    )
    data: Path = Field(Path("var"), description="Folder for the engines' data, certificates and made-up secrets")
    public_url: str = Field(
        "", description="Address under which phones reach Leima, e.g. `https://leima.example`. Needed in production"
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="At least 32 random characters. Signs sessions and keys every stored hash: keep it, for ever. "
        "Needed in production; `demo` makes its own",
    )
    code_peppers: SecretStr = Field(
        SecretStr(""),
        description="Secrets that key the 7-digit codes, with commas between, the newest first, each of 32 characters "
        "or more. Unset: a file in `LEIMA_DATA` that is made on first use (docs/codes.md)",
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="`postgresql://…`. Unset: an own PostgreSQL 18 is run in `LEIMA_DATA`"
    )
    redis_url: SecretStr = Field(
        SecretStr(""), description="`redis://…` of a Valkey or Redis. Unset: an own Valkey is run in `LEIMA_DATA`"
    )
    host: str = Field("127.0.0.1", description="Address that the web server listens on")
    port: int = Field(8400, ge=1, le=65535, description="Port that the web server listens on")
    web_workers: int = Field(2, ge=1, le=64, description="Web processes that `leima serve` starts")
    web_threads: int = Field(4, ge=1, le=64, description="Threads in each web process")
    proxy_count: int = Field(
        0, ge=0, le=5, description="How many reverse proxies stand before Leima and set `X-Forwarded-*`"
    )
    card_link: Literal["sms", "page"] = Field(
        "sms",
        description="How a new member gets the personal card link: `sms` (proves the number) or `page` (shown at once; "
        "so in a demo)",
    )
    sms_provider: Literal["console", "twilio", "gateway"] = Field(
        "console", description="Who carries SMS: `twilio`, `gateway` (any HTTP gateway), or `console`, the log"
    )
    sms_sender: str = Field(
        "", description="Number, name or Twilio Messaging Service that SMS come from; for people to text to: a number"
    )
    sms_parts_per_second: float = Field(1.0, gt=0, le=10_000, description="SMS parts that the sender may send a second")
    sms_answer_seconds: float = Field(15.0, gt=0, le=60, description="How long an SMS provider may take to answer")
    sms_grace_seconds: float = Field(
        120.0,
        gt=0,
        le=3600,
        description="After so long the provider lists a message that it has taken: what it does not list then, after "
        "its answer was lost, is sent again",
    )
    sms_gateway: SecretStr = Field(
        SecretStr(""), description="The gateway's description as JSON (docs/sms-providers.md)"
    )
    twilio_account_sid: str = Field("", description="Twilio account (`AC…`)")
    twilio_auth_token: SecretStr = Field(SecretStr(""), description="Twilio auth token; signs Twilio's webhooks too")
    twilio_shared_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys of your own that Twilio signs webhooks with (SHA-256), as `id=secret id=secret`. With an API "
        "key to send with, the auth token may be left out: then it can no longer sign",
    )
    twilio_api_key: str = Field("", description="Twilio API key (`SK…`) to send with, instead of the auth token")
    twilio_api_secret: SecretStr = Field(SecretStr(""), description="The API key's secret")
    twilio_api_url: str = Field("https://api.twilio.com", description="Twilio's REST API")
    default_country: str = Field(
        "FI", description="ISO 3166 country of phone numbers typed without +, for new programmes"
    )
    wallet_url: str = Field(
        "", description="https address under which wallets reach Leima, when it is not `LEIMA_PUBLIC_URL`"
    )
    apns_address: str = Field("api.push.apple.com:443", description="Apple's push service, as host:port")
    apns_key: SecretStr = Field(
        SecretStr(""), description="Content of a team's `.p8` push key. Unset: the pass certificate is used"
    )
    apns_key_id: str = Field("", description="The push key's id. Needed with `LEIMA_APNS_KEY`")
    apns_team_id: str = Field("", description="The push key's team. Needed with `LEIMA_APNS_KEY`")
    google_issuer_id: str = Field("", description="Google Wallet issuer account. Unset: no cards in Google Wallet")
    google_account: SecretStr = Field(
        SecretStr(""), description="Content of the Google service account's JSON key. Needed with an issuer"
    )
    google_api_url: str = Field("https://walletobjects.googleapis.com", description="Google Wallet's REST API")
    google_save_url: str = Field("https://pay.google.com/gp/v/save/", description="Where 'Save to Google Wallet' leads")
    google_keys_url: str = Field(
        "https://pay.google.com/gp/m/issuer/keys", description="Where Google publishes the keys that sign callbacks"
    )
    google_callback_sender: str = Field("GooglePayPasses", description="The sender that Google's callbacks name")
    ca_file: Path | None = Field(
        None,
        description="Authorities to trust for Apple and Google instead of the system's: a sandbox's",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for `/metrics`. Unset: `/metrics` answers to this machine only"
    )

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must start with https:// (or http:// on your own machine)")
        return value.rstrip("/")

    @field_validator("code_peppers")
    @classmethod
    def _peppers(cls, value: SecretStr) -> SecretStr:
        texts = _between_commas(value)
        if any(len(text) < CODE_PEPPER_SHORTEST for text in texts):
            raise ValueError(f"each secret must have at least {CODE_PEPPER_SHORTEST} characters")
        if len(set(texts)) < len(texts):
            raise ValueError("names one secret twice")
        return value

    @field_validator("default_country")
    @classmethod
    def _country(cls, value: str) -> str:
        if len(value) != 2 or not value.isascii() or not value.isalpha():
            raise ValueError("must be a two-letter country code such as FI")
        return value.upper()

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @model_validator(mode="before")
    @classmethod
    def _of_a_demo(cls, values: dict[str, object]) -> dict[str, object]:
        """In a demo new members get their link on the page, so that nobody has to look for it on a pretend phone."""
        return {"card_link": "page"} | values if values.get("env") == "demo" else values

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        if problems := list(settings_checks.problems(self)):
            raise ValueError("\n".join(problems))
        return self

    @property
    def wallet_base_url(self) -> str:
        """The https address that wallets are given, without a slash at the end; empty when there is none."""
        url = self.wallet_url.rstrip("/") or self.base_url
        return url if url.startswith("https://") else ""

    @property
    def twilio_shared(self) -> dict[str, str]:
        """Ids of shared keys → their secrets; a secret is empty where the setting is not right."""
        pairs = (pair.partition("=") for pair in self.twilio_shared_keys.get_secret_value().split())
        return {name: secret for name, _, secret in pairs}

    @property
    def texting_number(self) -> str:
        """The E.164 number that people can text to; empty when SMS come from a name or from no number at all."""
        return self.sms_sender if re.fullmatch(r"\+[1-9][0-9]{6,14}", self.sms_sender) else ""

    @property
    def secret(self) -> bytes:
        """The installation's secret, as the key for HMACs."""
        return self.secret_key.get_secret_value().encode()

    @property
    def code_pepper_list(self) -> list[str]:
        """The secrets of LEIMA_CODE_PEPPERS, the newest first; empty when they are in the data folder."""
        return _between_commas(self.code_peppers)

    @property
    def base_url(self) -> str:
        """The public address, without a slash at the end; this machine's when none is set."""
        return self.public_url or f"http://localhost:{self.port}"


def _between_commas(value: SecretStr) -> list[str]:
    return [text.strip() for text in value.get_secret_value().split(",") if text.strip()]


def load(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings from `environ` (by default the process's); `overrides` win.

    Raises SettingsError with every problem found.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    problems: list[str] = []
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        file = environ.get(variable + "_FILE", "")
        if environ.get(variable) and file:
            problems.append(f"{variable} and {variable}_FILE are both set: unset one of them")
        elif file:
            try:
                values[name] = Path(file).read_text().strip()
            except OSError as error:
                problems.append(f"{variable}_FILE: cannot read {file}: {error.strerror}")
        elif environ.get(variable):
            values[name] = environ[variable]
    values.update(overrides)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems.extend(_problems(error, values))
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _problems(error: ValidationError, values: Mapping[str, object]) -> Iterator[str]:
    """Every problem as a line, also those between settings: they are looked for only once each setting is right."""
    wrong = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
    for item in error.errors():
        name = "".join(f"{PREFIX}{str(part).upper()}: " for part in item["loc"])
        yield from (name + line for line in item["msg"].removeprefix("Value error, ").splitlines())
    if not wrong:
        return
    try:
        Settings.model_validate({name: value for name, value in values.items() if name not in wrong})
    except ValidationError as others:
        lines = "\n".join(item["msg"].removeprefix("Value error, ") for item in others.errors()).splitlines()
        told = {PREFIX + name.upper() for name in wrong}
        yield from (line for line in lines if line.split()[0] not in told)


def markdown_table() -> str:
    """All settings as README's table: variable, default, meaning."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = f"`{default}`" if str(default) else "–"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)
