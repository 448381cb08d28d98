"""What is given for a friend, in words."""

from app.db.bonus import BonusKind
from app.db.referrals import ReferralState, RewardedOn
from app.i18n import N_, Translator
from app.loyalty.referrals import Gift, Reason
from app.services.referral_rules import Choices, Rules

# How a referral stands, and why, for the office and for a member's own data.
STATES = {
    ReferralState.WAITING: N_("Waits for the first purchase"),
    ReferralState.REWARDED: N_("Rewarded"),
    ReferralState.REFUSED: N_("Not rewarded"),
    ReferralState.TAKEN_BACK: N_("Taken back: the purchase was undone"),
}
REASONS = {
    Reason.SELF: N_("The member's own link"),
    Reason.RING: N_("The link leads back to somebody who brought this member"),
    Reason.KNOWN: N_("Was a member already"),
    Reason.RETURNED: N_("Had left, and is back"),
    Reason.DEVICE: N_("Joined in a browser that another member uses"),
    Reason.ENDED: N_("Nothing was given for friends then, or the member had left"),
    Reason.STOPPED: N_("The guard had stopped this member"),
    Reason.LIMIT: N_("The member had been rewarded for as many as a month allows"),
    Reason.MANAGER: N_("A manager said no"),
    Reason.ERASED: N_("One of the two was erased"),
    Reason.USED: N_("The reward had been used already, and stays"),
}

_JOINING = {
    "friend": N_("A friend who joins by a member's link gets %(gift)s at once."),
    "referrer": N_("The member whose link it was then gets %(gift)s."),
}
_PURCHASE = {
    "friend": N_("A friend who joined by a member's link gets %(gift)s with the first purchase."),
    "referrer": N_("The member whose link it was then gets %(gift)s."),
}


def gift(text: Translator, given: Gift, possible: Choices) -> str:
    """What one of the two gets: '2 stamps + Free coffee'; empty when nothing."""
    parts = []
    if given.stamps:
        parts.append(text.ngettext("%(n)s stamp", "%(n)s stamps", given.stamps))
    if given.bonus and possible.bonus.kind is not BonusKind.OFF:
        parts.append(possible.bonus.amount(text, given.bonus))
    if name := possible.name_of(given.reward_type_id):
        parts.append(name)
    return " + ".join(parts)


def promise(text: Translator, rules: Rules, possible: Choices) -> str:
    """What a friend is promised; empty when friends get nothing."""
    shown = gift(text, rules.friend, possible)
    if not shown:
        return ""
    if rules.rewarded_on is RewardedOn.JOINING:
        return text.gettext(N_("You come by a friend's link: for joining you get %(gift)s."), gift=shown)
    return text.gettext(N_("You come by a friend's link: with your first purchase you get %(gift)s."), gift=shown)


def offer(text: Translator, rules: Rules, possible: Choices) -> list[str]:
    """What a member is told of bringing friends."""
    own, friends = gift(text, rules.referrer, possible), gift(text, rules.friend, possible)
    joining = rules.rewarded_on is RewardedOn.JOINING
    found = []
    if own and joining:
        found.append(text.gettext(N_("You get %(gift)s for each friend who joins by your link."), gift=own))
    elif own:
        words = N_("You get %(gift)s for each friend who joins by your link, with their first purchase.")
        found.append(text.gettext(words, gift=own))
    if friends:
        found.append(text.gettext(N_("Your friend gets %(gift)s."), gift=friends))
    return found


def sentences(text: Translator, rules: Rules, possible: Choices) -> list[str]:
    """The rules as an owner reads them, sentence by sentence."""
    if not rules.active:
        return [text.gettext(N_("Members have no links of their own: nothing is given for friends."))]
    words = _JOINING if rules.rewarded_on is RewardedOn.JOINING else _PURCHASE
    found = []
    for side, given in (("friend", rules.friend), ("referrer", rules.referrer)):
        if shown := gift(text, given, possible):
            found.append(text.gettext(words[side], gift=shown))
    if not gift(text, rules.friend, possible):
        words_for_none = (
            N_("The friend gets nothing; the member is rewarded when the friend joins.")
            if rules.rewarded_on is RewardedOn.JOINING
            else N_("The friend gets nothing; the member is rewarded with the friend's first purchase.")
        )
        found.insert(0, text.gettext(words_for_none))
    found.append(
        text.ngettext(
            "A member is rewarded for %(n)s friend a month at most; friends beyond that get theirs all the same.",
            "A member is rewarded for %(n)s friends a month at most; friends beyond that get theirs all the same.",
            rules.month_limit,
        )
    )
    return found
