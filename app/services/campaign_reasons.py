"""Why somebody whom a campaign chose did not get it, in words."""

from app.i18n import N_
from app.services import campaign_choosing, campaign_gate
from sms.reasons import MEANINGS, Reason

_HELD = {
    campaign_choosing.NO_CONSENT: N_("Has not agreed to offers, or wants no more"),
    campaign_choosing.NO_WALLET: N_("Has no card in a wallet"),
    campaign_choosing.OFTEN: N_("Has got enough offers lately"),
    campaign_gate.LEFT: N_("Has left"),
    campaign_gate.BLOCKED: N_("Is blocked"),
    campaign_gate.ERASED: N_("Has been erased"),
    campaign_gate.NUMBER_CHANGED: N_("Has a new phone number"),
    campaign_gate.COUNTRY: N_("SMS do not go to this country"),
    campaign_gate.NUMBER_CAP: N_("This number has got enough messages today"),
}
_NO_REASON = N_("Nobody said why")


def held(reason: str) -> str:
    """Why a recipient was held back: English, to be translated. What we have no words for stays as it is."""
    return _HELD.get(reason, reason or _NO_REASON)


def failed(reason: str) -> str:
    """Why an SMS failed: English, to be translated."""
    return MEANINGS[Reason(reason)].words if reason in set(Reason) else reason or _NO_REASON
