"""The link behind 'Add to Google Wallet', and the service account that signs it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from google.auth import crypt

from passes.google import account
from passes.google.account import Account
from passes.google.errors import AccountError, PassError
from passes.google.save_link import save_link
from sandbox.google_accounts import service_account
from sandbox.google_jwt import read

AT = datetime(2026, 11, 22, 12, 30, 15, 678901, UTC)
EMAIL = "leima@leima-sandbox.iam.gserviceaccount.com"
CLASS_ID = "3388000000022141777.program-0190a5c2-7d3e-7000-8000-000000000001"
OBJECT_ID = "3388000000022141777.card-0190a5c2-7d3e-7000-8000-000000000002"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("google") / "service-account.json"
    service_account(path, EMAIL, "https://localhost/token")
    return path


@pytest.fixture(scope="module")
def signer(file: Path) -> Account:
    return account.load(file)


def claims(link: str, file: Path) -> dict[str, Any]:
    """What the link says, after checking its signature with the public half of the account's key."""
    private = load_pem_private_key(json.loads(file.read_text())["private_key"].encode(), None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    token = link.removeprefix("https://pay.google.com/gp/v/save/")
    return read(token, lambda claims: crypt.RSAVerifier.from_string(public))


def test_the_link_names_the_card_and_nothing_more(signer: Account, file: Path):
    link = save_link(signer.signer, signer.email, CLASS_ID, OBJECT_ID, ["https://leima.example"], AT)
    assert {
        "iss": EMAIL,
        "aud": "google",
        "typ": "savetowallet",
        "iat": 1795350615,
        "origins": ["https://leima.example"],
        "payload": {"loyaltyObjects": [{"id": OBJECT_ID, "classId": CLASS_ID}]},
    } == claims(link, file)


def test_the_link_is_short_enough_for_every_phone(signer: Account):
    link = save_link(signer.signer, signer.email, CLASS_ID, OBJECT_ID, ["https://leima.example"], AT)
    assert len(link) <= 1000


def test_a_link_that_would_be_cut_is_refused(signer: Account):
    origins = [f"https://shop-{number}.leima.example" for number in range(30)]
    with pytest.raises(PassError, match="more than 1800"):
        save_link(signer.signer, signer.email, CLASS_ID, OBJECT_ID, origins, AT)


def test_a_malformed_id_is_refused(signer: Account):
    with pytest.raises(PassError):
        save_link(signer.signer, signer.email, CLASS_ID, "alice", [], AT)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "can't be read"),
        ("{", "not JSON"),
        ("[]", "not a service account"),
        ('{"type": "authorized_user"}', "not a service account"),
        ('{"type": "service_account", "client_email": "a@b", "token_uri": "https://x"}', "lacks private_key"),
    ],
)
def test_a_wrong_account_file_is_explained(tmp_path: Path, content: str | None, word: str):
    path = tmp_path / "account.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AccountError, match=word):
        account.load(path)


def test_a_damaged_key_is_explained(tmp_path: Path, file: Path):
    path = tmp_path / "account.json"
    path.write_text(json.dumps(json.loads(file.read_text()) | {"private_key": "-----BEGIN"}))
    with pytest.raises(AccountError, match="damaged"):
        account.load(path)
