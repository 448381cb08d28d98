"""Why a wallet or a phone was not reached, in words that an owner understands and can act on."""

import re

from app.db.delivery import Channel
from app.i18n import N_

_CERTIFICATE_EXPIRED = N_(
    "The certificate for Apple Wallet has expired. Whoever runs the server adds a new one with: leima certs import"
)
_CERTIFICATE_MISSING = N_(
    "The certificate for Apple Wallet is missing. Whoever runs the server adds it with: leima certs import"
)
_CERTIFICATE_REFUSED = N_(
    "Apple does not accept the certificate for Apple Wallet. Whoever runs the server sees more with: leima doctor"
)
_PUSH_KEY_REFUSED = N_("Apple does not accept the push key. Whoever runs the server sees more with: leima doctor")
_APPLE_UNREACHABLE = N_("Apple could not be reached. Whoever runs the server sees more with: leima doctor")
_APPLE_BUSY = N_("Apple is too busy at the moment.")
_APPLE_OUT_OF_ORDER = N_("Apple's push service is out of order at the moment.")
_APPLE_REFUSED = N_("Apple refused this update. Whoever runs the server finds more in the log.")
_GOOGLE_OFF = N_("Google Wallet is not set up on this server. Whoever runs the server sees more with: leima doctor")
_GOOGLE_ACCOUNT = N_(
    "Google does not accept this shop's account for cards. Whoever runs the server sees more with: leima doctor"
)
_GOOGLE_KEY = N_(
    "Google does not accept the key of the service account. Whoever runs the server sees more with: leima doctor"
)
_GOOGLE_UNREACHABLE = N_("Google could not be reached. Whoever runs the server sees more with: leima doctor")
_GOOGLE_BUSY = N_("Google is too busy at the moment.")
_GOOGLE_OUT_OF_ORDER = N_("Google Wallet is out of order at the moment.")
_GOOGLE_REFUSED = N_(
    "Google refused this card. Check the programme's name, texts and logo; whoever runs the server finds more in the "
    "log."
)
_OURS = N_("Something went wrong on our side. Whoever runs the server finds more in the log.")

# Apple's reasons and ours for what happens before an answer (see passes.apple.push and push_connection).
_APPLE_REASONS = {
    "CertificateExpired": _CERTIFICATE_EXPIRED,
    "NoCredentials": _CERTIFICATE_MISSING,
    "BadCertificate": _CERTIFICATE_REFUSED,
    "BadCertificateEnvironment": _CERTIFICATE_REFUSED,
    "BadTopic": _CERTIFICATE_REFUSED,
    "CertificateRefused": _CERTIFICATE_REFUSED,
    "Forbidden": _CERTIFICATE_REFUSED,
    "MissingProviderToken": _CERTIFICATE_REFUSED,
    "TopicDisallowed": _CERTIFICATE_REFUSED,
    "BadEnvironmentKeyIdInToken": _PUSH_KEY_REFUSED,
    "ExpiredProviderToken": _PUSH_KEY_REFUSED,
    "InvalidProviderToken": _PUSH_KEY_REFUSED,
    "UnrelatedKeyIdInToken": _PUSH_KEY_REFUSED,
    "ConnectFailed": _APPLE_UNREACHABLE,
    "ConnectionLost": _APPLE_UNREACHABLE,
    "NotHttp2": _APPLE_UNREACHABLE,
    "ProtocolError": _APPLE_UNREACHABLE,
    "StreamReset": _APPLE_UNREACHABLE,
    "Timeout": _APPLE_UNREACHABLE,
    "TlsFailed": _APPLE_UNREACHABLE,
    "UntrustedServer": _APPLE_UNREACHABLE,
    "Waiting": _APPLE_UNREACHABLE,
    "NotSent": _APPLE_BUSY,
    "TooManyProviderTokenUpdates": _APPLE_BUSY,
    "TooManyRequests": _APPLE_BUSY,
    "IdleTimeout": _APPLE_OUT_OF_ORDER,
    "InternalServerError": _APPLE_OUT_OF_ORDER,
    "ServiceUnavailable": _APPLE_OUT_OF_ORDER,
    "Shutdown": _APPLE_OUT_OF_ORDER,
}
_APPLE_STATUSES = {"403": _CERTIFICATE_REFUSED, "408": _APPLE_UNREACHABLE, "429": _APPLE_BUSY}

# Parts of the sentences of passes.google.outcome, and of what the settings' part in a failure is called.
_GOOGLE_PARTS = (
    ("is not set up here", _GOOGLE_OFF),
    ("LEIMA_GOOGLE_ACCOUNT", _GOOGLE_KEY),
    ("service account's key", _GOOGLE_KEY),
    ("service account's token", _GOOGLE_KEY),
    ("may not act for this issuer", _GOOGLE_ACCOUNT),
    ("API is not enabled", _GOOGLE_ACCOUNT),
    ("fewer requests", _GOOGLE_BUSY),
    ("took too long", _GOOGLE_UNREACHABLE),
    ("could not be reached", _GOOGLE_UNREACHABLE),
    ("out of order", _GOOGLE_OUT_OF_ORDER),
)

# A fault of ours is kept as the name of a Python exception and its text.
_EXCEPTION = re.compile(r"[A-Z]\w*(?:Error|Exception|Interrupt): ")


def in_words(channel: Channel, error: str) -> str:
    """The text to show for an outbox row's error, in English, to be translated. Empty for no error."""
    if not error:
        return ""
    match channel:
        case Channel.APPLE:
            return _apple(error)
        case Channel.GOOGLE:
            return _google(error)
        case Channel.SMS | Channel.CAMPAIGN:  # adapters speak in such sentences already
            return _OURS if _EXCEPTION.match(error) else error
        case Channel.REFRESH | Channel.TASK:
            return _OURS


def _apple(error: str) -> str:
    words = re.findall(r"\w+", error)
    for word in words:
        if word in _APPLE_REASONS:
            return _APPLE_REASONS[word]
    if _EXCEPTION.match(error):
        return _OURS
    status = words[0] if words else ""
    if re.fullmatch("5[0-9]{2}", status):
        return _APPLE_OUT_OF_ORDER
    return _APPLE_STATUSES.get(status, _APPLE_REFUSED)


def _google(error: str) -> str:
    for part, words in _GOOGLE_PARTS:
        if part in error:
            return words
    return _OURS if _EXCEPTION.match(error) else _GOOGLE_REFUSED
