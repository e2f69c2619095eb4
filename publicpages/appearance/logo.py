"""Validation of logos by the content of the file, not by its name."""

import io

from PIL import Image

MOST_BYTES = 256 * 1024
MOST_PIXELS = 2000  # Per side.
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}  # No SVG: it can carry scripts.


class LogoInvalid(ValueError):
    """The file cannot be used; the message says why and what to do."""


def check_logo(content: bytes) -> str:
    """Return the media type of a picture.

    :raises LogoInvalid: if it is too large, broken, or of another type.
    """
    if len(content) > MOST_BYTES:
        raise LogoInvalid(f"The file has {len(content) // 1024} KB. Make it smaller than {MOST_BYTES // 1024} KB.")
    try:
        with Image.open(io.BytesIO(content), formats=list(FORMATS)) as picture:
            kind, size = picture.format, picture.size
            if max(size) <= MOST_PIXELS:  # Otherwise refused below, without decoding it.
                picture.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise LogoInvalid("This isn't an image that browsers show safely. Choose a PNG, JPEG or WebP file.") from None
    if max(size) > MOST_PIXELS:
        raise LogoInvalid(f"The image is {size[0]} × {size[1]} pixels. Make each side {MOST_PIXELS} or less.")
    return FORMATS[kind or ""]
