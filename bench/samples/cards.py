"""The look and the cards that bench/passes.py signs: those of a small café, as app.services.cards makes them."""

import hashlib
import io
import random

from PIL import Image

from passes.card import Card, CardField, CardLocation, CardLook, StampCount
from passes.colors import Color


def picture(mode: str, width: int, height: int) -> bytes:
    """A PNG of noise, which doesn't compress: its size is known beforehand."""
    row_bytes = (width + 7) // 8 if mode == "1" else width * 3
    image = Image.frombytes(mode, (width, height), random.Random(1).randbytes(row_bytes * height))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def pictures(strip_mode: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The look's pictures and the strip's: black and white noise for a light pass, coloured for a heavy one."""
    shared = {"icon.png": picture("RGB", 29, 29), "icon@2x.png": picture("RGB", 58, 58)}
    strip = {"strip.png": picture(strip_mode, 375, 123), "strip@2x.png": picture(strip_mode, 750, 246)}
    return shared, strip


def look_with(images: dict[str, bytes]) -> CardLook:
    texts = ("Leimoja", "Täydestä kortista", "Jäsen", "Etusi", "Uutta", "Korttisi sivu", "Ehdot", "Yhteystiedot")
    return CardLook(
        language="fi",
        organization_name="Kahvila Äijä",
        program_name="Kanta-asiakkaat",
        description="Kahvila Äijän leimakortti",
        background=Color(60, 36, 21),
        foreground=Color(255, 255, 255),
        label=Color(230, 200, 160),
        images=images,
        strings={language: {text: f"{text} ({language})" for text in texts} for language in ("en", "ru", "fa")},
        locations=(CardLocation(60.1699, 24.9384, "Kahvi odottaa"), CardLocation(60.1876, 24.9613, "Kahvi odottaa")),
        web_service_url="https://leima.example/apple/",
    )


def card(number: int) -> Card:
    code = f"{number:016d}"
    return Card(
        serial=f"0190a5c2-7d3e-7000-8000-{number:012d}",
        authentication_token=hashlib.sha256(code.encode()).hexdigest()[:32],
        version=number,
        code=code,
        code_text=" ".join(code[i : i + 4] for i in range(0, 16, 4)),
        stamps=StampCount(number % 10, 10),
        header=(CardField("stamps", "Leimoja", f"{number % 10} / 10"),),
        secondary=(
            CardField("next_reward", "Täydestä kortista", "Ilmainen kahvi"),
            CardField("member", "Jäsen", f"Väinö Äyräpää {number}"),
        ),
        auxiliary=(CardField("rewards", "Etusi", f"{number % 3} × Ilmainen kahvi"),),
        back=(
            CardField("news", "Uutta", f"Sinulla on {number % 10} leimaa", change_message="%@"),
            CardField("page", "Korttisi sivu", f"https://leima.example/c/{code}"),
            CardField("terms", "Ehdot", "Yksi leima ostosta kohti. Täysi kortti oikeuttaa yhteen kahviin. " * 3),
            CardField("contact", "Yhteystiedot", "Kahvila Äijä, Kauppatori 1, Helsinki, +358 40 123 0001"),
            CardField("website", "Verkkosivu", "https://kahvila.example"),
        ),
    )
