"""The tour's part about the whole programme: two cards, bonus, tiers, the door, coupons, friends, and one's data."""

import io
import json
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from app.cli.tour_people import Phones, Visitor, expect, shown_pass, sign_in, step

T = TypeVar("T")
_PATIENCE_SECONDS = 15.0
_LUNCH_FOR_TWO = (("Lunch of the day", "2", 2580), ("Cappuccino", "2", 900))
_FRIENDS_PHONE = "040 765 4322"


def call(told: dict[str, Any], path: str, key: str = "", **body: Any) -> dict[str, Any]:
    """Call the API as a till does; its answer. Without a body it is a GET."""
    headers = {"Authorization": f"Bearer {told['api_key']}", "Idempotency-Key": key}
    address = f"{told['base_url']}/api/v1/{path}"
    if body:
        answer = requests.post(address, json=body, headers=headers, timeout=20)
    else:
        answer = requests.get(address, headers=headers, timeout=20)
    expect(answer.ok, f"the API answered {answer.status_code}: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found


def wait_for(look: Callable[[], T], until: Callable[[T], bool], otherwise: str) -> T:
    """Look again and again until it is so; what was seen then."""
    last = time.monotonic() + _PATIENCE_SECONDS
    while not until(seen := look()):
        expect(time.monotonic() < last, f"{otherwise}: {str(seen)[:400]}")
        time.sleep(0.05)
    return seen


def two_cards_and_bonus(told: dict[str, Any], card_url: str) -> str:
    """A receipt earns on both stamp cards, and bonus, which pays at the till. Returns the card's code."""
    cashier, customer = Visitor(told["base_url"]), Visitor(told["base_url"])
    code = str(shown_pass(customer, card_url)["barcode"]["message"])
    lines = [{"name": name, "quantity": count, "amount_minor": cents} for name, count, cents in _LUNCH_FOR_TWO]
    sum_minor = sum(cents for _, _, cents in _LUNCH_FOR_TWO)
    done = call(told, "purchases", "tour-lunch", card=code, amount_minor=sum_minor, lines=lines)
    earned = {card["name"]: card["given"] for card in done["stamp_cards"]}
    expect(earned == {"Coffee": 2, "Lunch": 2} and done["bonus_given"] == 104, f"the purchase earned {done}")
    step("Lunch for two earns on two cards, and bonus", "2 stamps for coffee, 2 for lunch, €1.04")

    shown = cashier.send(sign_in(cashier, told), "code", code=code)
    paid = cashier.send(shown, "bonus_bill", bonus_bill="3.20", bonus_part="1")
    expect("€1.00" in paid.text and "€0.04" in paid.text, "the till does not say what the bonus paid")
    step("Bonus pays at the till", "€1.00 off, €0.04 left")
    return code


def tier(told: dict[str, Any], phones: Phones, iphone: str, card_url: str, code: str) -> None:
    """Spending enough makes a tier, which both wallets show."""
    android = phones.add("android", card_url)
    before = phones.card(iphone)["background"]
    call(told, "purchases", "tour-tier", card=code, amount_minor=12000)
    news = wait_for(lambda: phones.news(iphone), lambda texts: "Silver" in texts, "the phone does not tell of the tier")
    after = phones.card(iphone)["background"]
    expect(before != after, f"the card is still {after}")
    held = wait_for(
        lambda: json.dumps(phones.card(android)), lambda seen: "Silver bean" in seen, "the pretend Android shows"
    )
    expect("Silver bean" in held, "the Android does not show the tier")
    step("€120 later the customer is a Silver bean, and both phones show it", f"{news}; {before} → {after}")


def coupon(told: dict[str, Any], phones: Phones, phone: str, card_url: str, code: str) -> None:
    """A full card's reward goes into the wallet as a pass of its own; using it at the till ends it there."""
    call(told, "stamps", "tour-coffees", card_code=code, count=8)
    phones.follow(phone, card_url)
    held = phones.take_coupon(phone)
    expect(not held["ended"], f"the coupon is {held}")
    step("The reward goes into the wallet as a coupon of its own", held["code"])
    cashier = Visitor(told["base_url"])
    shown = cashier.send(sign_in(cashier, told), "code", code=held["code"])
    used = cashier.send(shown, "reward_id")
    expect("Free coffee" in used.text, "the till does not say that the reward was used")
    ended = wait_for(lambda: phones.card(phone, held["id"]), lambda card: bool(card["ended"]), "the coupon holds")
    step("Scanned and used at the till, it is void on the phone", str(ended["ended"]))


def door(told: dict[str, Any], code: str) -> None:
    """The check-in page counts a visit once."""
    cashier = Visitor(told["base_url"])
    sign_in(cashier, told)
    cashier.open("/till/door")
    state = cashier.open("/till/door/state").json()
    form = {"csrf_token": state["csrf"], "code": code, "location_id": state["place"]}
    first = cashier.http.post(f"{told['base_url']}/till/door/visits", data=form | {"key": "tour-door-1"}, timeout=20)
    again = cashier.http.post(f"{told['base_url']}/till/door/visits", data=form | {"key": "tour-door-2"}, timeout=20)
    expect(first.ok and first.json()["outcome"] == "good", f"the door said {first.text}")
    expect(again.ok and again.json()["outcome"] == "again", f"the door then said {again.text}")
    step("At the door a visit counts once", f"{first.json()['headline']} … {again.json()['headline']}")


def friend(told: dict[str, Any], card_url: str, code: str) -> str:
    """A friend joins by the customer's link, is seen at the door, and buys. Returns the friend's card."""
    customer, other = Visitor(told["base_url"]), Visitor(told["base_url"])
    page = customer.open(f"{card_url}/me/friend").text
    [link] = set(re.findall(r'value="(\S+/r/\w+)"', page))
    card = other.send(other.open(link), "phone", phone=_FRIENDS_PHONE, name="Frida Friend", terms="on")
    expect("/c/" in card.url, f"joining by the link led to {card.url}")
    friends_code = str(shown_pass(other, card.url)["barcode"]["message"])
    door(told, friends_code)
    before = call(told, f"members/{code}")["bonus"]
    done = call(told, "purchases", "tour-friend", card=friends_code, amount_minor=2000)
    after = wait_for(
        lambda: call(told, f"members/{code}")["bonus"],
        lambda bonus: bonus == before + 200,
        "the customer's bonus for a friend never came",
    )
    expect(done["stamps"] == 3, f"the friend has {done['stamps']} stamps")
    step("A friend joins by a customer's link and buys: both are rewarded", f"2 stamps; {before} → {after} cents")
    return card.url


def nps(told: dict[str, Any], card_url: str) -> None:
    """The customer says how likely they are to recommend the café; the office shows it."""
    customer, manager = Visitor(told["base_url"]), Visitor(told["base_url"])
    survey = f"{card_url}/me/survey".removeprefix(told["base_url"])
    asked = customer.send_to(customer.open(card_url), survey)
    thanked = customer.send(asked, "score", score="9", comment="Friendly people.")
    expect("Thank you for your answer!" in thanked.text, "the page does not thank for the answer")
    sign_in(manager, told, "manager")
    expect("Friendly people." in manager.open("/office/nps").text, "the office does not show the answer")
    step("The customer answers how likely they are to recommend the café", "9, and the office shows why")


def own_data(told: dict[str, Any], card_url: str) -> None:
    """Everything that is kept of somebody, downloaded; then erased."""
    customer = Visitor(told["base_url"])
    kept = customer.open(f"{card_url}/me/data.json").json()
    tables = zipfile.ZipFile(io.BytesIO(customer.open(f"{card_url}/me/data.zip").content)).namelist()
    expect("Frida Friend" in json.dumps(kept), "the file does not tell who it is of")
    step("A customer takes all their data out", f"{len(kept)} sections as JSON, {len(tables)} files as ZIP")
    page = customer.open(f"{card_url}/me/erase")
    customer.send_to(page, f"{card_url}/me/erase".removeprefix(told["base_url"]), sure="on")
    gone = customer.http.get(card_url, timeout=20).status_code
    expect(gone in (404, 410), f"after erasing the page answers {gone}")
    step("…and has everything erased", f"the page answers {gone}")


def owners_data(data: Path) -> None:
    """The owner takes the whole programme out, and brings it into an empty installation."""
    file, other = data / "kulma.zip", data / "other"
    other.mkdir()
    told = _leima(data, "export", "kulma", "--to", str(file))
    loaded = _leima(other, "load", str(file))
    expect(file.stat().st_size > 0, told)
    again = data / "again.zip"
    _leima(other, "export", "kulma", "--to", str(again))
    tables = [
        {name: archive.read(name) for name in archive.namelist() if name.startswith("tables/members")}
        for archive in (zipfile.ZipFile(file), zipfile.ZipFile(again))
    ]
    expect(bool(tables[0]) and tables[0] == tables[1], f"other members came out than went in: {loaded}")
    step("The owner exports everything and loads it elsewhere", f"{file.stat().st_size // 1024} kB, the same again")


def _leima(data: Path, *arguments: str) -> str:
    environment = {"LEIMA_ENV": "demo", "LEIMA_DATA": str(data), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "app.cli", *arguments]
    done = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], env=environment, capture_output=True, text=True, check=False
    )
    expect(done.returncode in (0, 3), f"leima {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout
