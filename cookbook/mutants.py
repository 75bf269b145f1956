"""Make mutants of small media files: what a bad disk, a bad transfer or a bad person makes of them.

The same seed makes the same bytes. `mutated_media.py` says what becomes of them.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from seed_media import FORMATS, seeds

Field = tuple[int, int, str]  # offset of a number, its bytes, `big` or `little`
Span = tuple[int, int]  # first byte of a block and the one behind its last

MASTERS = {0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0, 0x1549A966, 0x1C53BB6B, 0xBB, 0xB7, 0x114D9B74,
           0x4DBB, 0x1254C367, 0x7373}  # fmt: skip
BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts", b"dinf", b"moof", b"traf", b"mvex"}
EXTREMES = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF)
HEADER = 512


# What a file is made of


def parts(data: bytes, name: str) -> tuple[list[Field], list[Span]]:
    """The numbers in a file's headers, and the blocks that it is made of."""
    fields: list[Field] = []
    blocks: list[Span] = []
    with suppress(IndexError):  # what was found until then will do
        _PARTS[name](data, fields, blocks)
    return [one for one in fields if one[0] + one[1] <= len(data)], [one for one in blocks if one[1] <= len(data)]


def _png(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        blocks.append((place, place + 12 + length))
        fields.append((place, 4, "big"))
        kind = data[place + 4 : place + 8]
        wide = {b"IHDR": 2, b"acTL": 2, b"fcTL": 5}.get(kind, 0)
        fields += [(place + 8 + 4 * number, 4, "big") for number in range(wide)]
        fields += [(place + 16 + number, 1, "big") for number in range(5 if kind == b"IHDR" else 0)]
        place += 12 + length


def _jpg(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    place = 2
    while data[place] == 0xFF and data[place + 1] != 0xDA:
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        blocks.append((place, place + 2 + length))
        fields.append((place + 2, 2, "big"))
        if 0xC0 <= data[place + 1] <= 0xC2:
            fields += [(place + 5, 2, "big"), (place + 7, 2, "big"), (place + 9, 1, "big"), (place + 11, 1, "big")]
        place += 2 + length


def _gif(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    fields += [(6, 2, "little"), (8, 2, "little"), (10, 1, "little")]
    starts = [found.start() for found in re.finditer(rb"\x21\xf9\x04....\x00", data, re.DOTALL)]
    blocks += zip(starts, [*starts[1:], len(data) - 1], strict=True)
    for start in starts:
        fields += [(start + 9 + 2 * number, 2, "little") for number in range(4)] + [(start + 4, 2, "little")]


def _riff(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    place = 12
    fields.append((4, 4, "little"))
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        blocks.append((place, place + 8 + length + length % 2))
        fields.append((place + 4, 4, "little"))
        kind = data[place : place + 4]
        if kind == b"fmt ":
            fields += [
                (place + 8 + at, size, "little") for at, size in ((0, 2), (2, 2), (4, 4), (8, 4), (12, 2), (14, 2))
            ]
        if kind in (b"VP8X", b"ANMF"):
            fields += [(place + 12 + 3 * number, 3, "little") for number in range(4)]
        place += 8 + length + length % 2


def _tiff(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    order: Any = "little" if data[:2] == b"II" else "big"
    place = int.from_bytes(data[4:8], order)
    fields.append((4, 4, order))
    for _ in range(4):
        count = int.from_bytes(data[place : place + 2], order)
        if not place or count > 100:
            return
        fields.append((place, 2, order))
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            blocks.append((entry, entry + 12))
            fields += [(entry, 2, order), (entry + 2, 2, order), (entry + 4, 4, order), (entry + 8, 4, order)]
        end = place + 2 + 12 * count
        fields.append((end, 4, order))
        place = int.from_bytes(data[end : end + 4], order)


def _mp3(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    if data[:3] == b"ID3":
        fields.append((6, 4, "big"))
        place, end = 10, 10 + sum(byte << 7 * (3 - at) for at, byte in enumerate(data[6:10]))
        while place + 10 < end and data[place]:
            length = int.from_bytes(data[place + 4 : place + 8], "big")
            fields.append((place + 4, 4, "big"))
            blocks.append((place, place + 10 + length))
            place += 10 + length
    starts = [found.start() for found in re.finditer(rb"\xff[\xf2-\xfb]", data)]
    blocks += pairwise(starts)
    fields += [(start, 4, "big") for start in starts[:4]]


def _flac(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    place, last = 4, False
    fields += [(place + at, size, "big") for at, size in ((4, 2), (6, 2), (8, 3), (11, 3), (14, 4), (18, 4))]
    while not last:
        last, length = data[place] >= 0x80, int.from_bytes(data[place + 1 : place + 4], "big")
        blocks.append((place, place + 4 + length))
        fields.append((place + 1, 3, "big"))
        if data[place] & 0x7F == 4:
            fields.append((place + 4, 4, "little"))
        place += 4 + length


def _ogg(data: bytes, fields: list[Field], blocks: list[Span]) -> None:
    starts = [found.start() for found in re.finditer(b"OggS", data)]
    blocks += zip(starts, [*starts[1:], len(data)], strict=True)
    for start in starts:
        for at, size in ((5, 1), (6, 8), (14, 4), (18, 4), (26, 1), (27, 1), (28 + 9, 1), (28 + 12, 4)):
            fields.append((start + at, size, "little"))


def _mp4(data: bytes, fields: list[Field], blocks: list[Span], first: int = 0, end: int | None = None) -> None:
    place, end = first, len(data) if end is None else end
    while place + 8 <= end:
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if length < 8:
            return
        blocks.append((place, place + length))
        fields.append((place, 4, "big"))
        if kind in BOXES:
            _mp4(data, fields, blocks, place + 8, place + length)
        elif kind not in (b"mdat", b"free", b"ftyp"):
            fields += [(at, 4, "big") for at in range(place + 8, min(place + length, place + 104) - 3, 4)]
        place += length


def _ebml(data: bytes, fields: list[Field], blocks: list[Span], first: int = 0, end: int | None = None) -> None:
    place, end = first, len(data) if end is None else end
    while place + 2 <= end:
        wide = 9 - data[place].bit_length()
        name = int.from_bytes(data[place : place + wide], "big")
        at = place + wide
        size = 9 - data[at].bit_length()
        length = int.from_bytes(data[at : at + size], "big") & ((1 << 7 * size) - 1)
        behind = min(at + size + length, end)
        blocks.append((place, behind))
        fields.append((at, size, "big"))
        if name in MASTERS:
            _ebml(data, fields, blocks, at + size, behind)
        elif 0 < length <= 8:
            fields.append((at + size, length, "big"))
        place = behind


_PARTS: dict[str, Callable[[bytes, list[Field], list[Span]], None]] = {
    "jpg": _jpg, "png": _png, "gif": _gif, "webp": _riff, "tiff": _tiff, "wav": _riff, "flac": _flac, "mp3": _mp3,
    "ogg": _ogg, "m4a": _mp4, "mp4": _mp4, "mkv": _ebml, "webm": _ebml,
}  # fmt: skip


# What becomes of it


def _flipped(data: bytearray, rng: random.Random, count: int, first: int, end: int) -> None:
    for _ in range(count):
        data[rng.randrange(first, end)] ^= 1 << rng.randrange(8)


def few_bits(data: bytearray, _: str, rng: random.Random, __: bytes) -> None:
    """Turn one to eight bits."""
    _flipped(data, rng, rng.randint(1, 8), 4, len(data))


def many_bits(data: bytearray, _: str, rng: random.Random, __: bytes) -> None:
    """Turn one bit of a hundred bytes, or one of ten bytes, behind the first twelve."""
    _flipped(data, rng, len(data) // rng.choice((10, 100)) + 1, 12, len(data))


def header_bits(data: bytearray, _: str, rng: random.Random, __: bytes) -> None:
    """Turn one to sixteen bits at the beginning."""
    _flipped(data, rng, rng.randint(1, 16), 4, min(HEADER, len(data)))


def cut_short(data: bytearray, _: str, rng: random.Random, __: bytes) -> None:
    """Leave out the end, or most of the file."""
    del data[rng.choice((rng.randrange(1, len(data)), rng.randrange(16, min(HEADER, len(data))), len(data) - 1)) :]


def numbers(data: bytearray, name: str, rng: random.Random, _: bytes) -> None:
    """Set one to three lengths, sizes or counts to 0, 1, or the most that they can be."""
    fields = parts(bytes(data), name)[0]
    for place, size, order in rng.sample(fields, min(len(fields), rng.choice((1, 1, 2, 3)))):
        value = rng.choice((*EXTREMES, rng.getrandbits(8 * size))) & ((1 << 8 * size) - 1)
        value = (1 << 8 * size) - 1 if rng.random() < 0.1 else value
        data[place : place + size] = value.to_bytes(size, order)  # type: ignore[arg-type]
    if name == "png" and rng.random() < 0.8:
        _summed(data)


def swapped(data: bytearray, name: str, rng: random.Random, _: bytes) -> None:
    """Let two blocks change places."""
    blocks = parts(bytes(data), name)[1]
    one, other = sorted(rng.sample(blocks, 2)) if len(blocks) > 1 else ((8, 24), (24, 40))
    if one[1] <= other[0]:
        data[one[0] : other[1]] = data[slice(*other)] + data[one[1] : other[0]] + data[slice(*one)]
    else:  # one is inside the other, and takes its place
        data[slice(*one)] = data[slice(*other)]


def doubled(data: bytearray, name: str, rng: random.Random, _: bytes) -> None:
    """Write a block two to fifty times."""
    blocks = parts(bytes(data), name)[1] or [(16, 64)]
    one = rng.choice(blocks)
    data[one[1] : one[1]] = bytes(data[slice(*one)]) * rng.choice((1, 1, 2, 50))


def zeroed(data: bytearray, _: str, rng: random.Random, __: bytes) -> None:
    """Fill a stretch with zeros, or with ones."""
    place = rng.randrange(12, len(data))
    end = min(len(data), place + rng.choice((4, 16, 64, 512, len(data) // 4)))
    data[place:end] = rng.choice((b"\0", b"\0", b"\xff")) * (end - place)


def spliced(data: bytearray, _: str, rng: random.Random, other: bytes) -> None:
    """Go on as a file of another format does."""
    place, from_ = rng.randrange(16, len(data)), rng.randrange(len(other))
    data[place:] = other[from_:] if rng.random() < 0.5 else other


MUTATIONS = (few_bits, many_bits, header_bits, cut_short, numbers, swapped, doubled, zeroed, spliced)


def _summed(data: bytearray) -> None:
    """Make the sums of a PNG's blocks right, so that what is in them is looked at."""
    for first, end in parts(bytes(data), "png")[1]:
        data[end - 4 : end] = zlib.crc32(data[first + 4 : end - 4]).to_bytes(4, "big")


def mutants(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """At least `count` mutants, of each format and kind as many: format, kind, bytes. No two are the same."""
    made = seeds()
    seen = {data for several in made.values() for data in several}
    rounds = -(-count // (len(FORMATS) * len(MUTATIONS)))
    for number in range(rounds):
        for name in FORMATS:
            for mutation in MUTATIONS:
                rng = random.Random(f"{seed} {number} {name} {mutation.__name__}")
                first = made[name][number % len(made[name])]
                other = rng.choice(made[rng.choice([one for one in FORMATS if one != name])])
                data = bytearray(first)
                mutation(data, name, rng, other)
                while bytes(data) in seen:
                    data = data if len(data) > HEADER else bytearray(first)
                    few_bits(data, name, rng, other)
                seen.add(bytes(data))
                yield name, mutation.__name__, bytes(data)


def save(folder: Path, count: int, seed: int) -> dict[str, tuple[str, str]]:
    """Write mutants into a folder; format and kind of mutation by name."""
    found = {}
    for number, (name, kind, data) in enumerate(mutants(count, seed)):
        file = f"{number:05}-{kind}.{name}"
        (folder / file).write_bytes(data)
        found[file] = (name, kind)
    return found
