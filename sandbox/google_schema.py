"""What walletobjects v1 takes: every field of the loyalty and offer resources, and the rules of Google's reference.

The table is Google's discovery document for walletobjects v1 (revision 20260806), without what they don't use. `any`
takes any JSON; `[X]` is an array; `A|B` names the allowed values.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

_FIELDS = """
AddMessageRequest = message:Message
Barcode = alternateText:string kind:string renderEncoding:RENDER_ENCODING_UNSPECIFIED|UTF_8
    showCodeText:LocalizedString
    type:BARCODE_TYPE_UNSPECIFIED|AZTEC|CODE_39|CODE_128|CODABAR|DATA_MATRIX|EAN_8|EAN_13|ITF_14|PDF_417|QR_CODE|UPC_A|TEXT_ONLY
    value:string
CallbackOptions = updateRequestUrl:string url:string
DateTime = date:string
GroupingInfo = groupingId:string sortIndex:integer
Image = contentDescription:LocalizedString kind:string privateImageId:string sourceUri:ImageUri
ImageUri = description:string localizedDescription:LocalizedString uri:string
LatLongPoint = kind:string latitude:number longitude:number
LinksModuleData = uris:[Uri]
LocalizedString = defaultValue:TranslatedString kind:string translatedValues:[TranslatedString]
LoyaltyClass = accountIdLabel:string accountNameLabel:string allowMultipleUsersPerObject:boolean appLinkData:any
    callbackOptions:CallbackOptions classTemplateInfo:any countryCode:string discoverableProgram:any
    enableSmartTap:boolean heroImage:Image hexBackgroundColor:string homepageUri:Uri id:string imageModulesData:any
    infoModuleData:any issuerName:string kind:string linksModuleData:LinksModuleData
    localizedAccountIdLabel:LocalizedString localizedAccountNameLabel:LocalizedString
    localizedIssuerName:LocalizedString localizedProgramName:LocalizedString localizedRewardsTier:LocalizedString
    localizedRewardsTierLabel:LocalizedString localizedSecondaryRewardsTier:LocalizedString
    localizedSecondaryRewardsTierLabel:LocalizedString locations:[LatLongPoint] merchantLocations:[MerchantLocation]
    messages:[Message]
    multipleDevicesAndHoldersAllowedStatus:STATUS_UNSPECIFIED|MULTIPLE_HOLDERS|ONE_USER_ALL_DEVICES|ONE_USER_ONE_DEVICE
    notifyPreference:NOTIFICATION_SETTINGS_FOR_UPDATES_UNSPECIFIED|NOTIFY_ON_UPDATE programLogo:Image
    programName:string redemptionIssuers:[string] review:Review
    reviewStatus:REVIEW_STATUS_UNSPECIFIED|UNDER_REVIEW|APPROVED|REJECTED|DRAFT rewardsTier:string
    rewardsTierLabel:string secondaryRewardsTier:string secondaryRewardsTierLabel:string
    securityAnimation:SecurityAnimation textModulesData:[TextModuleData] valueAddedModuleData:any version:string
    viewUnlockRequirement:VIEW_UNLOCK_REQUIREMENT_UNSPECIFIED|UNLOCK_NOT_REQUIRED|UNLOCK_REQUIRED_TO_VIEW
    wideProgramLogo:Image wordMark:Image
LoyaltyObject = accountId:string accountName:string appLinkData:any barcode:Barcode classId:string classReference:any
    disableExpirationNotification:boolean groupingInfo:GroupingInfo hasLinkedDevice:boolean hasUsers:boolean
    heroImage:Image id:string imageModulesData:any infoModuleData:any kind:string linkedObjectIds:[string]
    linkedOfferIds:[string] linksModuleData:LinksModuleData locations:[LatLongPoint] loyaltyPoints:LoyaltyPoints
    merchantLocations:[MerchantLocation] messages:[Message]
    notifyPreference:NOTIFICATION_SETTINGS_FOR_UPDATES_UNSPECIFIED|NOTIFY_ON_UPDATE passConstraints:any
    rotatingBarcode:any saveRestrictions:any secondaryLoyaltyPoints:LoyaltyPoints smartTapRedemptionValue:string
    state:STATE_UNSPECIFIED|ACTIVE|COMPLETED|EXPIRED|INACTIVE textModulesData:[TextModuleData]
    validTimeInterval:TimeInterval valueAddedModuleData:any version:string
LoyaltyPoints = balance:LoyaltyPointsBalance label:string localizedLabel:LocalizedString
LoyaltyPointsBalance = double:number int:integer money:Money string:string
MerchantLocation = latitude:number longitude:number
Message = body:string displayInterval:TimeInterval header:string id:string kind:string localizedBody:LocalizedString
    localizedHeader:LocalizedString messageType:MESSAGE_TYPE_UNSPECIFIED|TEXT|EXPIRATION_NOTIFICATION|TEXT_AND_NOTIFY
Money = currencyCode:string kind:string micros:string
Review = comments:string
OfferClass = allowMultipleUsersPerObject:boolean appLinkData:any callbackOptions:CallbackOptions classTemplateInfo:any
    countryCode:string details:string enableSmartTap:boolean finePrint:string heroImage:Image helpUri:Uri
    hexBackgroundColor:string homepageUri:Uri id:string imageModulesData:any infoModuleData:any issuerName:string
    kind:string linksModuleData:LinksModuleData localizedDetails:LocalizedString localizedFinePrint:LocalizedString
    localizedIssuerName:LocalizedString localizedProvider:LocalizedString localizedShortTitle:LocalizedString
    localizedTitle:LocalizedString locations:[LatLongPoint] merchantLocations:[MerchantLocation] messages:[Message]
    multipleDevicesAndHoldersAllowedStatus:STATUS_UNSPECIFIED|MULTIPLE_HOLDERS|ONE_USER_ALL_DEVICES|ONE_USER_ONE_DEVICE
    notifyPreference:NOTIFICATION_SETTINGS_FOR_UPDATES_UNSPECIFIED|NOTIFY_ON_UPDATE provider:string
    redemptionChannel:REDEMPTION_CHANNEL_UNSPECIFIED|INSTORE|ONLINE|BOTH|TEMPORARY_PRICE_REDUCTION
    redemptionIssuers:[string] review:Review
    reviewStatus:REVIEW_STATUS_UNSPECIFIED|UNDER_REVIEW|APPROVED|REJECTED|DRAFT securityAnimation:SecurityAnimation
    shortTitle:string textModulesData:[TextModuleData] title:string titleImage:Image valueAddedModuleData:any
    version:string viewUnlockRequirement:VIEW_UNLOCK_REQUIREMENT_UNSPECIFIED|UNLOCK_NOT_REQUIRED|UNLOCK_REQUIRED_TO_VIEW
    wideTitleImage:Image wordMark:Image
OfferObject = appLinkData:any barcode:Barcode classId:string classReference:any disableExpirationNotification:boolean
    groupingInfo:GroupingInfo hasLinkedDevice:boolean hasUsers:boolean heroImage:Image id:string imageModulesData:any
    infoModuleData:any kind:string linkedObjectIds:[string] linksModuleData:LinksModuleData locations:[LatLongPoint]
    merchantLocations:[MerchantLocation] messages:[Message]
    notifyPreference:NOTIFICATION_SETTINGS_FOR_UPDATES_UNSPECIFIED|NOTIFY_ON_UPDATE passConstraints:any
    rotatingBarcode:any saveRestrictions:any smartTapRedemptionValue:string
    state:STATE_UNSPECIFIED|ACTIVE|COMPLETED|EXPIRED|INACTIVE textModulesData:[TextModuleData]
    validTimeInterval:TimeInterval valueAddedModuleData:any version:string
SecurityAnimation = animationType:ANIMATION_UNSPECIFIED|FOIL_SHIMMER
TextModuleData = body:string header:string id:string localizedBody:LocalizedString localizedHeader:LocalizedString
TimeInterval = end:DateTime kind:string start:DateTime
TranslatedString = kind:string language:string value:string
Uri = description:string id:string kind:string localizedDescription:LocalizedString uri:string
"""

TYPES: Mapping[str, Mapping[str, str]] = {
    name.strip(): dict(field.split(":", 1) for field in fields.split())
    for name, fields in (line.split(" = ") for line in _FIELDS.strip().replace("\n    ", " ").split("\n"))
}

_ID = re.compile(r"([0-9]{1,20})\.[A-Za-z0-9._-]{1,100}")
_COLOR = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_TEXT_ID = re.compile(r"[A-Za-z0-9_-]*")
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1)(:[0-9]+)?(/.*)?")
_SCALARS: Mapping[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
MOST = {"messages": 10, "merchantLocations": 10}


class Invalid(Exception):
    """The request's values are not acceptable: 400, with this text as its message."""


def check_fields(value: Any, type_name: str, path: str = "") -> None:
    """Raises Invalid for unknown fields and values of the wrong kind, at any depth."""
    if type_name.startswith("["):
        if not isinstance(value, list):
            raise Invalid(f"Invalid value at '{path}': a list is expected")
        for number, entry in enumerate(value):
            check_fields(entry, type_name[1:-1], f"{path}[{number}]")
    elif type_name in TYPES:
        if not isinstance(value, dict):
            raise Invalid(f"Invalid value at '{path}' ({type_name})")
        for name, entry in value.items():
            if name not in TYPES[type_name]:
                raise Invalid(f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field.")
            if entry is not None:
                check_fields(entry, TYPES[type_name][name], f"{path}.{name}".lstrip("."))
    elif type_name in _SCALARS:
        if not _SCALARS[type_name](value):
            raise Invalid(f"Invalid value at '{path}' (TYPE_{type_name.upper()}), {value!r}")
    elif value not in type_name.split("|"):
        raise Invalid(f"Invalid value at '{path}' ({type_name.split('|')[0]}), {value!r}")


_NEEDED = {
    "loyaltyClass": ("issuerName", "programName", "programLogo"),
    "offerClass": ("issuerName", "title", "provider", "redemptionChannel"),
}


def check_class(value: Mapping[str, Any], resource: str = "loyaltyClass") -> None:
    """The rules for a whole class, after a patch too. Raises Invalid."""
    check_id(value.get("id"))
    for name in _NEEDED[resource]:
        if value.get(name) in (None, "", {}, "REDEMPTION_CHANNEL_UNSPECIFIED"):
            raise Invalid(f"{name} must be set.")
    color = value.get("hexBackgroundColor")
    if color is not None and not _COLOR.fullmatch(color):
        raise Invalid(f"Invalid hex color: {color}")
    callback = (value.get("callbackOptions") or {}).get("url")
    if callback is not None and not (callback.startswith("https://") or _LOCAL.fullmatch(callback)):
        raise Invalid("Callback url must be https.")
    _check_shared(value)


def check_object(value: Mapping[str, Any]) -> None:
    """The rules for a whole object, after a patch too. Raises Invalid."""
    check_id(value.get("id"))
    check_id(value.get("classId"))
    if value.get("state") in (None, "STATE_UNSPECIFIED"):
        raise Invalid("state must be set.")
    for name in ("loyaltyPoints", "secondaryLoyaltyPoints"):
        points = value.get(name)
        if points is not None and len(points.get("balance") or {}) != 1:
            raise Invalid(f"{name}: exactly one of string, int, double and money must be set as the balance.")
    barcode = value.get("barcode")
    if barcode is not None and not (barcode.get("type") and barcode.get("value")):
        raise Invalid("barcode: type and value must be set.")
    _check_interval(value.get("validTimeInterval") or {})
    _check_shared(value)


def _check_interval(value: Mapping[str, Any]) -> None:
    ends = [datetime.fromisoformat(value[name]["date"]) for name in ("start", "end") if value.get(name)]
    if any(end.utcoffset() is None for end in ends):
        raise Invalid("validTimeInterval: a date must have a time zone.")
    if ends != sorted(ends):
        raise Invalid("validTimeInterval: it ends before it starts.")


def check_message(value: Mapping[str, Any]) -> None:
    """The rules for one message. Raises Invalid."""
    if not (value.get("header") or value.get("localizedHeader")) or not (
        value.get("body") or value.get("localizedBody")
    ):
        raise Invalid("A message must have a header and a body.")


def check_id(value: Any) -> str:
    """The id itself. Raises Invalid unless it is `issuer id.suffix`."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Invalid(f"Invalid resource ID: {value}.")
    return value


def _check_shared(value: Mapping[str, Any]) -> None:
    for name, most in MOST.items():
        if len(value.get(name) or []) > most:
            raise Invalid(f"{name}: at most {most} are allowed.")
    for place in value.get("merchantLocations") or []:
        if not (-90 <= place.get("latitude", 999) <= 90 and -180 <= place.get("longitude", 999) <= 180):
            raise Invalid("merchantLocations: latitude or longitude is out of range.")
    for message in value.get("messages") or []:
        check_message(message)
    for module in value.get("textModulesData") or []:
        if not _TEXT_ID.fullmatch(module.get("id") or ""):
            raise Invalid(f"textModulesData: invalid id {module['id']}.")
    for name in ("programLogo", "titleImage", "heroImage"):
        image = value.get(name)
        if image is not None and "://" not in ((image.get("sourceUri") or {}).get("uri") or ""):
            raise Invalid(f"{name}: an image must have a URI with a scheme.")
    for uri in (value.get("linksModuleData") or {}).get("uris") or []:
        if ":" not in (uri.get("uri") or ""):
            raise Invalid("linksModuleData: a URI must have a scheme.")
