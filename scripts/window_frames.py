"""Screenshots as windows on a desk."""

import io
from pathlib import Path

from PIL import Image, ImageDraw

_MARGIN, _BAR, _CORNER = 28, 34, 12  # of the drawn windows, in pixels


def side_by_side(shots: list[bytes], file: Path) -> None:
    """Two windows on one desk."""
    windows = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    width = sum(window.width for window in windows) + _MARGIN * (len(windows) + 1)
    desk = Image.new("RGB", (width, windows[0].height + _BAR + 2 * _MARGIN), "#cfd8d3")
    left = _MARGIN
    for window in windows:
        framed = Image.new("RGB", (window.width, window.height + _BAR), "#e9ece9")
        framed.paste(window, (0, _BAR))
        draw = ImageDraw.Draw(framed)
        for number, color in enumerate(("#e0655c", "#e5b54a", "#63b36a")):
            middle = 18 + number * 20
            draw.ellipse((middle - 6, _BAR // 2 - 6, middle + 6, _BAR // 2 + 6), fill=color)
        mask = Image.new("L", framed.size, 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, *framed.size), _CORNER, fill=255)
        desk.paste(framed, (left, _MARGIN), mask)
        left += window.width + _MARGIN
    desk.save(file, optimize=True)
