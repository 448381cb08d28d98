"""What Google and its customers ask of us on the web: pictures, callbacks, and the way to the save page."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select

from app.db.delivery import GoogleObject, InstallEvent
from app.db.people import MemberStatus
from app.services import google_describing, members, programs
from app.services.context import Context
from app.services.views import MemberView
from app.web.factory import create_app
from passes.google.account import Account
from sandbox.google import GoogleSandbox
from sandbox.google_faults import Fault
from sandbox.google_signing import CallbackSigner
from tests.factories import PROGRAM_FORM
from tests.integration.google_shop import PUBLIC, GoogleShop, fresh, google_shop, loaded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def credentials(server: GoogleSandbox) -> Account:
    return loaded(server)


@pytest.fixture
def kulma(ctx: Context, server: GoogleSandbox, credentials: Account) -> Iterator[GoogleShop]:
    with google_shop(ctx, fresh(server), credentials) as made:
        yield made


def client_of(ctx: Context) -> FlaskClient:
    app: Flask = create_app(ctx)
    app.config["TESTING"] = True
    return app.test_client()


@pytest.fixture
def client(kulma: GoogleShop) -> FlaskClient:
    return client_of(kulma.ctx)


def path_of(kulma: GoogleShop, member: MemberView) -> str:
    return urlsplit(members.card_url(kulma.ctx, member)).path


def posted(client: FlaskClient, body: bytes) -> int:
    return client.post("/google/callback", data=body, content_type="application/json").status_code


def events(kulma: GoogleShop) -> list[bool]:
    with kulma.ctx.sessions() as session:
        return list(session.scalars(select(InstallEvent.added).order_by(InstallEvent.at)))


def installs(kulma: GoogleShop, member: MemberView) -> int:
    with kulma.ctx.sessions() as session:
        return session.get_one(GoogleObject, member.card_id).installs


def said(kulma: GoogleShop, member: MemberView, event: str = "save") -> bytes:
    """What Google would post about this card."""
    ids = (
        google_describing.class_id(kulma.ctx, member.program_id),
        google_describing.object_id(kulma.ctx, member.card_id),
    )
    return kulma.sandbox.signer.event(event, *ids)


def test_the_button_leads_to_googles_page_and_the_card_is_counted(kulma: GoogleShop, client: FlaskClient):
    member = kulma.shop.member(1)
    answer = client.get(path_of(kulma, member) + "/google")
    assert (302, True) == (answer.status_code, answer.location.startswith(kulma.sandbox.save_url))
    assert ("noindex, nofollow", "no-store") == (answer.headers["X-Robots-Tag"], answer.headers["Cache-Control"])
    kulma.session.post(answer.location, data={"user": "phone-1"}).raise_for_status()
    callback = kulma.last_callback()
    assert f"{PUBLIC}/google/callback" == kulma.sandbox.sender.sent[-1]["url"]
    assert [200, 200] == [posted(client, callback), posted(client, callback)]  # Google may repeat itself
    assert (1, [True]) == (installs(kulma, member), events(kulma))


def test_saves_and_removals_are_counted(kulma: GoogleShop, client: FlaskClient):
    member = kulma.saved()
    for event in ("save", "save", "del", "del", "del"):
        assert 200 == posted(client, said(kulma, member, event))
    assert (0, [True, True, False, False, False]) == (installs(kulma, member), events(kulma))


def test_a_card_that_only_google_remembers_is_kept_up_to_date_again(kulma: GoogleShop, client: FlaskClient):
    member = kulma.shop.member(1)
    assert 200 == posted(client, said(kulma, member))
    assert 1 == installs(kulma, member)
    kulma.stamp(member)
    kulma.deliver()
    assert "1/10" == kulma.points(member)


def test_what_google_did_not_sign_for_us_is_refused(
    kulma: GoogleShop, client: FlaskClient, at: Callable[[datetime], None], tmp_path_factory: pytest.TempPathFactory
):
    member = kulma.saved()
    good = said(kulma, member)
    forger = CallbackSigner.kept_in(tmp_path_factory.mktemp("forger") / "root.pem", kulma.sandbox.signer.now)
    ids = (
        google_describing.class_id(kulma.ctx, member.program_id),
        google_describing.object_id(kulma.ctx, member.card_id),
    )
    others = kulma.sandbox.signer.event(
        "save", "3388000000000000099.x", f"3388000000000000099.card-{member.card_id.hex}"
    )
    changed = json.loads(good)
    changed["signedMessage"] = changed["signedMessage"].replace("save", "del")
    for body in (forger.event("save", *ids), others, json.dumps(changed).encode(), b"", b"[]", b"x" * 70_000):
        assert 400 == posted(client, body)
    at(datetime.now(UTC) + timedelta(hours=2))
    assert 400 == posted(client, good)
    assert [] == events(kulma)


def test_a_genuine_callback_about_an_unknown_card_changes_nothing(kulma: GoogleShop, client: FlaskClient):
    member = kulma.shop.member(1)
    signer, issuer = kulma.sandbox.signer, kulma.sandbox.issuer_id
    for name in (f"card-{member.program_id.hex}", "card-nonsense", "another"):
        assert 200 == posted(client, signer.event("save", f"{issuer}.x", f"{issuer}.{name}"))
    assert [] == events(kulma)


def test_while_googles_keys_cannot_be_fetched_google_is_asked_to_come_back(kulma: GoogleShop, client: FlaskClient):
    callback = said(kulma, kulma.saved())
    kulma.sandbox.faults.add(Fault(503, path="/issuer/keys"))
    assert 503 == posted(client, callback)
    assert 503 == posted(client, callback)  # not asked again at once: anybody can post here
    assert [] == events(kulma)


def test_without_an_issuer_there_is_no_google(kulma: GoogleShop):
    off = replace(kulma.ctx, settings=kulma.ctx.settings.model_copy(update={"google_issuer_id": ""}))
    member = kulma.shop.member(1)
    client = client_of(off)
    assert 404 == posted(client, said(kulma, member))
    assert 404 == client.get(path_of(kulma, member) + "/google").status_code
    page = client.get(path_of(kulma, member)).text
    assert "Google Wallet" not in page
    assert "Add to Apple Wallet" in page


@pytest.mark.parametrize("status", [MemberStatus.LEFT, MemberStatus.BLOCKED])
def test_a_card_that_has_ended_gets_no_link(kulma: GoogleShop, client: FlaskClient, status: MemberStatus):
    member = kulma.shop.member(1)
    members.set_status(kulma.ctx, kulma.shop.owner, member.id, status)
    path = path_of(kulma, member)
    answer = client.get(f"{path}/google")
    assert (302, path) == (answer.status_code, answer.location)
    assert {} == kulma.sandbox.state.resources["loyaltyObject"]


def test_when_google_is_out_of_order_the_page_says_so_in_the_members_language(kulma: GoogleShop, client: FlaskClient):
    kulma.sandbox.faults.add(Fault(503, 99))
    answer = client.get(path_of(kulma, kulma.shop.member(1, language="fi")) + "/google")
    assert (503, True) == (answer.status_code, "Google Walletiin ei juuri nyt saada yhteyttä" in answer.text)


def test_an_impatient_customer_cannot_use_up_the_calls_to_google(kulma: GoogleShop, client: FlaskClient):
    path = path_of(kulma, kulma.saved()) + "/google"
    answers = {client.get(path).status_code for _ in range(120)}
    assert ({302}, 429) == (answers, client.get(path).status_code)


def test_pictures_of_stamps_are_kept_for_a_year_at_an_address_of_their_own(kulma: GoogleShop, client: FlaskClient):
    member = kulma.saved()
    addresses = []
    for _ in range(11):
        addresses.append(kulma.shown(member)["heroImage"]["sourceUri"]["uri"])
        kulma.stamp(member)
        kulma.deliver()
    assert (10, addresses[0]) == (len(set(addresses)), addresses[10])  # the full card begins anew
    pictures = []
    for address in addresses[:2]:
        answer = client.get(address.removeprefix(PUBLIC))
        assert ("image/png", "public, max-age=31536000, immutable") == (
            answer.mimetype,
            answer.headers["Cache-Control"],
        )
        with Image.open(BytesIO(answer.data)) as picture:
            assert (1032, 336) == picture.size
        pictures.append(answer.data)
    assert pictures[0] != pictures[1]


def test_a_new_logo_has_a_new_address_and_the_old_one_keeps_its_picture(kulma: GoogleShop, client: FlaskClient):
    def logo_of_class() -> str:
        kulma.save(member)
        (loyalty_class,) = kulma.sandbox.state.resources["loyaltyClass"].values()
        return str(loyalty_class["programLogo"]["sourceUri"]["uri"].removeprefix(PUBLIC))

    member = kulma.shop.member(1)
    plain = logo_of_class()
    drawn = client.get(plain).data
    logo = BytesIO()
    Image.new("RGB", (60, 60), "orange").save(logo, "PNG")
    programs.update(kulma.ctx, kulma.shop.owner, PROGRAM_FORM, logo=logo.getvalue())
    own = logo_of_class()
    answer = client.get(own)
    with Image.open(BytesIO(answer.data)) as picture:
        assert ((660, 660), (255, 165, 0)) == (picture.size, picture.convert("RGB").getpixel((330, 330)))
    assert drawn == client.get(plain).data
    kulma.shop.change_program(contact_text="Kulmakatu 2")
    assert own == logo_of_class()


@pytest.mark.parametrize(
    "address",
    [
        "stamps/3-10-0b5d4e-ffffff-ltr-0000000000000000",
        "stamps/3-10-0b5d4e-ffffff-ltr",
        "stamps/x",
        "stamps/é-é",
        "logo/none-0b5d4e-ffffff-0000000000000000",
        "logo/x",
        "logo/-",
    ],
)
def test_addresses_that_we_did_not_give_show_nothing(client: FlaskClient, address: str):
    assert 404 == client.get(f"/google/{address}.png").status_code
