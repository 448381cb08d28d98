"""What settings ask of each other. Each problem is a line that says what to do."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.settings import Settings

LEAST_GRACE_SECONDS = 60  # Twilio lists a message within seconds; in production nobody should try how fast


def problems(settings: "Settings") -> Iterator[str]:
    """Everything that is wrong between settings which are each right by themselves."""
    yield from _wallets(settings)
    yield from _sms(settings)
    yield from _secret_and_address(settings)


def _wallets(settings: "Settings") -> Iterator[str]:
    if settings.wallet_url and not settings.wallet_url.startswith("https://"):
        yield "LEIMA_WALLET_URL must start with https://: wallets refuse anything else"
    if settings.google_issuer_id and not settings.google_issuer_id.isdigit():
        yield "LEIMA_GOOGLE_ISSUER_ID must be a number: find it in the Google Pay & Wallet Console"
    if settings.google_issuer_id and not settings.google_account.get_secret_value():
        yield "LEIMA_GOOGLE_ACCOUNT is missing: point LEIMA_GOOGLE_ACCOUNT_FILE to the service account's JSON key"
    if settings.apns_key.get_secret_value() and not (settings.apns_key_id and settings.apns_team_id):
        yield "LEIMA_APNS_KEY needs LEIMA_APNS_KEY_ID and LEIMA_APNS_TEAM_ID too"
    if not re.fullmatch(r"[\w.-]+:\d{1,5}", settings.apns_address):
        yield "LEIMA_APNS_ADDRESS must be host:port, for example api.push.apple.com:443"


def _sms(settings: "Settings") -> Iterator[str]:
    if settings.sms_provider == "twilio":
        if not settings.twilio_account_sid.startswith("AC"):
            yield "LEIMA_TWILIO_ACCOUNT_SID is missing: it starts with AC, on the front page of Twilio's console"
        token_free = settings.twilio_shared and settings.twilio_api_key
        if not settings.twilio_auth_token.get_secret_value() and not token_free:
            yield (
                "LEIMA_TWILIO_AUTH_TOKEN is missing: Twilio signs what it posts to us with it, unless there are "
                "LEIMA_TWILIO_SHARED_KEYS, and sends with it, unless there is LEIMA_TWILIO_API_KEY"
            )
        if bool(settings.twilio_api_key) != bool(settings.twilio_api_secret.get_secret_value()):
            yield "LEIMA_TWILIO_API_KEY and LEIMA_TWILIO_API_SECRET belong together: set both, or neither"
        if not settings.sms_sender:
            yield "LEIMA_SMS_SENDER is missing: the number or Messaging Service that SMS come from"
    if not all(settings.twilio_shared.values()):
        yield "LEIMA_TWILIO_SHARED_KEYS must be pairs such as id=secret, with spaces between them"
    if settings.sms_grace_seconds <= settings.sms_answer_seconds:
        yield "LEIMA_SMS_GRACE_SECONDS must be longer than LEIMA_SMS_ANSWER_SECONDS: an answer may still come"
    least = max(LEAST_GRACE_SECONDS, 4 * settings.sms_answer_seconds)
    if settings.env == "production" and settings.sms_grace_seconds < least:
        yield f"LEIMA_SMS_GRACE_SECONDS must be at least {least:.0f}: sooner, messages may go out twice"
    if settings.sms_provider == "gateway" and not settings.sms_gateway.get_secret_value():
        yield "LEIMA_SMS_GATEWAY is missing: point LEIMA_SMS_GATEWAY_FILE to the gateway's description"


def _secret_and_address(settings: "Settings") -> Iterator[str]:
    secret = settings.secret_key.get_secret_value()
    if secret and len(secret) < 32:
        yield "LEIMA_SECRET_KEY must have at least 32 characters"
    if settings.env == "production":
        if not secret:
            yield (
                "LEIMA_SECRET_KEY is missing. Make one with: "
                'python3 -c "import secrets; print(secrets.token_urlsafe(48))", and keep it in a safe place'
            )
        if not settings.public_url:
            yield "LEIMA_PUBLIC_URL is missing. It is the address under which phones reach Leima"
        elif not settings.public_url.startswith("https://"):
            yield "LEIMA_PUBLIC_URL must start with https:// in production: wallets refuse anything else"
