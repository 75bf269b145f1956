"""Make bombs: files that are small on a disk and claim, or become, far more. `media_bombs.py` lets them go off."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import film_bombs
import picture_bombs
import sound_bombs
from film_bombs import MANY, box, full, mp4
from picture_bombs import Write
from sound_bombs import wav

CRC = 0x2A0E7DBB  # of 256 MB of zeros


@dataclass(frozen=True, slots=True)
class Bomb:
    """A file to be tried; what lies beside it in its folder is written with it."""

    name: str
    """Of the file."""
    write: Write
    """Writes it to a path."""
    dear: bool = False
    """To make it, or to decode it, takes seconds."""


def bombs(address: str) -> Iterator[Bomb]:
    """All of them; playlists name a file of this machine and `address`, a URL."""
    for made in (picture_bombs.pictures, sound_bombs.sounds, film_bombs.films, _others, lambda: _playlists(address)):
        yield from (Bomb(name, _bytes(data)) for name, data in made())
    for costly in (picture_bombs.large, sound_bombs.large, film_bombs.large):
        yield from (Bomb(name, write, dear=True) for name, write in costly())
    yield from _texts()


def _bytes(data: bytes) -> Write:
    return lambda path: path.write_bytes(data)


# What is no medium, or one that is not read


def _others() -> Iterator[tuple[str, bytes]]:
    yield "document.jpg", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
    yield "postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n{} loop\n"
    yield "drawing.jpg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "stars.jpg", b"SIMPLE  =                    T".ljust(80) + b"NAXIS1  =           9999999999".ljust(2800)
    yield "jpeg2000.jpg", bytes.fromhex("0000000c6a5020200d0a870a") + b"\0\0\0\x14ftypjp2 " + bytes(64)
    yield "icons.jpg", b"icns" + b"\xff\xff\xff\xff" + b"ic10" + b"\xff\xff\xff\xff" + bytes(64)
    yield "layers.jpg", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 300_000, 300_000, 8, 3) + bytes(64)
    yield (
        "zeros_256_mb.gz.jpg",
        b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + picture_bombs.zeros()[2:-4] + struct.pack("<II", CRC, 256 << 20),
    )
    yield "empty.mp4", b""


def _playlists(address: str) -> Iterator[tuple[str, bytes]]:
    """Lists of files that name one of this machine and one elsewhere, under several names each."""
    here = "file:///etc/passwd"
    lists = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{here}\n#EXTINF:9,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
        "mpd": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>{address}/'
        f"</BaseURL><Period><AdaptationSet><Representation id='1'><BaseURL>{here}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>",
        "ffconcat": f"ffconcat version 1.0\nfile '{here}'\nfile '{address}/b.mp4'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for kind, text in lists.items():
        for suffix in (kind, "mp4", "txt", "jpg"):
            yield f"playlist.{kind}.{suffix}" if suffix != kind else f"playlist.{kind}", text.encode()
    outside = box(b"dref", bytes(4), b"\0\0\0\1", box(b"url ", bytes(4), f"{address}/c.mp4\0".encode()))
    plain = mp4()
    yield "reference.mp4", plain.replace(box(b"dref", bytes(4), b"\0\0\0\1", box(b"url ", b"\0\0\0\1")), outside)
    yield (
        "moov_reference.mp4",
        box(b"ftyp", b"qt  \0\0\2\0qt  ")
        + box(
            b"moov",
            box(
                b"rmra", box(b"rmda", full(b"rdrf", b"url ", struct.pack(">I", 40), address.encode().ljust(40, b"\0")))
            ),
        ),
    )


# Texts


def _texts() -> Iterator[Bomb]:
    deep = b'{"segments":' + b"[" * MANY + b"]" * MANY + b"}"
    words = b",".join([b'{"word":"a","start":1,"end":2}'] * 450_000)
    for kind, count in (("srt", 450_000), ("vtt", 450_000), ("json", 250_000)):  # below the limit of 16 MB
        if kind != "json":
            yield Bomb(f"entries_1000000.{kind}", _entries(kind, MANY), dear=True)
            yield Bomb(f"entries_{count}.{kind}", _entries(kind, count), dear=True)
        yield Bomb(f"beside_{count}_{kind}.wav", _beside(_entries(kind, count), kind), dear=True)
        yield Bomb(f"beside_1000000_{kind}.wav", _beside(_entries(kind, MANY), kind), dear=True)
    yield Bomb("transcript.json", _entries("json", MANY), dear=True)
    yield Bomb("beside_deep_json.wav", _beside(_bytes(deep), "json"))
    said = b'{"segments":[{"start":1,"end":2,"text":"a.","words":[%b]}]}' % words
    yield Bomb("beside_words_json.wav", _beside(_bytes(said), "json"), dear=True)
    longest = b'{"segments":[{"start":1%b,"end":2,"text":"a"}]}' % (b"0" * MANY)
    yield Bomb("beside_number_json.wav", _beside(_bytes(longest), "json"))
    yield Bomb("deep.json", _bytes(deep))
    yield Bomb("spaces_1_mb.srt", _bytes(b"1\n" + b" " * MANY + b"\n0:0:1 --> 0:0:2\na\n"))
    yield Bomb("entity_5000_digits.srt", _bytes(b"1\n0:0:1 --> 0:0:2\na &#" + b"9" * 5000 + b";\n"))
    yield Bomb("one_line_50_mb.txt", lambda path: path.write_bytes(b"a" * (50 << 20)), dear=True)
    yield Bomb("one_line_50_mb_of_words.txt", lambda path: path.write_bytes(b"word " * (10 << 20)), dear=True)
    yield Bomb("one_line_50_mb.md", lambda path: path.write_bytes(b"#" * (50 << 20)), dear=True)
    yield Bomb("spaces_50_mb.txt", lambda path: path.write_bytes(b"a" + b" " * (50 << 20) + b"a"), dear=True)
    tags = b"1\n0:0:1 --> 0:0:2\n" + b"<{" * 7_000_000
    yield Bomb("tags_14_mb.srt", _bytes(tags), dear=True)


def _entries(kind: str, count: int) -> Write:
    """Writes so many subtitles, of a second each."""

    def line(number: int) -> str:
        start, end = (f"{t // 3600}:{t // 60 % 60}:{t % 60}" for t in (number // 4, number // 4 + 1))
        if kind == "json":
            return f'{{"start":{number // 4},"end":{number // 4 + 1},"text":"word {number}."}}'
        return f"{f'{number}' if kind == 'srt' else ''}\n{start} --> {end}\n{number:x}.\n"

    def write(path: Path) -> None:
        head, between, tail = {"json": ('{"segments":[', ",", "]}"), "vtt": ("WEBVTT\n", "", "")}.get(
            kind, ("", "", "")
        )
        path.write_text(head + between.join(map(line, range(count))) + tail)

    return write


def _beside(transcript: Write, kind: str) -> Write:
    """Writes a second of silence, and a transcript beside it."""

    def write(path: Path) -> None:
        path.write_bytes(wav(bytes(16_000), 16_000))
        transcript(path.with_suffix(f".{kind}"))

    return write
