"""Videos that are bombs: containers whose numbers claim anything at all."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import av
from picture_bombs import ALL, Write, claiming, jpeg, riff, zeros

MANY = 1_000_000


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of an MP4."""
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    """A box with a version."""
    return box(kind, bytes([version, 0, 0, 0]), *parts)


def mp4(
    *,
    size: tuple[int, int] = (64, 64),
    scale: int = 10,
    duration: int = 10,
    stts: bytes | None = None,
    stsz: bytes | None = None,
    ctts: bytes = b"",
    extra: bytes = b"",
    tracks: int = 1,
    still: bytes = b"",
) -> bytes:
    """An MP4 of ten pictures, which are one JPEG; all else as it is told."""
    still = still or jpeg(64, 64)
    ftyp = box(b"ftyp", b"isom\0\0\2\0isommp41")
    mdat = box(b"mdat", still)
    place = len(ftyp) + 8
    entry = box(b"jpeg", bytes(6), b"\0\1", bytes(16), struct.pack(">HH", *size), b"\0\x48\0\0" * 2, bytes(4), b"\0\1",
                bytes(32), b"\0\x18\xff\xff")  # fmt: skip
    table = box(
        b"stbl",
        full(b"stsd", b"\0\0\0\1", entry),
        stts or full(b"stts", struct.pack(">III", 1, 10, 1)),
        ctts,
        full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
        stsz or full(b"stsz", struct.pack(">II", len(still), 10)),
        full(b"stco", struct.pack(">I", 10), struct.pack(">I", place) * 10),
    )
    told = struct.pack(">QQIQ", 0, 0, scale, duration)
    hdlr = full(b"hdlr", bytes(4), b"vide", bytes(13))
    dinf = box(b"dinf", full(b"dref", b"\0\0\0\1", box(b"url ", b"\0\0\0\1")))
    minf = box(b"minf", full(b"vmhd", bytes(8)), dinf, table)
    mdia = box(b"mdia", full(b"mdhd", told, bytes(4), version=1), hdlr, minf)
    shown = struct.pack(">II", size[0] << 16 & ALL, size[1] << 16 & ALL)
    tkhd = full(b"tkhd", bytes(8), b"\0\0\0\1", bytes(4), struct.pack(">I", duration & ALL), bytes(16),
                struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), shown)  # fmt: skip
    mvhd = full(b"mvhd", told, bytes(80), version=1)
    return ftyp + mdat + box(b"moov", mvhd, *[box(b"trak", tkhd, mdia)] * tracks, extra)


def element(name: str, *parts: bytes, claim: int | None = None) -> bytes:
    """An element of Matroska; its id in hexadecimal."""
    body = b"".join(parts)
    size = len(body) if claim is None else claim
    return bytes.fromhex(name) + (size | 1 << 56).to_bytes(8, "big") + body


def number(name: str, value: int) -> bytes:
    """An element that is a number."""
    return element(name, value.to_bytes(8, "big"))


def mkv(
    *more: bytes,
    kind: bytes = b"matroska",
    size: tuple[int, int] = (64, 64),
    scale: int = 1_000_000,
    duration: float = 100.0,
    tracks: int = 1,
    coded: bytes = b"",
    block: bytes | None = None,
    claim: int | None = None,
) -> bytes:
    """A Matroska file of one JPEG; all else as it is told."""
    head = element("1a45dfa3", element("4282", kind), number("4287", 4), number("4285", 2))
    info = element("1549a966", number("2ad7b1", scale), element("4489", struct.pack(">d", duration)))
    seen = element("e0", number("b0", size[0]), number("ba", size[1]))
    track = [
        element("ae", number("d7", n), number("73c5", n), number("83", 1), element("86", b"V_MJPEG"), seen, coded)
        for n in range(1, tracks + 1)
    ]
    shown = jpeg(64, 64) if block is None else block
    cluster = element("1f43b675", number("e7", 0), element("a3", b"\x81\0\0\x80" + shown))
    return head + element("18538067", info, element("1654ae6b", *track), *more, cluster, claim=claim)


def avi(length: int, index: bytes, rate: int = 10) -> bytes:
    """An AVI of one JPEG, with an index and a length as told."""
    still = jpeg(64, 64)
    main = struct.pack("<14I", 100_000, 0, 0, 0x10, length, 0, 1, 0, 64, 64, 0, 0, 0, 0)
    head = b"vidsMJPG" + struct.pack("<IHHIIIIIIII", 0, 0, 0, 0, 1, rate, 0, length, ALL, ALL, 0) + bytes(8)
    form = struct.pack("<IiiHH4sIiiII", 40, 64, 64, 1, 24, b"MJPG", 0, 0, 0, 0, 0)

    def listed(kind: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
        return kind + riff(b"", *chunks)[8:]

    tracks = listed(b"strl", (b"strh", head), (b"strf", form))
    hdrl = listed(b"hdrl", (b"avih", main), (b"LIST", tracks))
    return riff(b"AVI ", (b"LIST", hdrl), (b"LIST", listed(b"movi", (b"00dc", still))), (b"idx1", index))


def _nested(depth: int, kind: bytes = b"udta") -> bytes:
    return b"".join(struct.pack(">I", 8 * (depth - level)) + kind for level in range(depth))


def films() -> Iterator[tuple[str, bytes]]:
    yield "plain.mp4", mp4()
    yield "claims_65535.mp4", mp4(size=(65_535, 65_535))
    yield "claims_10000.mp4", mp4(size=(9_990, 9_990))
    for side in (9_990, 16_000, 40_000, 65_500):
        yield f"picture_claims_{side}.mp4", mp4(still=claiming(jpeg(64, 64), side, side))
        yield f"picture_claims_{side}.mkv", mkv(block=claiming(jpeg(64, 64), side, side))
    yield "fps_1000000.mp4", mp4(scale=1_000_000)
    yield "duration_2_63.mp4", mp4(duration=(1 << 63) - 1)
    yield "tracks_10000.mp4", mp4(tracks=10_000)
    yield "tracks_60.mp4", mp4(tracks=60)
    yield "stts_1000000.mp4", mp4(stts=full(b"stts", struct.pack(">I", MANY), struct.pack(">II", 1, 1) * MANY))
    yield "stts_claimed.mp4", mp4(stts=full(b"stts", struct.pack(">III", ALL, ALL, ALL)))
    yield "ctts_1000000.mp4", mp4(ctts=full(b"ctts", struct.pack(">I", MANY), struct.pack(">II", 1000, 1) * MANY))
    for name, count in (("2_g", 0x7FFFFFFF), ("200_m", 200_000_000), ("4_m", 4_900_000)):
        table = full(b"stsz", struct.pack(">II", 1, count))
        yield f"samples_{name}.mp4", mp4(stsz=table, stts=full(b"stts", struct.pack(">III", 1, count, 1)))
    yield "nested_1000.mp4", mp4(extra=_nested(1000))
    yield "nested_moov_1000.mp4", mp4(extra=_nested(1000, b"moov"))
    yield "nested_100000.mp4", mp4(extra=_nested(100_000, b"trak"))
    cmov = box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", struct.pack(">I", 0x7FFFFFFF), zeros()))
    yield "pressed_header.mp4", box(b"ftyp", b"qt  \0\0\2\0qt  ") + box(b"moov", cmov)
    yield "edits_1000000.mp4", mp4(extra=box(b"trak", box(b"edts", full(b"elst", struct.pack(">I", ALL)))))
    yield "box_2_63.mp4", mp4() + b"\0\0\0\1moof" + struct.pack(">Q", (1 << 63) - 1)
    for kind in (b"matroska", b"webm"):
        name = "mkv" if kind == b"matroska" else "webm"
        yield f"plain.{name}", mkv(kind=kind)
        yield f"claims_4_g.{name}", mkv(kind=kind, size=(ALL, ALL))
        yield f"claims_65535.{name}", mkv(kind=kind, size=(65_535, 65_535))
        yield f"duration_1e300.{name}", mkv(kind=kind, duration=1e300, scale=(1 << 63) - 1)
        yield f"tracks_10000.{name}", mkv(kind=kind, tracks=10_000)
        yield f"segment_2_56.{name}", mkv(kind=kind, claim=(1 << 56) - 2)
        yield (
            f"attached_2_40.{name}",
            mkv(element("1941a469", element("61a7", element("465c", claim=1 << 40))), kind=kind),
        )
    points = element("bb", number("b3", 1), element("b7", number("f7", 1), number("f1", 1))) * 300_000
    yield "cues_300000.mkv", mkv(element("1c53bb6b", points))
    tags = b""
    for _ in range(1000):
        tags = element("67c8", element("45a3", b"A"), tags)
    yield "tags_1000_deep.mkv", mkv(element("1254c367", element("7373", tags)))
    coding = element("6d80", element("6240", element("5034", number("4254", 0))))
    yield "pressed_block.mkv", mkv(coded=coding, block=zeros())
    yield "plain.avi", avi(10, b"00dc" + struct.pack("<III", 0x10, 4, 1000))
    yield (
        "index_1000000.avi",
        avi(MANY, b"00dc" + struct.pack("<III", 0x10, 4, 1000) + b"00dc\x10\0\0\0\4\0\0\0\1\0\0\0" * MANY),
    )
    yield "length_4_g.avi", avi(ALL, b"00dc" + struct.pack("<III", 0x10, ALL, ALL), rate=ALL)


def filmed(codec: str, side: int, frames: int = 10) -> bytes:
    """A video of frames of one colour: a few bytes each."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4" if codec == "libx264" else "webm") as out:
        options = {"preset": "ultrafast"} if codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
        stream: Any = out.add_stream(codec, rate=1, options=options)
        stream.width = stream.height = side
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 2
        frame = av.VideoFrame(side, side, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([90]) * plane.buffer_size)
        for number in range(frames):
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def large() -> Iterator[tuple[str, Write]]:
    """Videos that take a while to make or to decode."""
    yield "one_colour_67_mp.mp4", lambda path: path.write_bytes(filmed("libx264", 8_192))
    yield "one_colour_67_mp.webm", lambda path: path.write_bytes(filmed("libvpx-vp9", 8_192))
