"""The rules for pass.json. Source: Apple's "Pass" reference and what phones refuse in practice."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

STYLES = ("boardingPass", "coupon", "eventTicket", "generic", "storeCard")
GROUPS = ("headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")

_NEEDED = ("description", "organizationName", "passTypeIdentifier", "serialNumber", "teamIdentifier")
_COLORS = ("backgroundColor", "foregroundColor", "labelColor")
_COLOR = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)")
_FORMATS = ("PKBarcodeFormatQR", "PKBarcodeFormatPDF417", "PKBarcodeFormatAztec", "PKBarcodeFormatCode128")
_MOST_LOCATIONS = 10
_SHORTEST_TOKEN = 16


def contents_faults(contents: dict[str, Any]) -> Iterator[str]:
    """Everything that is wrong with a pass.json that could be read."""
    for path, value in _walk("pass.json", contents):
        if value is None:
            yield f"{path} is null. Leave it out."
        elif value == "":
            yield f"{path} is an empty text. Leave it out."
    if contents.get("formatVersion") != 1 or isinstance(contents.get("formatVersion"), bool):
        yield "formatVersion is not 1."
    for name in _NEEDED:
        if not isinstance(contents.get(name), str):
            yield f"{name} is missing, or not a text."
    styles = [style for style in STYLES if style in contents]
    if len(styles) != 1:
        yield f"The pass does not have exactly one style, but {len(styles)}."
    for style in styles:
        yield from _field_faults(style, contents[style])
    yield from _service_faults(contents)
    yield from _date_faults(contents)
    yield from _color_faults(contents)
    yield from _location_faults(_objects(contents.get("locations", [])))
    yield from _barcode_faults(contents)


def _walk(path: str, value: object) -> Iterator[tuple[str, object]]:
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(f"{path}.{name}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _walk(f"{path}[{number}]", inner)


def _objects(value: object) -> list[dict[str, Any]]:
    """The JSON objects in a list; what is none becomes an empty one, which breaks the rules for what it stands for."""
    return [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else [{}]


def _field_faults(name: str, style: object) -> Iterator[str]:
    if not isinstance(style, dict):
        yield f"{name} is not a JSON object."
        return
    seen: set[str] = set()
    for group in GROUPS:
        for field in _objects(style.get(group, [])):
            key = field.get("key")
            if not isinstance(key, str) or "value" not in field:
                yield f"A field in {group} has no key or no value."
                continue
            if key in seen:
                yield f"Two fields have the key “{key}”."
            seen.add(key)
            yield from _one_field_faults(group, key, field)


def _one_field_faults(group: str, key: str, field: dict[str, Any]) -> Iterator[str]:
    value = field["value"]
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not is_number and not isinstance(value, str):
        yield f"The value of the field “{key}” is neither a text nor a number."
    if group in ("primaryFields", "backFields") and "textAlignment" in field:
        yield f"The field “{key}” has a textAlignment, which {group} don't take."
    if {"currencyCode", "numberStyle"} & field.keys() and not is_number:
        yield f"The field “{key}” is a number, but is written as a text."
    if {"dateStyle", "timeStyle"} & field.keys() and not (isinstance(value, str) and MOMENT.fullmatch(value)):
        yield f"The field “{key}” is a date, but not written as one with a time zone."
    if "changeMessage" in field and "%@" not in str(field["changeMessage"]):
        yield f"The change message of the field “{key}” has no %@."


def _service_faults(contents: dict[str, Any]) -> Iterator[str]:
    url, token = contents.get("webServiceURL"), contents.get("authenticationToken")
    if (url is None) != (token is None):
        yield "webServiceURL and authenticationToken come together or not at all."
    if url is not None and not str(url).startswith("https://"):
        yield "webServiceURL does not start with https://."
    if token is not None and len(str(token)) < _SHORTEST_TOKEN:
        yield f"authenticationToken has fewer than {_SHORTEST_TOKEN} characters."


def _date_faults(contents: dict[str, Any]) -> Iterator[str]:
    dates: dict[str, object] = {name: contents[name] for name in ("expirationDate", "relevantDate") if name in contents}
    for number, interval in enumerate(_objects(contents.get("relevantDates", []))):
        dates |= {f"relevantDates[{number}].{name}": value for name, value in interval.items()}
    for name, value in dates.items():
        if not isinstance(value, str) or not MOMENT.fullmatch(value):
            yield f"{name} is not a date with a time zone."


def _color_faults(contents: dict[str, Any]) -> Iterator[str]:
    for name in _COLORS:
        if name in contents and color(contents[name]) is None:
            yield f"{name} is not a colour such as rgb(11, 93, 78)."


def color(value: object) -> str | None:
    """The colour as CSS writes it, #rrggbb; None for what is no colour."""
    match = _COLOR.fullmatch(value) if isinstance(value, str) else None
    parts = [int(part) for part in match.groups()] if match else []
    return "#{:02x}{:02x}{:02x}".format(*parts) if parts and max(parts) <= 255 else None


def _location_faults(locations: list[dict[str, Any]]) -> Iterator[str]:
    if len(locations) > _MOST_LOCATIONS:
        yield f"The pass has {len(locations)} locations; {_MOST_LOCATIONS} are allowed."
    for place in locations:
        latitude, longitude = place.get("latitude"), place.get("longitude")
        if not isinstance(latitude, int | Decimal) or not isinstance(longitude, int | Decimal):
            yield "A location has no latitude or longitude."
        elif not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            yield f"There is no such place as {latitude}, {longitude}."


def _barcode_faults(contents: dict[str, Any]) -> Iterator[str]:
    barcodes = _objects(contents.get("barcodes", []))
    legacy = [one for one in barcodes if one.get("format") != "PKBarcodeFormatCode128"]
    if "barcode" in contents and not barcodes:
        yield "The pass has a barcode for old phones, but no barcodes."
    elif contents.get("barcode") != (legacy[0] if legacy else None):
        yield "barcode, for old phones, is not the first of barcodes that they can read."
    for one in barcodes:
        if one.get("format") not in _FORMATS:
            yield f"A barcode has the unknown format {one.get('format')}."
        try:
            str(one["message"]).encode(str(one["messageEncoding"]))
        except (KeyError, LookupError):
            yield "A barcode lacks its message, or an encoding that exists."
        except UnicodeEncodeError:
            yield "A barcode's message can't be written in its messageEncoding."
