"""The tour's part by SMS: texting a code to join, credit with its code, and a campaign with a link."""

import re
import time
from datetime import timedelta
from typing import Any

import requests

from app import clock
from app.cli.tour_people import Phones, Visitor, expect, shown_pass, sign_in, step

_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_PATIENCE_SECONDS = 15.0


def texting(told: dict[str, Any], phones: Phones) -> tuple[str, str]:
    """Somebody without a card texts the shop's code, in Persian digits. Returns the phone and the card's address."""
    phone = phones.add("iphone")
    code = str(told["texting"]["code"]).translate(_PERSIAN)
    reply, seconds = phones.text(phone, code)
    expect(len(reply["links"]) == 1, f"the reply has no link: {reply['text']}")
    step(f"Another customer texts {code}, and gets a link", f"after {seconds:.2f} s, in {reply['parts']} part")
    [card] = phones.install(phone, reply["links"][0])
    again, _ = phones.text(phone, code)
    expect(again["links"] == reply["links"], f"texting again led to {again['text']}")
    step("The link leads to the card, which goes into the wallet; texting again leads to the same one", card)
    return phone, str(reply["links"][0])


def credit(told: dict[str, Any], phones: Phones, phone: str, card_url: str) -> None:
    """The owner gives credit; its code comes by SMS, and pays a bill at the till."""
    owner, cashier = Visitor(told["base_url"]), Visitor(told["base_url"])
    before = len(phones.messages(phone))
    headers = {"Authorization": f"Bearer {told['api_key']}"}
    card_code = shown_pass(owner, card_url)["barcode"]["message"]
    member = requests.get(f"{told['base_url']}/api/v1/members/{card_code}", headers=headers, timeout=20).json()
    sign_in(owner, told, "owner")
    page = owner.open(f"/office/members/{member['id']}/credit")
    last_day = (clock.now() + timedelta(days=30)).date().isoformat()
    owner.send(page, "amount", amount="12.50", last_day=last_day, reason="Welcome", sms="on")
    told_by_sms = phones.next_message(phone, before)["text"]
    found = re.search(r"\d{3} \d{2} \d{2}", told_by_sms)
    expect(found is not None, f"the SMS about the credit has no code: {told_by_sms}")
    step("The owner gives 12.50 € of credit; its code comes by SMS", told_by_sms)

    shown = cashier.send(sign_in(cashier, told), "code", code=found[0] if found else "")
    expect("12.50" in shown.text, "the till does not show the credit")
    used = cashier.send(shown, "amount", amount="8")
    expect("4.50" in used.text, "the till does not say what is left")
    step("The cashier types the code and the bill; the rest stays", "8.00 € off, 4.50 € left")
    fields = shown_pass(owner, card_url)["storeCard"]["auxiliaryFields"]
    left = [str(field["value"]) for field in fields if "4.50" in str(field["value"])]
    expect(len(left) == 1, f"the card shows {fields}")
    step("The card shows what is left", left[0])


def campaign(told: dict[str, Any], phones: Phones, phone: str) -> None:
    """The customer asks for offers; the marketer sends one with a link, which the customer follows."""
    owner, marketer = Visitor(told["base_url"]), Visitor(told["base_url"])
    sign_in(owner, told, "owner")
    owner.send(owner.open("/office/sms-rules"), "quiet_from", quiet_from="00:00", quiet_until="00:00")  # at any hour
    phones.say(phone, "START")
    before = len(phones.messages(phone))
    sign_in(marketer, told, "marketer")
    form = {"who": "everyone", "medium": "sms", "link": "card", "benefit": "none", "when": "now"}
    form |= {"text_a_en": "A quiet week: two for one! {link} No more: {stop}", "action": ""}
    ready = marketer.send(marketer.open("/office/campaigns/new"), "name", name="Quiet week", **form)
    expect("/office/campaigns/" in ready.url, f"saving the campaign led to {ready.url}")
    [start] = set(re.findall(r'action="([^"]*/start)"', ready.text))
    marketer.send_to(ready, start)
    text = phones.next_message(phone, before)["text"]
    link = next(word for word in text.split() if "/l/" in word)
    step("A marketer sends an offer with a personal link", text)
    phones.follow(phone, link)
    figures = f"{ready.url}/figures"
    until = time.monotonic() + _PATIENCE_SECONDS
    while not (clicks := re.search(r"Opened the link.{0,200}?(1 person)", marketer.open(figures).text, re.DOTALL)):
        expect(time.monotonic() < until, "the figures never showed the click")
        time.sleep(0.2)
    step("The customer follows it, and the figures show the click", clicks[1])
