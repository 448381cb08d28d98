"""Takes the pictures that README and docs show, of a fresh demo: docs/pictures/*.png.

.venv/bin/python scripts/screenshots.py            # all
.venv/bin/python scripts/screenshots.py phones     # some: customers, staff, phones, messages, programme
"""

import re
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402 - only found after the line above

from app import clock  # noqa: E402 - only found after the line above
from app.cli.tour import running_demo  # noqa: E402
from scripts.window_frames import side_by_side  # noqa: E402
from tests.browser.conftest import QUIET, chromium_path  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
SHELF = {"width": 1280, "height": 920}
HALF = {"width": 800, "height": 920}


def main() -> int:
    path = chromium_path()
    if path is None:
        print("No Chromium: run scripts/install-chromium.sh", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_demo(Path(folder), history=True) as told,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        wanted = sys.argv[1:] or list(PARTS)
        for name in wanted:
            PARTS[name](browser, told)
        browser.close()
    return 0


def customer_pictures(browser: Browser, told: dict[str, Any]) -> None:
    page = opened(browser, told, PHONE)
    page.goto(told["join_url"])
    take(page, "join-phone")
    for name, member in zip(("card-fi", "card-phone", "card-ru", "card-fa"), told["members"], strict=False):
        page.goto(member["card_url"])
        take(page, name)
    wide = opened(browser, told, DESKTOP)
    wide.goto(told["members"][1]["card_url"])
    take(wide, "card-desktop")
    wide.goto(f"{told['base_url']}/api/docs")
    take(wide, "api-docs")


def staff_pictures(browser: Browser, told: dict[str, Any]) -> None:
    for size, ending in ((DESKTOP, ""), (PHONE, "-phone")):
        page = opened(browser, told, size)
        sign_in(page, told)
        take(page, f"office{ending}")
        for part in ("program", "members", "staff", "poster"):
            page.goto(f"{told['base_url']}/office/{part}")
            take(page, f"office-{part}{ending}")
        page.goto(told["till_url"])
        take(page, f"till-empty{ending}")
        scan(page, told["members"][1]["card_code"])
        page.get_by_text("Bob Miller").first.wait_for()
        take(page, f"till{ending}")
        page.goto(f"{told['till_url']}?lang=fa")
        scan(page, told["members"][3]["card_code"])
        page.get_by_text("مریم رضایی").first.wait_for()
        take(page, f"till-fa{ending}")


def sign_in(page: Page, told: dict[str, Any]) -> None:
    page.goto(f"{told['base_url']}/staff/sign-in")
    owner = told["staff"][0]
    page.get_by_label("Sign-in name").fill(owner["login"])
    page.get_by_label("Password").fill(owner["password"])
    page.get_by_role("button", name="Sign in").click()


def phones_pictures(browser: Browser, told: dict[str, Any]) -> None:
    """Both phones of one customer after a stamp at the till, and the till beside them."""
    phones, till = opened(browser, told, SHELF), opened(browser, told, HALF)
    go_to_empty_shelf(phones, told)
    for number, kind in enumerate(("iPhone", "Android"), start=1):
        phones.get_by_label(kind, exact=True).check()
        phones.get_by_label("Whose card?").select_option("Bob Miller")
        phones.get_by_role("button", name="Add the phone").click()
        expect(phones.locator(".stand")).to_have_count(number)
    fill_a_card(phones, told)
    for alerts in phones.locator(".alerts").all():
        expect(alerts).to_contain_text("Your reward is here")
    give_a_stamp(till, told)
    expect(phones.locator(".iphone .alert").first).to_contain_text("4 of 10")
    expect(phones.locator(".android .front .fields")).to_contain_text("4/10")
    phones.wait_for_timeout(1200)  # what is new shines for a moment
    to_the_shelf = "scrollTo(0, document.querySelector('.shelf').offsetTop - 24)"
    phones.evaluate(to_the_shelf)
    phones.screenshot(path=PICTURES / "phones.png")
    phones.set_viewport_size(HALF)  # type: ignore[arg-type]
    phones.evaluate(to_the_shelf)
    side_by_side([till.screenshot(), phones.screenshot()], PICTURES / "till-and-phones.png")
    print("docs/pictures/phones.png\ndocs/pictures/till-and-phones.png")


def messages_pictures(browser: Browser, told: dict[str, Any]) -> None:
    """Somebody joins by SMS, gets credit and an offer; and what the till and the office show of it."""
    phones, office = opened(browser, told, SHELF), opened(browser, told, DESKTOP)
    go_to_empty_shelf(phones, told)
    for kind, language, words in (("iPhone", "English", "48213"), ("Android", "فارسی", "سلام ۴۸۲۱۳")):
        phones.get_by_label(kind, exact=True).check()
        phones.get_by_label("The phone’s language").select_option(language)
        phones.get_by_role("button", name="Add the phone").click()
        stand = phones.locator(".stand").last
        stand.get_by_label("Text message").fill(words)
        stand.get_by_label("Text message").press("Enter")
        expect(stand.locator(".bubble.theirs")).to_have_count(1, timeout=20_000)
    sign_in(office, told)
    member = found_member(office, told, 1)
    for who in (member, found_member(office, told, 3)):
        give_credit(office, told, who)
    code = code_of(office, told, member)
    office.goto(told["till_url"])
    office.locator("#code").fill(code)
    office.locator("#code").press("Enter")
    expect(office.get_by_role("heading", name="Credit: €12.50")).to_be_visible()
    take(office, "till-credit")
    campaign(office, told)
    phones.evaluate("scrollTo(0, document.querySelector('.shelf').offsetTop - 24)")
    phones.screenshot(path=PICTURES / "phones-sms.png")
    print("docs/pictures/phones-sms.png")
    cards = opened(browser, told, PHONE)
    cards.goto(told["members"][3]["card_url"])
    take(cards, "card-credit-fa")


def found_member(page: Page, told: dict[str, Any], number: int) -> dict[str, Any]:
    """A member as the API knows them."""
    address = f"{told['base_url']}/api/v1/members/{told['members'][number]['card_code']}"
    answer = page.request.get(address, headers={"Authorization": f"Bearer {told['api_key']}"})
    expect(answer).to_be_ok()
    found: dict[str, Any] = answer.json()
    return found


def give_credit(office: Page, told: dict[str, Any], member: dict[str, Any]) -> None:
    office.goto(f"{told['base_url']}/office/members/{member['id']}/credit")
    office.locator("#amount").fill("12.50")
    office.locator("#last_day").fill((clock.now().date() + timedelta(days=30)).isoformat())
    take(office, "office-credit")
    office.locator("main form button.primary").click()
    expect(office.get_by_text("€12.50").first).to_be_visible()


def code_of(page: Page, told: dict[str, Any], member: dict[str, Any]) -> str:
    """The code in the SMS that the pretend Twilio has for this member."""
    url = f"{told['sandbox']['control']['twilio']}/control/messages"
    for _ in range(100):
        for message in page.request.get(url).json()["messages"]:
            if found := re.search(r"\d{3} \d{2} \d{2}", message["body"]) if message["to"] == member["phone"] else None:
                return found[0]
        page.wait_for_timeout(100)
    raise SystemExit("The SMS about the credit never came")


def campaign(office: Page, told: dict[str, Any]) -> None:
    office.goto(f"{told['base_url']}/office/campaigns/new")
    office.get_by_label("Name of the campaign").fill("Quiet week")
    office.get_by_label("Who gets it").select_option("everyone")
    office.locator("#text_a_en").fill("{first_name|Hello}! This week two stamps for one: {link} {stop}")
    office.get_by_label("Link", exact=True).select_option("card")
    office.locator("#when").select_option("now")
    take(office, "campaign-write")
    office.get_by_role("button", name="Save", exact=True).click()
    office.wait_for_url("**/campaigns/*")
    take(office, "campaign-ready")
    office.goto(f"{told['base_url']}/office/classes")
    office.get_by_role("button", name="Make these five").click()
    take(office, "office-classes")


def programme_pictures(browser: Browser, told: dict[str, Any]) -> None:
    """Bonus, tiers, rewards, visits, friends and questions: in the office, at the till and the door, on the phone."""
    office, door = opened(browser, told, DESKTOP), opened(browser, told, PHONE)
    aino, base = told["members"][0], told["base_url"]
    sign_in(office, told)
    for part in ("bonus", "tiers", "rewards", "visits", "referral", "nps", "joining", "stamps", "staff-figures"):
        office.goto(f"{base}/office/{part}")
        take(office, f"office-{part}")
    office.goto(f"{base}/office/tiers?lang=fa")
    take(office, "office-tiers-fa")
    office.goto(f"{told['till_url']}?lang=en")
    scan(office, aino["card_code"])
    office.get_by_text(aino["name"]).first.wait_for()
    take(office, "till-programme")
    sign_in(door, told)
    door.goto(told["door_url"])
    expect(door.locator("#net")).to_have_attribute("data-net", "online")
    scan(door, aino["card_code"])
    expect(door.get_by_text("Welcome, Aino!").first).to_be_visible()
    take(door, "door-phone")
    own_pictures(browser, told)
    phones = opened(browser, told, SHELF)
    go_to_empty_shelf(phones, told)
    for number, kind in enumerate(("iPhone", "Android"), start=1):
        phones.get_by_label(kind, exact=True).check()
        phones.get_by_label("Whose card?").select_option(aino["name"])
        phones.get_by_role("button", name="Add the phone").click()
        expect(phones.locator(".stand")).to_have_count(number)
    expect(phones.locator(".android .front .fields")).to_contain_text("/10")
    phones.evaluate("scrollTo(0, document.querySelector('.shelf').offsetTop - 24)")
    take(phones, "phones-tier")


def own_pictures(browser: Browser, told: dict[str, Any]) -> None:
    """What customers see: the card in their tier's colour, a link for friends, the question, rewards to use."""
    page = opened(browser, told, PHONE)
    first = told["members"][0]["card_url"]
    for name, address in (("card-tier", ""), ("own-friend", "/me/friend"), ("own-receipts", "/me/receipts")):
        page.goto(f"{first}{address}?lang=en")
        take(page, name)
    for name, number, language in (("own-rewards", 2, "en"), ("own-question-fa", 3, "fa")):
        page.goto(f"{told['members'][number]['card_url']}?lang={language}")
        if number == 3:
            page.locator(".survey button").click()
            page.wait_for_url("**/n/*")
        else:
            page.locator(".rewards").scroll_into_view_if_needed()
        take(page, name)


def go_to_empty_shelf(page: Page, told: dict[str, Any]) -> None:
    """The pretend phones' page, without those of earlier pictures."""
    address = told["sandbox"]["phones_url"]
    for phone in page.request.get(address, headers={"Accept": "application/json"}).json():
        page.request.post(f"{address}/{phone['id']}/throw-away")
    page.goto(address)


def scan(page: Page, code: str) -> None:
    """As a scanner types."""
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def fill_a_card(page: Page, told: dict[str, Any]) -> None:
    """As till software does."""
    filled = page.request.post(
        f"{told['base_url']}/api/v1/stamps",
        headers={"Authorization": f"Bearer {told['api_key']}", "Idempotency-Key": "screenshots"},
        data={"card_code": told["members"][1]["card_code"], "count": 9},
    )
    expect(filled).to_be_ok()


def give_a_stamp(till: Page, told: dict[str, Any]) -> None:
    sign_in(till, told)
    till.goto(told["till_url"])
    scan(till, told["members"][1]["card_code"])
    till.locator("#give button.primary").click()
    expect(till.locator("#result")).to_contain_text("1 stamp given")


def opened(browser: Browser, told: dict[str, Any], size: dict[str, int]) -> Page:
    context = browser.new_context(viewport=size, device_scale_factor=2 if size is PHONE else 1, locale="en-GB")  # type: ignore[arg-type]
    return context.new_page()


def take(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"docs/pictures/{name}.png")


PARTS = {
    "customers": customer_pictures,
    "staff": staff_pictures,
    "phones": phones_pictures,
    "messages": messages_pictures,
    "programme": programme_pictures,
}
"""What can be asked for by name."""


if __name__ == "__main__":
    sys.exit(main())
