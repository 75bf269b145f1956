"""Recordings that are bombs: silence without end, and headers that claim what is not there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache

import seed_media
from picture_bombs import ALL, Write, riff

HOUR = 3600


def flac(seconds: int, *, told: bool = True, level: int = 0) -> bytes:
    """Silence at 8 kHz: a few bytes for each eight seconds; unless `told`, the header does not say how long."""
    rate, block = 8_000, 65_535
    total = seconds * rate
    header = struct.pack(">HH", block, block) + bytes(6)
    header += (rate << 44 | 15 << 36 | (total if told else 0)).to_bytes(8, "big") + bytes(16)
    frames = []
    for number in range(total // block):
        head = b"\xff\xf8\x74\x08" + _coded(number) + struct.pack(">H", block - 1)
        head += bytes([_crc(head, 8, 0x07)]) + b"\0" + struct.pack(">h", level)
        frames.append(head + _crc(head, 16, 0x8005).to_bytes(2, "big"))
    return b"fLaC" + b"\x80" + len(header).to_bytes(3, "big") + header + b"".join(frames)


def _coded(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


@cache
def _table(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 & 1 else 0)
        table.append(value & ((1 << bits) - 1))
    return table


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value, table = 0, _table(bits, polynomial)
    for byte in data:
        value = (value << 8 & ((1 << bits) - 1)) ^ table[value >> bits - 8 ^ byte]
    return value


def wav(data: bytes, claim: int, channels: int = 1, rate: int = 8_000) -> bytes:
    """A WAV whose block of samples claims a length."""
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 & ALL, channels * 2 & 0xFFFF, 16)
    return riff(b"WAVE", (b"fmt ", form), claim=claim) + b"data" + struct.pack("<I", claim) + data


def _page(body: bytes, serial: int, number: int, kind: int, granule: int) -> bytes:
    lacing = bytes([255] * (len(body) // 255) + [len(body) % 255])
    head = b"OggS\0" + struct.pack("<BqIIIB", kind, granule, serial, number, 0, len(lacing)) + lacing
    crc = _crc_ogg(head + body)
    return head[:22] + struct.pack("<I", crc) + head[26:] + body


def _crc_ogg(data: bytes) -> int:
    return _crc(data, 32, 0x04C11DB7)


def _opus(channels: int, serial: int = 1) -> bytes:
    mapping = b"" if channels <= 2 else bytes([channels, 0]) + bytes(range(channels))
    head = b"OpusHead\1" + struct.pack("<BHIhB", channels, 0, 48_000, 0, 255 if mapping else 0) + mapping
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    return _page(head, serial, 0, 2, 0) + _page(tags, serial, 1, 0, 0) + _page(b"\xfc\xff\xfe", serial, 2, 4, 960)


def sounds() -> Iterator[tuple[str, bytes]]:
    mp3 = seed_media.sound("mp3low")
    real = seed_media.sound("flac8")
    yield "silence_24_h.flac", flac(24 * HOUR)
    yield "claims_4_g.wav", wav(bytes(32_000), ALL)
    yield "claims_hours.wav", wav(bytes(32_000), 0x7FFFFFF0, rate=1_000)
    yield "channels_65535.wav", wav(bytes(64_000), ALL, channels=65_535)
    yield "rate_4_g.wav", wav(bytes(64_000), ALL, rate=ALL)
    blocks = [(b"LIST", b"INFOIART\2\0\0\0a\0")] * 100_000
    yield "blocks_100000.wav", riff(b"WAVE", (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16)), *blocks)
    long = b"ds64" + struct.pack("<IQQQI", 28, 1 << 63, (1 << 63) - 1, 1 << 62, 0)
    yield "claims_2_63.wav", b"RF64\xff\xff\xff\xffWAVE" + long + wav(bytes(32_000), ALL)[12:]
    common = b"COMM" + struct.pack(">IhIh", 18, 1, ALL, 16) + b"\x40\x0b\xfa\0\0\0\0\0\0\0"
    sound = b"SSND" + struct.pack(">III", ALL, 0, 0) + bytes(16_000)
    yield "claims_4_g.aiff", b"FORM" + struct.pack(">I", ALL) + b"AIFF" + common + sound
    yield "claims_4_g.au", b".snd" + struct.pack(">IIIII", 24, ALL, 3, 8_000, 1) + bytes(32_000)
    yield "claims_hours.au", b".snd" + struct.pack(">IIIII", 24, 0x7FFFFFFE, 3, 1_000, 1) + bytes(32_000)
    yield "id3_200_mb_claimed.mp3", b"ID3\4\0\0" + bytes((100, 0, 0, 0)) + mp3
    yield "id3_frames_200000.mp3", _id3(b"TXXX\0\0\0\4\0\0\0a\0b" * 200_000) + mp3
    cover = (
        b"\0\0\0\3\0\0\0\x09image/png\0\0\0\0" + bytes(16) + struct.pack(">I", (1 << 24) - 80) + bytes((1 << 24) - 80)
    )
    yield (
        "picture_16_mb.flac",
        real[:42].replace(b"fLaC\x80", b"fLaC\0") + b"\6" + len(cover).to_bytes(4, "big")[1:] + cover + real[42:],
    )
    yield "picture_claimed.flac", b"fLaC\0" + real[5:42] + b"\x86\xff\xff\xff" + cover[:60]
    comment = struct.pack("<I", 0) + struct.pack("<I", ALL)
    yield "comments_4_g.flac", b"fLaC\0" + real[5:42] + b"\x84\0\0\x08" + comment + real[42:]
    yield "chained_10000.ogg", b"".join(_opus(1, serial) for serial in range(1, 10_001))
    yield "opus_255_channels.ogg", _opus(255)


def _id3(body: bytes) -> bytes:
    size = bytes(len(body) >> 7 * place & 0x7F for place in (3, 2, 1, 0))
    return b"ID3\3\0\0" + size + body


def large() -> Iterator[tuple[str, Write]]:
    """Recordings that take a while to decode."""
    yield "silence_24_h_untold.flac", lambda path: path.write_bytes(flac(24 * HOUR, told=False))
    yield "silence_11_h.flac", lambda path: path.write_bytes(flac(11 * HOUR))
    yield "hum_3_h.flac", lambda path: path.write_bytes(flac(3 * HOUR, level=8_000))
