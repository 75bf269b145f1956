"""Measure videos: how fast they are looked at, how much memory that takes, and how exact the times are.

    python cookbook/measure_video.py --data ../shared/data [--part speed|memory|times] [--footage FOLDER]

speed   Real clips, scaled to 720p and 1080p: 60 s of 30 pictures a second, a key frame at least each 60 (as phones and
        streams have them) or each 250 (libx264's default). For both ways of choosing pictures: seconds of video for a
        CPU second of choosing, thumbnails, and encoding what was chosen with `mini`, in batches as `add` does. Beside
        it (a) bare PyAV that decodes the same packets (of `shots` all), scales as many pictures to the size (bicubic,
        which encoders ask for), and encodes them in the same batches; (b) OpenCV that grabs every frame, and retrieves
        and encodes one a second, one at a time. They take turns, with one thread of torch; ratios are those within a
        round, and their median.
memory  Most resident memory while a file is added, of this process and its decoding processes, above that of this
        process after a few seconds of video were. Hours are made of minutes by stream copy.
times   Frames come 5 to 120 ms apart, and carry their times in black and white squares. The time at which the video
        changes, as seehear tells it, against the time burnt into the frame that is the first of the new; where it
        begins a view that is a frame, against the time burnt into that; and pictures at random times, `frames.at`,
        against the last one that is shown by then.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from measure_ingest import used, watched
from measured_videos import CLIPS, SECONDS, SOUND, cues, joined, marked, minute, noise, recording, talk, told

from seehear import Library
from seehear.batches import BATCH
from seehear.errors import MediaNote
from seehear.frames import LONGEST, at
from seehear.media import Limits, open_source
from seehear.modalities.encoders.mini import SIDE, Mini
from seehear.modalities.video import ShotsModality, VideoModality
from seehear.picture import fit
from seehear.types import Needs, Picture, Segment, Source

WAYS = {"keyframes": VideoModality, "shots": ShotsModality}
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
GROUPS = (60, 250)
LARGE = Limits(bytes=16 << 30)


def views(source: Source, way: str, pixels: int) -> Iterator[tuple[Segment, Any]]:
    """What is seen in a video."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MediaNote)
        yield from filter(None, WAYS[way](LARGE).segments(source, Needs(pixels=pixels)))


def embedded(pictures: Iterator[Picture], mini: Mini) -> int:
    """Embed pictures in batches; how many there were."""
    count = 0
    while batch := list(islice(pictures, BATCH)):
        mini.embed(batch, "document")
        count += len(batch)
    return count


# Speed


def ours(path: Path, way: str, mini: Mini) -> tuple[float, int]:
    """CPU seconds and pictures of the way from an open file to vectors."""
    with open_source(path, path.name, LARGE) as source:
        started = used()
        count = embedded((content for _, content in views(source, way, SIDE)), mini)
        return used() - started, count


def decoded(path: Path, way: str) -> list[bool]:
    """Which packets of a video a way decodes: key frames, and gaps that are longer than LONGEST; or all."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        if way == "shots":
            return [True] * len(packets)
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        ends = [float(packets[key].pts * packets[key].time_base) for key in keys]
        ends.append(max(float((packet.pts + packet.duration) * packet.time_base) for packet in packets))
        wanted = [packet.is_keyframe for packet in packets]
        for place, key in enumerate(keys):
            if ends[place + 1] - ends[place] > LONGEST:
                after = [*keys, len(packets)][place + 1]
                wanted[key:after] = [True] * (after - key)
        return wanted


def bare(path: Path, wanted: Sequence[bool], count: int, mini: Mini) -> tuple[float, int]:
    """CPU seconds of bare PyAV that decodes the same packets, and encodes as many pictures."""
    step = max(1, sum(wanted) // count)

    def pictures() -> Iterator[Picture]:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            size = fit(stream.codec_context.width, stream.codec_context.height, SIDE)
            packets = compress(container.demux(stream), [*wanted, True])  # the last one is empty
            for number, frame in enumerate(frame for packet in packets for frame in packet.decode()):
                if number % step == 0 and number // step < count:
                    scaled = frame.reformat(*size, "rgb24", interpolation="BICUBIC", threads=1)
                    yield Picture(scaled.to_ndarray())

    started = used()
    kept = embedded(pictures(), mini)
    return used() - started, kept


def usual(path: Path, mini: Mini) -> tuple[float, int]:
    """CPU seconds of the usual loop: OpenCV, one frame a second, one at a time."""
    import cv2

    started, count = used(), 0
    capture = cv2.VideoCapture(str(path))
    rate = round(capture.get(cv2.CAP_PROP_FPS))
    number = 0
    while capture.grab():
        if number % rate == 0:
            good, picture = capture.retrieve()
            if good:
                mini.embed([Picture(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))], "document")
                count += 1
        number += 1
    capture.release()
    return used() - started, count


def speed(data: Path, folder: Path, rounds: int, clips: Sequence[str]) -> None:
    """Print how fast both ways are, beside the bare decoder and the usual loop."""
    import torch

    torch.set_num_threads(1)
    mini = Mini()
    mini.embed([Picture(np.full((SIDE, SIDE, 3), 128, np.uint8))] * BATCH, "document")
    print(f"{SECONDS} s of {', '.join(clips)}; {rounds} rounds; medians (least to most)")
    for name, size in SIZES.items():
        for group in GROUPS:
            path = folder / f"{name}-{group}.mp4"
            if not path.is_file():
                minute(data, path, size, group, clips=clips)
            compare(path, mini, rounds)


def compare(path: Path, mini: Mini, rounds: int) -> None:
    """Measure one video."""
    plans = {way: decoded(path, way) for way in WAYS}
    counts = {way: ours(path, way, mini)[1] for way in WAYS}
    run: dict[str, Callable[[], tuple[float, int]]] = {"usual": lambda: usual(path, mini)}
    for way in WAYS:
        run[way] = lambda way=way: ours(path, way, mini)  # type: ignore[misc]
        run[f"bare {way}"] = lambda way=way: bare(path, plans[way], counts[way], mini)  # type: ignore[misc]
    taken: list[dict[str, float]] = []
    pictures: dict[str, int] = {}
    for number in range(rounds):
        taken.append({})
        for name in list(run)[:: -1 if number % 2 else 1]:
            taken[-1][name], pictures[name] = run[name]()
    print(f"\n{path.name}: {path.stat().st_size / 1e6:.1f} MB, {sum(plans['shots'])} frames")
    for name in run:
        fast = statistics.median(SECONDS / one[name] for one in taken)
        share = sum(plans[name.removeprefix("bare ")]) if name != "usual" else sum(plans["shots"])
        print(f"  {name:<15}{fast:8.1f} s of video per CPU s;{share:>6} frames decoded,{pictures[name]:>4} encoded")
    for way in WAYS:
        for other, title in ((f"bare {way}", "bare PyAV"), ("usual", "the usual loop")):
            ratios = sorted(one[other] / one[way] for one in taken)
            middle, ends = statistics.median(ratios), f"({ratios[0]:.3f} to {ratios[-1]:.3f})"
            print(f"  {way:<10}over {title:<15}: {middle:7.3f} {ends}", flush=True)


# Memory


def memory(data: Path, folder: Path, hours: float) -> None:
    """Print how much memory it takes to add long files, each in a fresh process."""
    many, count = round(60 * hours), SECONDS * SOUND
    piece = minute(data, folder / "piece.mp4", SIZES["720p"], GROUPS[0], sound=talk(data, count), quality=30)
    quiet = recording(folder / "quiet.m4a", noise(data, count))
    said = recording(folder / "said.m4a", talk(data, count))
    spread = [said if number % 45 == 7 else quiet for number in range(many)]
    long = [(joined([piece] * minutes, folder / f"video-{minutes}-min.mp4"), minutes) for minutes in (10, many)]
    for path, minutes in long:
        path.with_suffix(".srt").write_text(cues(60 * minutes), encoding="utf-8")
    warm = minute(data, folder / "warm.mp4", (640, 360), 60, seconds=10, sound=talk(data, count))
    print("videos have a transcript beside them, so that nobody listens for speech; of recordings Whisper does")
    for path in [*(path for path, _ in long), joined(spread, folder / f"recording-{many}-min.m4a")]:
        subprocess.run([sys.executable, __file__, "--data", data, "--add", path, "--warm", warm], check=True)


def add(path: Path, warm: Path) -> None:
    """Print how much memory it takes to add a file."""
    with tempfile.TemporaryDirectory() as work, Library.open(f"{work}/new", models="mini", limits=LARGE) as library:
        library.add(warm)
        with watched() as samples:
            started = time.perf_counter()
            report = library.add(path)
            seconds = time.perf_counter() - started
    before = samples[0][0] / 1e6
    total, mine, children = (max(each) / 1e6 for each in (map(sum, samples), *zip(*samples, strict=True)))
    problems = [problem.reason for problem in (*report.failed, *report.partial, *report.notes)]
    print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB, {'; '.join(problems) or 'whole'}")
    print(f"  {total - before:.0f} MB above the {before:.0f} MB of before, in {seconds:.0f} s,", end=" ")
    print(f"{report.embedded} embedded; this process {mine - before:.0f}, decoding {children:.0f}", flush=True)


# Times


def times(folder: Path, marks: int) -> None:
    """Print how far the times that seehear tells are from those that are burnt in."""
    for name, first in (("marked.mp4", 0.0), ("marked.mkv", 5.0)):
        path = folder / name
        changes, shown = marked(path, marks, first=first)
        print(f"{name}: {len(shown)} frames, {len(changes)} marks, the first frame at {first:g} s")
        with open_source(path, path.name, LARGE) as source:
            for way in WAYS:
                found = [(s.start or 0.0, s.end or 0.0, told(c.pixels)) for s, c in views(source, way, 360)]
                nearest = [min(abs(start - change) for start, _, _ in found) for change in changes]
                report(f"{way}, {len(found)} views: marks", nearest)
                if way == "keyframes":
                    report("  start of a view, its own picture", [abs(start - burnt) for start, _, burnt in found])
                else:
                    inside = sum(start <= burnt < end for start, end, burnt in found)
                    print(f"    pictures from inside their views: {inside} of {len(found)}")
            asked = np.random.default_rng(1).uniform(first, shown[-1] + 0.1, 10 * marks).round(3).tolist()
            pictures = at(source, asked, Needs(pixels=360), LARGE)
        right = [shown[bisect_right(shown, moment) - 1] for moment in asked]
        report("frames.at, at random times", [abs(told(p.pixels) - r) for p, r in zip(pictures, right, strict=True)])


def report(title: str, errors: Sequence[float]) -> None:
    thousandths = [1000 * error for error in errors]
    told = f"largest {max(thousandths):.3f} ms, median {statistics.median(thousandths):.3f} ms"
    print(f"  {title}: {told} ({len(errors)})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds videos/, sounds/, speech/; for speed and memory")
    parser.add_argument("--part", choices=("speed", "memory", "times"), action="append")
    parser.add_argument("--footage", type=Path, help="where the videos of speed are, or shall stay")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", nargs="+", default=CLIPS, help="of data/videos, to make the videos of speed from")
    parser.add_argument("--hours", type=float, default=3.0, help="of the long files")
    parser.add_argument("--marks", type=int, default=20)
    parser.add_argument("--add", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--warm", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.add:
        add(given.add, given.warm)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.footage or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for part in given.part or ("speed", "memory", "times"):
            if part == "speed":
                speed(given.data, folder, given.rounds, given.clips)
            elif part == "memory":
                memory(given.data, Path(temporary), given.hours)
            else:
                times(Path(temporary), given.marks)


if __name__ == "__main__":
    main()
