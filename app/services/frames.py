"""What a till's camera sees, for browsers that cannot read codes themselves: one frame in, the QR code's text out."""

from io import BytesIO

import zxingcpp
from PIL import Image

from app.i18n import N_
from app.services.errors import Refused

MOST_BYTES = 1_500_000
LONGEST_SIDE = 1920  # the till sends 1280 at most; some room for other cameras


def read_qr(frame: bytes) -> str:
    """The text of the QR code in a JPEG or PNG frame, or '' when there is none.

    The size is read from the header, before a pixel is unpacked. Raises Refused: frame-too-large, unreadable-frame.
    """
    if len(frame) > MOST_BYTES:
        raise _too_large()
    try:
        picture = Image.open(BytesIO(frame), formats=("JPEG", "PNG"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except Exception as error:  # Pillow's readers answer a broken header with half a dozen kinds of exceptions
        raise _unreadable() from error
    if max(picture.size) > LONGEST_SIDE:
        raise _too_large()
    try:
        grey = picture.convert("L")
    except Exception as error:  # as above: cut short, or damaged
        raise _unreadable() from error
    found = zxingcpp.read_barcodes(grey, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    return next((code.text for code in found if code.text), "")


def _too_large() -> Refused:
    return Refused("frame-too-large", N_("The camera's picture is too large to be read."), status=413)


def _unreadable() -> Refused:
    return Refused("unreadable-frame", N_("The camera's picture could not be read."))
