"""What must be known of an image before it is used: that it is whole, its size and brightness.

Reads a JPEG at an eighth of its scale: that runs through all of its compressed data, so that what
is cut or broken is found as by a full decode, at a third of the time.
"""

import re
import struct
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from segbench.datasets.findings import UnusableError

EXIF_ORIENTATION = 0x0112
BITS_PER_SAMPLE = 258  # a tag of TIFF
SAMPLES_PER_PIXEL, EXTRA_SAMPLES = 277, 338  # others; of what kind samples beyond the colours are
TRANSPARENCY = ((1,), (2,))
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_BITS = 24  # where a PNG says how many bits a channel has
PPM_LARGEST = re.compile(rb"P[2356]\s+(?:#[^\n]*\s+)*\d+\s+\d+\s+(\d{1,5})\s")
DEEPEST = 16  # bits per channel
LEAST_SIDE = 8  # pixels; networks shrink what they see 8 to 32 times
# files that people do keep images or labels in, which training cannot read, by how they begin
FOREIGN = {
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"PK\x03\x04": "a ZIP or NumPy archive (.zip, .npz)",
    b"GIF8": "a GIF",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 image",
    b"\x89HDF": "an HDF5 file",
    b"v/1\x01": "an OpenEXR image",
    b"%PDF": "a PDF",
}
HOLE = bytes(4096)  # a block of a disk that was never written
PNG_END = b"IEND\xaeB`\x82"
START_OF_SCAN = b"\xff\xda"
# what both Pillow, which proves files, and OpenCV, which reads them in training, can decode. Pillow
# alone would try others too, and hand PostScript to another program
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM")
Image.init()  # else it knows only some of them until it has met an image of another form
# what Pillow raises for files that are not sound images
UNREADABLE = (
    UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError,
    struct.error,
)  # fmt: skip


class Inspected(NamedTuple):
    """What an image turned out to be; brightness as a fraction of white, bits per channel."""

    height: int
    width: int
    brightness: float
    has_hole: bool
    bits: int = 8


def inspect_image(data: bytes, max_pixels: int) -> Inspected:
    """Prove that an image can be decoded, and measure it.

    Args:
        data: the content of the file.
        max_pixels: more than that is refused before it is decoded.

    Raises:
        UnusableError: what is wrong with the image, without the file's name.
    """
    refuse_foreign("foreign-image", data)
    refuse_bands(data)
    try:
        with open_image(data) as image:
            width, height = image.size
            refuse_huge("huge-image", width, height, max_pixels)
            is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
            turned = image.getexif().get(EXIF_ORIENTATION, 1)
            if turned not in (0, 1):
                raise UnusableError("turned-image", f"orientation {turned}")
            _refuse_tiny(width, height)
            bits = _bits(image, data)
            if bits > DEEPEST:
                raise UnusableError(
                    "foreign-image", f"has {bits} bits per channel, which OpenCV does not read"
                )
            image.draft("L", (1, 1))
            brightness = _brightness(image)
    except UNREADABLE as error:
        raise UnusableError("unreadable-image", reason_of(error)) from None
    has_hole = is_jpeg and HOLE in data[data.find(START_OF_SCAN) :]
    return Inspected(height, width, round(brightness, 4), has_hole, bits)


def _refuse_tiny(width: int, height: int) -> None:
    if min(width, height) < LEAST_SIDE:
        raise UnusableError("tiny-image", f"{width}x{height} pixels")


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits per channel; what has fewer than 8 is read as 8."""
    if image.format == "PNG":
        return max(8, data[PNG_BITS])
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(8, *image.tag_v2.get(BITS_PER_SAMPLE, (8,))))
    if found := PPM_LARGEST.match(data):
        return max(8, int(found[1]).bit_length())
    return 8


def _brightness(image: Image.Image) -> float:
    """Mean brightness, a fraction of white."""
    if image.mode.startswith("I"):  # conversion would cut these values off at 255
        return float(np.asarray(image).mean()) / 65535
    return float(np.asarray(image.convert("L")).mean()) / 255


def open_image(data: bytes) -> Image.Image:
    """Open an image or a label of a promised form; its pixels are not decoded yet.

    Raises:
        UnidentifiedImageError: it is of another form, or no image.
        OSError, SyntaxError, ValueError: it is a PNG without its end, or with wrong checksums.
    """
    image = Image.open(BytesIO(data), formats=FORMATS)
    if image.format == "PNG":
        # decoding stops at the last pixel and never looks at what should follow
        image.verify()
        if PNG_END not in data:  # nor does this look behind the name of the last chunk
            raise OSError("the end of the file is missing")
        image = Image.open(BytesIO(data), formats=FORMATS)
    return image


def refuse_foreign(code: str, data: bytes) -> None:
    """Refuse a file of a known form that is not read: another copy of it would not help.

    Raises:
        UnusableError: the file is one; its message names the form and those that are read.
    """
    for start, name in FOREIGN.items():
        if data.startswith(start):
            raise UnusableError(code, f"is {name}, which is not read (read: {', '.join(FORMATS)})")


def refuse_bands(data: bytes) -> None:
    """Refuse a TIFF whose bands are more than colours: all but three of them would be passed over.

    Grey, colours and colours with transparency (of which the colours are read) are fine.

    Raises:
        UnusableError: it has two bands, or four or more that are not colours with transparency.
    """
    if not data.startswith(TIFF_STARTS):
        return
    stream = BytesIO(data)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        stream.seek(tags.next)
        tags.load(stream)
        bands = int(tags.get(SAMPLES_PER_PIXEL, 1))
        more = tuple(tags.get(EXTRA_SAMPLES, ()))
    except (*UNREADABLE, TypeError, KeyError):
        return  # what is damaged is found by the decoder
    if bands in (1, 3) or (bands == 4 and more[:1] in TRANSPARENCY):
        return
    raise UnusableError("many-bands", f"{bands} bands")


def refuse_huge(code: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse what would take too much memory to decode.

    Raises:
        UnusableError: there are more pixels than allowed.
    """
    if width * height > max_pixels:
        raise UnusableError(code, f"{width}x{height} pixels; the limit is {max_pixels}")


def reason_of(error: Exception) -> str:
    """The error without the address of the buffer that was decoded."""
    if isinstance(error, UnidentifiedImageError):
        return f"no image, or of an unknown form (known: {', '.join(FORMATS)})"
    return str(error)
