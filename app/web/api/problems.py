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
        N_("This key has made too many calls, or this was tried too often."),
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
    "limiter-down": Kind(503, N_("Tries cannot be counted at the moment, so secrets are not checked."), _LATER),
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
    "stamp-card-not-found": Kind(
        404,
        N_("The programme has no stamp card in use with this id or name."),
        N_("GET /api/v1/program lists the stamp cards."),
    ),
    "location-not-found": Kind(
        404,
        N_("The programme has no open location with this id or name."),
        N_("GET /api/v1/program lists the locations."),
    ),
    "guard-blocked": Kind(
        403,
        N_("This was done so often that it looks like a slip or a fraud."),
        N_("Show the detail to the cashier. A manager can allow it again in the office."),
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
    "reward-not-yet": Kind(409, N_("The reward can be used from a later day on."), _SHOW),
    "reward-not-here": Kind(409, N_("The reward can be used at other locations only."), _SHOW),
    "reward-not-today": Kind(409, N_("The reward can be used on other days of the week only."), _SHOW),
    "proof-needed": Kind(
        403,
        N_("Spending needs the customer's card, or a one-time code that was sent to their phone."),
        N_("Scan the card and send its proof, or POST /api/v1/members/{id}/one-time-code."),
    ),
    "proof-not-valid": Kind(
        403,
        N_("The proof has run out, belongs to another member or another key, or the card is another member's."),
        N_("Look the card up again, or send a new one-time code."),
    ),
    "one-time-code-wrong": Kind(
        422,
        N_("This is not the one-time code that was sent. The detail says how many tries are left."),
        N_("Ask the customer to read the digits again."),
    ),
    "one-time-code-over": Kind(
        409,
        N_("No one-time code is open: it was used, is too old, or was mistyped too often."),
        N_("POST /api/v1/members/{id}/one-time-code sends a new one."),
    ),
    # Credit
    "code-not-valid": Kind(
        404,
        N_("The code is wrong, used up, expired, blocked, or not valid yet. Keys are not told which."),
        N_("Ask the customer to read the 7 digits again. A manager can see the reason at Leima's own till."),
    ),
    "phone-digits-needed": Kind(
        422,
        N_("So many codes are active that a guess could hit one, so the phone's last digits are asked for, too."),
        N_("Send phone_last4; empty text for a coupon of a company or a club. It was not counted as a try."),
    ),
    "invalid-phone-digits": Kind(
        422, N_("phone_last4 is not 4 digits."), N_("Ask the customer for the last 4 digits of the phone number.")
    ),
    "codes-paused": Kind(
        429,
        N_("Too many wrong codes came from this key, or from this location. Managers have been told."),
        N_("Wait as many seconds as the header Retry-After says. Other tills can go on meanwhile."),
    ),
    "no-credit": Kind(409, N_("The member has no credit that can be used now."), _SHOW),
    # Bonus
    "no-bonus": Kind(409, N_("The programme gives no bonus, or the member has none."), _SHOW),
    "bonus-is-points": Kind(
        409, N_("In this programme bonus is points, which do not pay bills."), N_("Give a reward for them instead.")
    ),
    "reward-not-for-points": Kind(
        404,
        N_("The programme gives no such reward for points (any more)."),
        N_("GET /api/v1/program lists what can be given for points."),
    ),
    "too-few-points": Kind(409, N_("The member does not have as many points as the reward costs."), _SHOW),
    # Undo
    "entry-not-found": Kind(404, N_("This programme has no such entry, or it is not one that can be undone."), _SHOW),
    "already-undone": Kind(409, N_("The entry was undone before."), _SHOW),
    "undo-too-late": Kind(
        403, N_("The use of credit is too long ago: the owner has set for how long it can be undone."), _SHOW
    ),
    "credit-used": Kind(
        409, N_("Some of the credit was used."), N_("Undo its use first, or have a manager block what is left.")
    ),
    "credit-lapsed": Kind(409, N_("The credit has lapsed: nothing is left to withdraw."), _SHOW),
    "stamps-used": Kind(409, N_("The stamps went into a later reward, or have lapsed."), _SHOW),
    # Visits
    "visits-off": Kind(409, N_("The programme does not count visits."), _SHOW),
    "visit-too-old": Kind(422, N_("The card was shown too long ago for the visit to count."), _SHOW),
    # Purchases
    "purchase-not-found": Kind(404, N_("This programme has no such purchase."), _SHOW),
}
