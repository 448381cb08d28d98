"""QR codes as inline SVG: sharp at any size, on screen and in print."""

import io
from html import escape
from itertools import groupby

import segno
from markupsafe import Markup

QUIET_ZONE = 4  # modules of white around the code, as ISO/IEC 18004 asks for


def qr_svg(content: str, label: str) -> Markup:
    """The content as an <svg> element of black on white, with its quiet zone. `label` is for screen readers.

    It has neither style attributes nor ids, so it suits a strict Content-Security-Policy.
    """
    code = segno.make(content, micro=False, error="m")
    rows = [
        f"M{run[0][0]} {row}h{len(run)}v1H{run[0][0]}z"
        for row, modules in enumerate(code.matrix_iter(border=QUIET_ZONE))
        for dark, run in ((dark, list(run)) for dark, run in groupby(enumerate(modules), key=lambda module: module[1]))
        if dark
    ]
    side = code.symbol_size(border=QUIET_ZONE)[0]
    return Markup(  # noqa: S704 - nothing in it was typed by anybody but the label, which is escaped
        f'<svg xmlns="http://www.w3.org/2000/svg" class="qr" viewBox="0 0 {side} {side}" role="img" '
        f'aria-label="{escape(label)}" shape-rendering="crispEdges">'
        f'<path d="M0 0h{side}v{side}H0z" fill="#fff"/><path d="{"".join(rows)}" fill="#000"/></svg>'
    )


def qr_file(content: str, kind: str) -> bytes:
    """The content as a file for printing: an SVG, or a PNG of 20 pixels a module. `kind`: svg or png."""
    file = io.BytesIO()
    segno.make(content, micro=False, error="m").save(file, kind=kind, scale=20, border=QUIET_ZONE)
    return file.getvalue()
