"""Pictures that are bombs, and one or two formats that are not read."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

Write = Callable[[Path], object]
ALL = 0xFFFFFFFF


@cache
def zeros() -> bytes:
    """256 MB of zeros, pressed by zlib."""
    return zlib.compress(bytes(256 << 20), 9)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A block of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *before: bytes, channels: int = 3, whole: bool = True) -> bytes:
    """A PNG of one colour, 8 bits a channel; unless `whole` it has only a few rows."""
    kind = {1: 0, 3: 2, 4: 6}[channels]
    press, row, pressed = zlib.compressobj(9), bytes(1 + channels * width), []
    pressed = [press.compress(row) for _ in range(height if whole else 2)]
    body = chunk(b"IDAT", b"".join(pressed) + press.flush())
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + body + chunk(b"IEND", b"")


def tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF of one directory: tag, type, count and value of each entry; `following` is where the next one lies."""
    told = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + told + struct.pack("<I", following) + bytes(64)


def _strip(height: int, *more: tuple[int, int, int, int]) -> tuple[tuple[int, int, int, int], ...]:
    told = {256: 1, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}
    told |= {tag: value for tag, _, _, value in more}
    kinds = {tag: (kind, count) for tag, kind, count, _ in more}
    return tuple((tag, *kinds.get(tag, (4, 1)), value) for tag, value in told.items())


def jpeg(width: int, height: int, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), 90).save(file, "JPEG", **options)
    return file.getvalue()


def claiming(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    place = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def scans(width: int, height: int, count: int) -> bytes:
    """A progressive JPEG whose last scan, which refines what others told, comes again and again."""
    data = jpeg(width, height, progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def gif(frames: int, width: int = 1, height: int = 1) -> bytes:
    """A GIF of frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    frame = b"\x21\xf9\x04\0\1\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def riff(kind: bytes, *chunks: tuple[bytes, bytes], claim: int | None = None) -> bytes:
    """A RIFF file; what its first number claims is its length where nothing else is said."""
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4 if claim is None else claim) + kind + body


def pictures() -> Iterator[tuple[str, bytes]]:
    small = png(8, 8)
    yield "claims_10_gp.png", png(100_000, 100_000, whole=False)
    yield "chunks_100000.png", png(8, 8, *[chunk(b"tEXt", b"a\0b")] * 100_000)
    pressed = zeros()
    yield "ztxt_256_mb.png", png(8, 8, chunk(b"zTXt", b"a\0\0" + pressed))
    yield "ztxt_1_mb_x_500.png", png(8, 8, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))] * 500)
    yield "iccp_256_mb.png", png(8, 8, chunk(b"iCCP", b"a\0\0" + pressed))
    yield "apng_frames.png", png(8, 8, chunk(b"acTL", struct.pack(">II", 0x7FFFFFFF, 0)))
    yield "idat_too_long.png", small[:-12] + chunk(b"IDAT", pressed) + small[-12:]
    yield "frames_100000.gif", gif(100_000)
    yield "claims_65535.gif", gif(1, 65_535, 65_535)
    yield "claims_65500.jpg", claiming(jpeg(64, 64), 65_500, 65_500)
    yield "scans_1000.jpg", scans(512, 512, 1000)
    vp8x = b"\0\0\0\0" + (16_382).to_bytes(3, "little") * 2
    yield "claims_16383_x.webp", riff(b"WEBP", (b"VP8X", vp8x), (b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(16)))
    yield "claims_16383.webp", riff(b"WEBP", (b"VP8L", b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(64)))
    yield "directory_loop.tiff", tiff(*_strip(1), following=8)
    yield "exif_loop.tiff", tiff(*_strip(1, (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0x014A, 4, 1, 8)))
    yield "strips_60000000.tiff", tiff(*_strip(60_000_000, (273, 4, 60_000_000, 8), (279, 4, 60_000_000, 8)))
    yield "count_4_g.tiff", tiff(*_strip(1, (258, 3, ALL, 8), (270, 2, ALL, 8)))
    yield "claims_4_g.tiff", tiff(*_strip(ALL, (256, 4, 1, ALL)))
    header = struct.pack("<IiiHHIIiiII", 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0)
    yield "claims_900_mp.bmp", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def large() -> Iterator[tuple[str, Write]]:
    """Pictures that take a while to make or to decode."""
    yield "one_colour_169_mp.png", lambda path: path.write_bytes(png(13_000, 13_000))
    yield "one_colour_99_mp.png", lambda path: path.write_bytes(png(9_950, 9_950))
    yield "one_colour_99_mp_alpha.png", lambda path: path.write_bytes(png(9_950, 9_950, channels=4))
    yield "strip_1_x_60000000.tiff", lambda path: path.write_bytes(_rolled(1, 60_000_000))
    yield "one_colour_99_mp.jpg", lambda path: path.write_bytes(jpeg(9_950, 9_950))
    yield "one_colour_99_mp_progressive.jpg", lambda path: path.write_bytes(jpeg(9_950, 9_950, progressive=True))
    yield "scans_1000_of_16_mp.jpg", lambda path: path.write_bytes(scans(4_000, 4_000, 1000))
    yield "one_colour_99_mp.webp", _saved("WEBP", (9_950, 9_950), lossless=True)
    yield "one_colour_99_mp.gif", _saved("GIF", (9_950, 9_950))


def _saved(kind: str, size: tuple[int, int], **options: Any) -> Write:
    return lambda path: Image.new("RGB", size).save(path, kind, **options)


def _rolled(width: int, height: int) -> bytes:
    """A TIFF in one strip of PackBits: two bytes stand for 128."""
    data = b"\x81\0" * (width * height // 128 + 1)
    told = _strip(height, (259, 3, 1, 32_773), (273, 4, 1, 200), (278, 4, 1, height), (279, 4, 1, len(data)))
    return (
        tiff(*((tag, kind, count, width if tag == 256 else value) for tag, kind, count, value in told)).ljust(
            200, b"\0"
        )
        + data
    )
