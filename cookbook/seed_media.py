"""Make small good media files of 13 formats: several codecs of each, with tags, covers, subtitles, and moving ones.

`mutants.py` makes bad ones of them. They are always the same bytes, with the same versions of Pillow and PyAV.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

FORMATS = ("jpg", "png", "gif", "webp", "tiff", "wav", "flac", "mp3", "ogg", "m4a", "mp4", "mkv", "webm")
SOUNDS = {  # suffix, muxer, encoder, sample format, layout, Hz
    "wav": ("wav", "pcm_s16le", "s16", "mono", 16_000),
    "wav24": ("wav", "pcm_s24le", "s32", "stereo", 48_000),
    "wavfloat": ("wav", "pcm_f32le", "flt", "mono", 44_100),
    "wavadpcm": ("wav", "adpcm_ima_wav", "s16p", "stereo", 22_050),
    "flac": ("flac", "flac", "s16", "stereo", 44_100),
    "flac8": ("flac", "flac", "s16", "mono", 8_000),
    "mp3": ("mp3", "libmp3lame", "fltp", "stereo", 44_100),
    "mp3low": ("mp3", "libmp3lame", "fltp", "mono", 16_000),
    "ogg": ("ogg", "libopus", "flt", "stereo", 48_000),
    "oggflac": ("ogg", "flac", "s16", "mono", 44_100),
    "m4a": ("ipod", "aac", "fltp", "stereo", 44_100),
    "m4alossless": ("ipod", "alac", "s16p", "mono", 44_100),
}
FILMS = {  # muxer, encoder of pictures, of sound, of subtitles, options of the muxer
    "mp4": ("mp4", "libx264", "aac", "mov_text", {}),
    "mp4part": ("mp4", "mpeg4", "libmp3lame", None, {"movflags": "frag_keyframe+empty_moov"}),
    "mp4new": ("mp4", "libx265", "aac", None, {}),
    "mkv": ("matroska", "libx264", "aac", "subrip", {}),
    "mkvold": ("matroska", "mjpeg", "flac", "ass", {}),
    "webm": ("webm", "libvpx", "libopus", None, {}),
    "webm9": ("webm", "libvpx-vp9", "libopus", "webvtt", {}),
    "webm1": ("webm", "libsvtav1", "libopus", None, {}),
}
ASS = b"[Script Info]\r\n\r\n[V4+ Styles]\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Text\r\n"
BITEXACT = 1 << 23  # AV_CODEC_FLAG_BITEXACT

os.environ.setdefault("SVT_LOG", "1")  # its encoder tells of itself otherwise


def seeds(seed: int = 1) -> dict[str, list[bytes]]:
    """Good files by format, several of each; no two of different seeds are the same."""
    made: dict[str, list[bytes]] = {name: [] for name in FORMATS}
    for name, data in (
        *_stills(seed),
        *((name, sound(name, seed)) for name in SOUNDS),
        *((name, film(name, seed)) for name in FILMS),
    ):
        made[next(one for one in FORMATS if name.startswith(one))].append(data)
    return made


def picture(seed: int, size: tuple[int, int] = (72, 48)) -> Image.Image:
    """A picture with a gradient, a disc and some noise."""
    rng, (width, height) = np.random.default_rng(seed), size
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pixels = np.stack([200 * across, 200 * down, 200 * (1 - across)], -1) + rng.integers(0, 40, (height, width, 3))
    pixels[(across - rng.random()) ** 2 + (down - rng.random()) ** 2 < 0.05] = rng.integers(0, 255, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def _stills(seed: int) -> Iterator[tuple[str, bytes]]:
    rgb, more = picture(seed), [picture(seed + more) for more in (1, 2, 3)]
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", "Model 1", 6
    exif.get_ifd(0x8769).update({0x9003: "2024:05:03 21:30:00", 0x9011: "+02:00"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)})
    moving = {"save_all": True, "append_images": more, "duration": 80}
    kinds: tuple[tuple[str, str, Image.Image, dict[str, Any]], ...] = (
        ("jpg", "JPEG", rgb, {"exif": exif}),
        ("jpgprogressive", "JPEG", rgb, {"progressive": True, "quality": 60}),
        ("jpgcmyk", "JPEG", rgb.convert("CMYK"), {"restart_marker_blocks": 2}),
        ("png", "PNG", rgb, {"exif": exif}),
        ("pngpalette", "PNG", rgb.quantize(16), {"transparency": 3}),
        ("pngmoving", "PNG", rgb, moving),
        ("png16", "PNG", Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257), {}),
        ("gif", "GIF", rgb.quantize(32), {"transparency": 1}),
        ("gifmoving", "GIF", rgb, moving),
        ("webp", "WEBP", rgb, {"exif": exif}),
        ("webplossless", "WEBP", rgb.convert("RGBA"), {"lossless": True}),
        ("webpmoving", "WEBP", rgb, moving),
        ("tiff", "TIFF", rgb, {"exif": exif}),
        ("tifflzw", "TIFF", rgb, {"compression": "tiff_lzw", "save_all": True, "append_images": more}),
        ("tiffjpeg", "TIFF", rgb, {"compression": "jpeg"}),
        ("tiffdeflate", "TIFF", Image.fromarray(np.asarray(rgb.convert("F"))), {"compression": "tiff_adobe_deflate"}),
        ("tiffbits", "TIFF", rgb.convert("1"), {"compression": "group4"}),
    )
    for name, kind, image, options in kinds:
        file = io.BytesIO()
        image.save(file, kind, **options)
        yield name, file.getvalue()


def wave(seed: int, seconds: float, rate: int) -> Array:
    """A gliding tone in noise: float32 mono."""
    time = np.arange(int(seconds * rate)) / rate
    glide = np.sin(2 * np.pi * (300 + 100 * (seed % 30) + 80 * time) * time)
    return (0.4 * glide + 0.05 * np.random.default_rng(seed).standard_normal(len(time))).astype(np.float32)


def sound(name: str, seed: int = 0, seconds: float = 1.0) -> bytes:
    """A recording; MP3 and FLAC with tags, an MP3 in stereo with a cover too."""
    muxer, codec, form, layout, rate = SOUNDS[name]
    file = io.BytesIO()
    with av.open(file, "w", format=muxer, options={"fflags": "+bitexact"}) as out:
        out.metadata.update({"title": "A tone", "artist": "Nobody \u00e9", "comment": "made"})
        track: Any = out.add_stream(codec, rate=rate, layout=layout, format=form)
        track.codec_context.flags |= BITEXACT
        cover: Any = None
        if name == "mp3":
            cover = out.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
        _heard(out, track, wave(seed, seconds, rate), rate, layout, form)
        if cover is not None:
            packet = av.Packet(_jpeg(picture(seed, (64, 48))))
            packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, Fraction(1, 1)
            out.mux(packet)
    return file.getvalue()


def film(name: str, seed: int = 0, seconds: float = 1.2) -> bytes:
    """A video of two shots with sound, and subtitles where its kind has them."""
    muxer, codec, heard, said, options = FILMS[name]
    file = io.BytesIO()
    with av.open(file, "w", format=muxer, options={"fflags": "+bitexact", **options}) as out:
        out.metadata.update({"title": "A film", "creation_time": "2024-05-03T20:00:00Z"})
        quick = {"libx264": {"preset": "veryfast"}, "libx265": {"preset": "ultrafast", "x265-params": "log-level=0"},
                 "libsvtav1": {"preset": "12"}}.get(codec, {})  # fmt: skip
        seen: Any = out.add_stream(codec, rate=10, options=quick)
        seen.width, seen.height, seen.gop_size = 96, 64, 6
        seen.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        seen.codec_context.thread_count = 1
        rate = 48_000 if heard == "libopus" else 44_100
        form = {"flac": "s16", "libopus": "flt", "libmp3lame": "fltp"}.get(heard, "fltp")
        track: Any = out.add_stream(heard, rate=rate, layout="mono", format=form)
        for stream in (seen, track):
            stream.codec_context.flags |= BITEXACT
        text: Any = out.add_stream(said) if said else None
        if text is not None:
            text.codec_context.subtitle_header = ASS
        for number in range(int(10 * seconds)):
            still = picture(seed + (2 * number >= 10 * seconds), (96, 64))
            frame = av.VideoFrame.from_ndarray(np.roll(np.asarray(still), number, 1), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(seen.encode(frame))
        out.mux(seen.encode(None))
        _heard(out, track, wave(seed, seconds, rate), rate, "mono", form)
        for start, line in ((0, "Hello there."), (500, "Good bye.")) if text is not None else ():
            said_here = line.encode()
            if said == "mov_text":
                said_here = len(said_here).to_bytes(2, "big") + said_here
            if said == "ass":
                said_here = b"%d,0,Default,,0,0,0,," % (start // 500) + said_here
            packet = av.Packet(said_here)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = start, start, 400
            out.mux(packet)
    if hasattr(os, "sched_setscheduler"):  # SVT-AV1 gives whoever calls it as root the priority of real time
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return file.getvalue()


def _heard(out: Any, track: Any, samples: Array, rate: int, layout: str, form: str) -> None:
    converter = av.AudioResampler(form, layout, rate)
    if not track.codec_context.is_open:
        track.codec_context.open()
    size = track.codec_context.frame_size or 1024
    for place in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(samples[None, place : place + size], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
        for ready in converter.resample(frame):
            out.mux(track.encode(ready))
    out.mux(track.encode(None))


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()
