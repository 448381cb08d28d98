"""pass.json as objects: wallet-py3k's classes, with what they get wrong put right.

Names in camelCase are wallet-py3k's and Apple's own ("Wallet Passes", developer.apple.com/documentation/walletpasses).
Every `json_dict` returns a new dict without nulls and empty strings, and raises PassError when Wallet would refuse it.
wallet-py3k has no type hints, hence the `type: ignore[misc]` on each class that builds on it.
"""
# ruff: noqa: N802, N803 - the names of methods and arguments are wallet-py3k's

from datetime import datetime
from typing import Any, NoReturn

from wallet import models

from passes.apple.errors import PassError
from passes.apple.fields import FieldValue, field_for, filled, moment

MAX_LOCATIONS = 10
MIN_TOKEN_LENGTH = 16
MAX_NFC_MESSAGE_BYTES = 64


class BarcodeFormat(models.BarcodeFormat):  # type: ignore[misc]
    """The four symbologies. Code 128 can't be read by systems before iOS 9."""

    CODE128 = "PKBarcodeFormatCode128"


class Barcode(models.Barcode):  # type: ignore[misc]
    """A barcode. Without `messageEncoding`, ISO 8859-1 (which every scanner reads) if possible, else UTF-8."""

    def __init__(
        self, message: str, format: str = BarcodeFormat.QR, altText: str = "", messageEncoding: str = ""
    ) -> None:
        super().__init__(message, format, altText)
        self.messageEncoding = messageEncoding or barcode_encoding(message)

    def json_dict(self) -> dict[str, Any]:
        if not self.message:
            raise PassError("The barcode has no message")
        try:
            self.message.encode(self.messageEncoding)
        except (UnicodeEncodeError, LookupError):
            raise PassError(f"The barcode's message can't be written in the encoding {self.messageEncoding}") from None
        return filled(self.__dict__)


def barcode_encoding(message: str) -> str:
    """The encoding to name for a barcode with this message."""
    try:
        message.encode("iso-8859-1")
    except UnicodeEncodeError:
        return "utf-8"
    return "iso-8859-1"


class Location(models.Location):  # type: ignore[misc]
    """A place near which the phone shows the pass. Degrees (WGS 84), altitude in metres."""

    def __init__(
        self, latitude: float, longitude: float, altitude: float | None = None, relevantText: str = ""
    ) -> None:
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise PassError(f"There is no place at latitude {latitude}, longitude {longitude}")
        super().__init__(latitude, longitude)
        self.altitude = altitude
        self.relevantText = relevantText

    def json_dict(self) -> dict[str, Any]:
        return filled(self.__dict__)


class IBeacon(models.IBeacon):  # type: ignore[misc]
    """A Bluetooth beacon near which the phone shows the pass."""

    def json_dict(self) -> dict[str, Any]:
        return filled(self.__dict__)


class NFC:
    """What the phone sends to a VAS terminal. `encryptionPublicKey` is a base64 X.509 P-256 key."""

    def __init__(self, message: str, encryptionPublicKey: str, requiresAuthentication: bool = False) -> None:
        self.message = message
        self.encryptionPublicKey = encryptionPublicKey
        self.requiresAuthentication = requiresAuthentication

    def json_dict(self) -> dict[str, Any]:
        if not 0 < len(self.message.encode()) <= MAX_NFC_MESSAGE_BYTES:
            raise PassError(f"The NFC message must have 1 to {MAX_NFC_MESSAGE_BYTES} bytes")
        return filled(self.__dict__)


class RelevantDate:
    """When the phone offers the pass by itself: at `date`, or from `startDate` to `endDate`."""

    def __init__(
        self, date: datetime | None = None, startDate: datetime | None = None, endDate: datetime | None = None
    ) -> None:
        if (date is None) == (startDate is None) or (endDate is not None and startDate is None):
            raise PassError("A relevant date is either one moment, or a start with or without an end")
        self.date, self.startDate, self.endDate = date, startDate, endDate

    def json_dict(self) -> dict[str, Any]:
        given = {key: moment(value) for key, value in vars(self).items() if value is not None}
        # iOS 18 reads `relevantDate`; iOS 26 renamed it `date`.
        return given | ({"relevantDate": given["date"]} if "date" in given else {})


class _Fields(models.PassInformation):  # type: ignore[misc]
    """The five groups of fields, each addable with a change message."""

    def addHeaderField(self, key: str, value: FieldValue, label: str = "", changeMessage: str = "") -> None:
        self.headerFields.append(field_for(key, value, label, changeMessage))

    def addPrimaryField(self, key: str, value: FieldValue, label: str = "", changeMessage: str = "") -> None:
        self.primaryFields.append(field_for(key, value, label, changeMessage))

    def addSecondaryField(self, key: str, value: FieldValue, label: str = "", changeMessage: str = "") -> None:
        self.secondaryFields.append(field_for(key, value, label, changeMessage))

    def addAuxiliaryField(self, key: str, value: FieldValue, label: str = "", changeMessage: str = "") -> None:
        self.auxiliaryFields.append(field_for(key, value, label, changeMessage))

    def addBackField(self, key: str, value: FieldValue, label: str = "", changeMessage: str = "") -> None:
        self.backFields.append(field_for(key, value, label, changeMessage))

    def json_dict(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, Any]]] = super().json_dict()
        keys = [made["key"] for group in found.values() for made in group]
        if repeated := sorted({key for key in keys if keys.count(key) > 1}):
            raise PassError(f"Several fields have the key “{repeated[0]}”. Each field needs its own")
        for group in ("primaryFields", "backFields"):  # Wallet places these itself and doesn't take an alignment
            for made in found.get(group, ()):
                made.pop("textAlignment", None)
        return found


class StoreCard(_Fields, models.StoreCard):  # type: ignore[misc]
    """A loyalty card, with a strip picture behind its primary field."""


class Coupon(_Fields, models.Coupon):  # type: ignore[misc]
    """A single reward or offer."""


class Pass(models.Pass):  # type: ignore[misc]
    """The whole pass.json. Pictures and signing are passes.apple.package's work."""

    def __init__(
        self,
        passInformation: StoreCard | Coupon,
        *,
        passTypeIdentifier: str,
        organizationName: str,
        teamIdentifier: str,
    ) -> None:
        self.expirationDate: datetime | None = None
        self.barcodes: list[Barcode] = []
        self.relevantDates: list[RelevantDate] = []
        self.maxDistance: int | None = None  # metres
        self.sharingProhibited = False  # only hides the share button
        self.nfc: NFC | None = None
        super().__init__(
            passInformation,
            passTypeIdentifier=passTypeIdentifier,
            organizationName=organizationName,
            teamIdentifier=teamIdentifier,
        )

    @property
    def exprirationDate(self) -> datetime | None:
        """wallet-py3k's misspelling; the same as expirationDate."""
        return self.expirationDate

    @exprirationDate.setter
    def exprirationDate(self, value: datetime | None) -> None:
        self.expirationDate = value

    def addFile(self, name: str, fd: object) -> NoReturn:
        raise PassError("Give pictures to passes.apple.package.PassTemplate")

    def create(self, *args: object, **kwargs: object) -> NoReturn:
        raise PassError("Sign passes with passes.apple.package.PassTemplate")

    def json_dict(self) -> dict[str, Any]:
        """What cards of one look share comes first; see passes.apple.document."""
        common = {
            "formatVersion": 1,
            "passTypeIdentifier": self._needed("passTypeIdentifier"),
            "teamIdentifier": self._needed("teamIdentifier"),
            "organizationName": self._needed("organizationName"),
            "description": self._needed("description"),
            "logoText": self.logoText,
            "backgroundColor": self.backgroundColor,
            "foregroundColor": self.foregroundColor,
            "labelColor": self.labelColor,
            "suppressStripShine": self.suppressStripShine or None,
            "sharingProhibited": self.sharingProhibited or None,
            "associatedStoreIdentifiers": list(self.associatedStoreIdentifiers or ()),
            "appLaunchURL": self.appLaunchURL,
            **self._relevance(),
            **self._web_service(),
        }
        own = {
            "serialNumber": self._needed("serialNumber"),
            "userInfo": dict(self.userInfo or {}),
            "nfc": self.nfc and self.nfc.json_dict(),
            "voided": self.voided or None,
            "expirationDate": self.expirationDate and moment(self.expirationDate),
            **self._barcodes(),
        }
        return {**filled(common), **filled(own), self.passInformation.jsonname: self.passInformation.json_dict()}

    def _needed(self, name: str) -> Any:
        value = getattr(self, name)
        if not value:
            raise PassError(f"The pass has no {name}. Wallet needs one")
        return value

    def _web_service(self) -> dict[str, Any]:
        url, token = self.webServiceURL or "", self.authenticationToken or ""
        if not url and not token:
            return {}
        if not url or not token:
            raise PassError("webServiceURL and authenticationToken go together: give both or neither")
        if not url.startswith("https://"):
            raise PassError(f"The web service URL “{url}” must start with https://, else phones never call it")
        if len(token) < MIN_TOKEN_LENGTH:
            raise PassError(f"The authentication token must have at least {MIN_TOKEN_LENGTH} characters")
        return {"webServiceURL": url, "authenticationToken": token}

    def _relevance(self) -> dict[str, Any]:
        locations = list(self.locations or ())
        if len(locations) > MAX_LOCATIONS:
            raise PassError(f"A pass can have at most {MAX_LOCATIONS} locations, and this one has {len(locations)}")
        return {
            "locations": [location.json_dict() for location in locations],
            "maxDistance": self.maxDistance,
            "beacons": [beacon.json_dict() for beacon in self.ibeacons or ()],
            "relevantDate": self.relevantDate and moment(self.relevantDate),
            "relevantDates": [relevant.json_dict() for relevant in self.relevantDates],
        }

    def _barcodes(self) -> dict[str, Any]:
        """The list that Wallet reads today, and the single barcode of systems before iOS 9, which lack Code 128."""
        all_of_them = [made.json_dict() for made in self.barcodes or filter(None, (self.barcode,))]
        legacy = [made for made in all_of_them if made["format"] != BarcodeFormat.CODE128]
        return {"barcodes": all_of_them, "barcode": dict(legacy[0]) if legacy else None}
