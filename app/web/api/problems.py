"""Every kind of refusal that the API gives: what it means, and what the till should do. The kinds never change."""

from dataclasses import dataclass

from app.i18n import N_


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    meaning: str
    what_to_do: str


_SHOW = N_("Show the detail to the cashier. Repeating the call changes nothing.")
_MEND = N_("Mend the software: the same call will be refused again.")
_LATER = N_("Repeat the call with the same Idempotency-Key after a pause, and longer pauses after each failure.")


def title(kind: str) -> str:
    """What a problem's title says: its kind as words, in English like the kind."""
    return kind.replace("-", " ").capitalize()


KINDS = {
    # The call itself
    "unauthorized": Kind(
        401,
        N_("The API key is missing, wrong or ended."),
        N_("Send Authorization: Bearer and the key. The owner makes keys in the office."),
    ),
    "too-many-tries": Kind(
        429,
        N_("This key has made too many calls."),
        N_("Wait as many seconds as the header Retry-After says, then repeat the call with the same Idempotency-Key."),
    ),
    "malformed-json": Kind(400, N_("The body is not JSON in UTF-8."), _MEND),
    "wrong-content-type": Kind(
        415, N_("The body is not said to be JSON."), N_("Send the header Content-Type: application/json.")
    ),
    "body-too-large": Kind(413, N_("The body is larger than 64 KB."), _MEND),
    "invalid-fields": Kind(
        422,
        N_("Some fields are wrong. errors names each of them and says what to do."),
        N_("Show the text of a field that a person typed beside it. Mend the software for the others."),
    ),
    "idempotency-key-missing": Kind(
        400,
        N_("A call that changes a balance came without the header Idempotency-Key."),
        N_("Make a random key for each act at the till, and keep it until the answer has come."),
    ),
    "invalid-idempotency-key": Kind(
        400, N_("The Idempotency-Key is not 1 to 80 visible ASCII characters."), N_("Use a UUID, for example.")
    ),
    "idempotency-key-reused": Kind(
        409,
        N_("This Idempotency-Key was used for a call with another body."),
        N_("Use a new key for a new act. Send exactly the same body when you repeat a call."),
    ),
    "not-found": Kind(404, N_("There is no such address."), N_("Compare the address with /api/docs.")),
    "method-not-allowed": Kind(405, N_("This address does not take that method."), N_("Compare it with /api/docs.")),
    "bad-request": Kind(400, N_("The request could not be read."), _MEND),
    "internal-server-error": Kind(500, N_("Something broke on our side. Nothing was changed."), _LATER),
    # Members
    "member-not-found": Kind(
        404,
        N_("No member of this programme has this card or phone number."),
        N_("Ask the customer to show the card again, or offer to join."),
    ),
    "unreadable-code": Kind(
        422, N_("This is not a card code."), N_("Scan again, or type the 16 letters and digits under the QR code.")
    ),
    "member-blocked": Kind(403, N_("The member is blocked."), N_("A manager can unblock members in the office.")),
    "member-left": Kind(
        403,
        N_("The customer has left the programme."),
        N_("Offer to join again (POST /api/v1/members): the card comes back with what was on it."),
    ),
    # Stamps
    "not-started": Kind(409, N_("The programme has not started yet."), _SHOW),
    "amount-needed": Kind(
        422, N_("The programme has a smallest purchase, and no amount was sent."), N_("Send amount_minor.")
    ),
    "purchase-too-small": Kind(422, N_("The purchase is below the smallest that gets a stamp."), _SHOW),
    "location-not-found": Kind(
        404,
        N_("The programme has no open location with this id or name."),
        N_("GET /api/v1/program lists the locations."),
    ),
    # Rewards
    "reward-not-found": Kind(404, N_("This programme has no such reward."), _SHOW),
    "reward-used": Kind(
        409,
        N_("The reward was used already. For undo: the stamps filled a card whose reward is no longer open."),
        N_("Show the detail. To undo such stamps, undo the reward's entry first."),
    ),
    "reward-expired": Kind(409, N_("The reward's last day has passed."), _SHOW),
    "reward-withdrawn": Kind(409, N_("The reward was taken back when its stamp was undone."), _SHOW),
    # Undo
    "entry-not-found": Kind(404, N_("This programme has no such entry, or it is not one that can be undone."), _SHOW),
    "already-undone": Kind(409, N_("The entry was undone before."), _SHOW),
    "stamps-used": Kind(409, N_("The stamps went into a later reward, or have lapsed."), _SHOW),
}
