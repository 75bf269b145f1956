"""Make the videos that `measure_video.py` measures: minutes of real clips, hours by stream copy, times burnt in.

A frame of `marked` carries its own time: a row of black and white squares at the top, milliseconds as binary digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from measure_sounds import heard
from numpy.typing import NDArray
from PIL import Image

RATE = 30
SECONDS = 60
CLIP = 6  # seconds of a clip before the next one
SOUND = 48_000  # Hz
TICK = Fraction(1, 90_000)
QUICK = {"preset": "veryfast"}
CLIPS = (
    "intel_cars.mp4",
    "intel_bottles.mp4",
    "pe_train.mp4",
    "intel_person_room.mp4",
    "pe_dog.mp4",
    "intelgif_store-aisle-detection.mp4",
)
"""The largest, and one that begins in the middle of things."""
REST = Fraction(1, 20)  # seconds between files that are joined: AAC begins before 0
DIGITS = 17
SQUARE = 8  # pixels along a digit
JITTER = (0.005, 0.120)  # seconds from one frame of `marked` to the next

Array = NDArray[Any]


def minute(
    data: Path,
    path: Path,
    size: tuple[int, int],
    group: int,
    *,
    seconds: int = SECONDS,
    clips: Sequence[str] = CLIPS,
    sound: Array | None = None,
    quality: int = 23,
) -> Path:
    """Write real clips, scaled to a size, 30 pictures a second of which each is a new one; `group` is libx264's."""
    with av.open(str(path), "w") as container:
        options = {**QUICK, "crf": str(quality)}
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", group
        track: Any = None if sound is None else container.add_stream("aac", rate=SOUND, layout="mono")
        for number, picture in enumerate(islice(pictures(data, clips), seconds * RATE)):
            frame = picture.reformat(*size, "yuv420p", interpolation="BICUBIC")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            frame.pict_type = 0  # not what the clip's own codec made of it
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None and sound is not None:
            listened(container, track, sound[: seconds * SOUND])
    return path


def pictures(data: Path, clips: Sequence[str]) -> Iterator[av.VideoFrame]:
    """Some seconds of each clip, again and again; a clip that is too short is shown more than once."""
    places = dict.fromkeys(clips, 0)
    while True:
        for name in clips:
            left, start = CLIP * RATE, places[name]
            while left:
                shown = 0
                with av.open(str(data / "videos" / name)) as container:
                    for frame in islice(container.decode(video=0), start, start + left):
                        shown += 1
                        yield frame
                start, left = (0 if left > shown else start + shown), left - shown
            places[name] = start


def noise(data: Path, count: int) -> Array:
    """So many samples of a street and of silence by turns, in which nobody speaks."""
    files = sorted((data / "sounds" / "urbansound8k" / "engine_idling").glob("*.ogg"))[:4]
    street = np.concatenate([heard(path, SOUND).samples for path in files])
    street = street * 0.05 / np.abs(street).max()
    quiet = np.zeros(len(street), np.float32)
    return np.resize(np.concatenate([street, quiet]), count).astype(np.float32)


def talk(data: Path, count: int) -> Array:
    """So many samples of which a third is spoken sentences, over a street and silence."""
    samples, place = noise(data, count), 0
    for path in sorted((data / "speech" / "spoken_captions").rglob("*.*")):
        said = heard(path, SOUND).samples
        if place + len(said) > count:
            break
        samples[place : place + len(said)] += 0.5 * said
        place += 3 * len(said)
    return samples.clip(-1, 1)


def recording(path: Path, samples: Array) -> Path:
    """Write sound as AAC."""
    with av.open(str(path), "w") as container:
        listened(container, container.add_stream("aac", rate=SOUND, layout="mono"), samples)
    return path


def listened(container: Any, track: Any, samples: Array) -> None:
    """Encode sound into a container."""
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND, start, Fraction(1, SOUND)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def joined(pieces: Sequence[Path], path: Path) -> Path:
    """Write files of the same streams behind each other, their packets as they are."""
    shift = Fraction(0)
    with av.open(str(pieces[0])) as first, av.open(str(path), "w") as out:
        streams: list[Any] = [out.add_stream_from_template(stream) for stream in first.streams]
        for piece in pieces:
            end = shift
            with av.open(str(piece)) as container:
                for packet in container.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    ticks = round(shift / packet.time_base)
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
            shift = end + REST
    return path


def cues(seconds: int) -> str:
    """A transcript with a sentence each ten seconds."""
    clock = "{:02d}:{:02d}:{:02d},000".format
    lines = []
    for second in range(0, seconds, 10):
        times = (clock(at // 3600, at // 60 % 60, at % 60) for at in (second, second + 6))
        lines.append(f"{second // 10 + 1}\n{' --> '.join(times)}\nThis is said after {second} seconds.\n")
    return "\n".join(lines)


def marked(path: Path, marks: int, *, every: float = 3.0, first: float = 0.0) -> tuple[list[float], list[float]]:
    """Write a video whose frames come 5 to 120 ms apart and carry their times; it changes at each mark, with a cut.

    Returns the marks and the times of all frames, in seconds; `first` is that of the first one.
    """
    rng = np.random.default_rng(5)
    times: list[float] = []
    changes, now = [first], first
    rooms = [room(rng) for _ in range(marks + 1)]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={**QUICK, "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = *rooms[0].shape[1::-1], "yuv420p"
        stream.codec_context.time_base = stream.time_base = TICK
        while now < first + every * (marks + 1):
            if now >= first + every * len(changes):
                changes.append(now)
            picture = np.roll(rooms[len(changes) - 1], len(times) // 4, axis=1)
            picture[:SQUARE, : SQUARE * DIGITS] = burnt(now)[:, :, None]
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = round(now / TICK), TICK
            container.mux(stream.encode(frame))
            times.append(now)
            now = round(now + rng.uniform(*JITTER), 3)
        container.mux(stream.encode(None))
    return changes[1:], times


def room(rng: np.random.Generator) -> Array:
    """A picture of smooth colours that is like no other."""
    small = rng.integers(0, 256, (4, 6, 3), np.uint8)
    return np.array(Image.fromarray(small).resize((640, 360), Image.Resampling.BICUBIC))


def burnt(seconds: float) -> Array:
    """The squares of a time, (SQUARE, SQUARE * DIGITS) of 0 and 255."""
    digits = [255 * (round(seconds * 1000) >> place & 1) for place in range(DIGITS)]
    return np.kron(np.array(digits, np.uint8), np.ones((SQUARE, SQUARE), np.uint8))


def told(picture: Array) -> float:
    """The time that a picture carries, in seconds."""
    inner = picture[2 : SQUARE - 2, : SQUARE * DIGITS].mean(axis=(0, 2)).reshape(DIGITS, SQUARE)[:, 2:-2].mean(axis=1)
    return sum(1 << place for place, level in enumerate(inner) if level > 127) / 1000
