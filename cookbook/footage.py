"""Build the footage that moments are measured on: long videos in which it is known what is seen, heard and said when.

    python cookbook/footage.py --data ../shared/data --out footage    # three videos and questions.csv

Real clips (`videos/`), photographs that no step of training saw (COCO and the held-out ones of Flickr8k; the camera
moves over them), recordings of sounds that no step of training heard (UrbanSound8K fold 10, ESC-10 fold 4), and spoken
captions. What runs between and behind them are the three long clips, and quiet noise. Sixty events, each asked for
once: a clip with its caption; a photograph with one of its captions; a sound with the caption of its class or, every
other time, with a paraphrase; a sentence with another caption of the photograph that it is about.

Half of the events are cut in hard and stand alone. The others overlap in time with one of another channel and have no
cut: what is seen is faded into the running scene in a second (`fade`), or grows in it as a picture in the picture
(`inset`); sounds swell (`fade`); a sentence falls into something else (`over`). The moment begins and ends where half
is there. Two of the videos run at 12.5 pictures a second, a key frame at least each 250 and each 50; in the third
(`varying.mp4`) each picture of 15 a second is 10 to 40 ms late, and one in twelve is missing.

How events are chosen so that no question has two answers: `known_events.py`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from known_events import LOUD, SCENES, SEED, Event, Plan, Rng, chosen
from measure_sounds import heard
from moving_pictures import HEIGHT, WIDTH, Reel, player
from numpy.typing import NDArray
from PIL import Image

FADE = 1.0  # seconds in which a picture or a sound comes, and goes
INSET = 0.75  # of the width and height
QUIET = 0.003  # root of the mean square, of the noise behind it all
UNDER = 0.5  # that sounds are turned down by under speech
TICK = Fraction(1, 90_000)
SLOTS = 4  # that a scene runs behind

Array = NDArray[Any]


@dataclass(frozen=True)
class Video:
    """How a video is written."""

    name: str
    rate: float
    sound: int  # Hz
    group: int  # pictures from one key frame to the next, at most
    varying: bool = False


VIDEOS = (
    Video("rare.mp4", 12.5, 48_000, 250),
    Video("often.mp4", 12.5, 32_000, 50),
    Video("varying.mp4", 15, 48_000, 250, varying=True),
)


def main() -> None:
    """Build, and say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds videos/, sounds/, speech/ ...")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    events = build(given.data, given.out)
    for channel in ("visual", "sound", "speech"):
        ways = [event.how for event in events if event.channel == channel]
        print(f"{channel:<7}{len(ways):>3} events: {', '.join(f'{ways.count(way)} {way}' for way in sorted({*ways}))}")


def build(data: Path, folder: Path, plan: Plan | None = None) -> list[Event]:
    """Write the videos, then `questions.csv` (question, source, start, end, channel, how, answer); all events."""
    plan = plan or Plan()
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    scenes = [data / "videos" / name for name in SCENES]
    rows = []
    for video, slots in zip(VIDEOS, dealt(chosen(data, plan), rng), strict=True):
        events, changes, seconds = laid_out(slots, plan, rng)
        behind = [(time, scenes[(number + len(rows)) % len(scenes)]) for number, time in enumerate(changes)]
        write(folder / video.name, video, events, behind, seconds)
        rows += [(video.name, event) for event in events]
    with (folder / "questions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("question", "source", "start", "end", "channel", "how", "answer"))
        for name, one in rows:
            times = (f"{one.start:.3f}", f"{one.end:.3f}")
            writer.writerow((one.question, name, *times, one.channel, one.how, one.files[0].name))
    return [event for _, event in rows]


def dealt(events: Sequence[Event], rng: Rng) -> list[list[list[Event]]]:
    """For each video its slots in order, each of one event or of two that will overlap."""
    ways = {"visual": ("fade", "inset"), "sound": ("fade",), "speech": ("over",)}
    alone: list[list[Event]] = []
    joined: dict[str, list[Event]] = {}
    for channel, seamless in ways.items():
        own = [event for event in events if event.channel == channel]
        rng.shuffle(own)  # type: ignore[arg-type]
        half = len(own) // 2
        joined[channel] = [replace(own[n], how=seamless[n % len(seamless)]) for n in range(half)]
        alone += [[event] for event in own[half:]]
    pairs = []
    for one, other in (("visual", "sound"), ("visual", "speech"), ("sound", "speech")):
        count = (len(joined[one]) + 1) // 2 if other == "sound" else min(len(joined[one]), len(joined[other]))
        pairs += [[joined[one].pop(), joined[other].pop()] for _ in range(count)]
    dealt = []
    for number in range(len(VIDEOS)):
        slots = pairs[number :: len(VIDEOS)] + alone[number :: len(VIDEOS)]
        rng.shuffle(slots)  # type: ignore[arg-type]
        dealt.append([[slot[n] for n in rng.permutation(len(slot))] for slot in slots])
    return dealt


def laid_out(slots: Sequence[Sequence[Event]], plan: Plan, rng: Rng) -> tuple[list[Event], list[float], float]:
    """The events with times; when another scene begins; seconds of all."""
    events: list[Event] = []
    changes = []
    now = 0.0
    for number, slot in enumerate(slots):
        gap = rng.uniform(*plan.gaps) + FADE
        if number % SLOTS == 0:
            changes.append(now + gap / 2 if number else 0.0)
        start = now + gap
        for event in slot:
            seconds = spoken_seconds(event) if event.channel == "speech" else rng.uniform(*plan.lengths)
            level = LOUD * UNDER if event.channel == "sound" and any(e.channel == "speech" for e in slot) else LOUD
            events.append(replace(event, start=start, end=start + seconds, level=level))
            now = max(now, start + seconds)
            start += rng.uniform(0.3, 0.7) * seconds
    return events, changes, now + plan.gaps[1]


def spoken_seconds(event: Event) -> float:
    """How long a sentence takes."""
    return len(sentence(event.files[0], 16_000)) / 16_000


def sentence(path: Path, rate: int) -> Array:
    """What is said, without the silence before and after it."""
    samples = heard(path, rate).samples
    loud = np.flatnonzero(np.abs(samples) > 0.03 * np.abs(samples).max())
    return samples[max(0, loud[0] - rate // 20) : loud[-1] + rate // 20]


def shown(event: Event, time: float) -> float:
    """How much of an event is there at a time, 0 to 1."""
    if event.how in ("cut", "over"):
        return float(event.start <= time < event.end)
    return min(max(0.0, 0.5 + min(time - event.start, event.end - time) / FADE), 1.0)


def write(path: Path, video: Video, events: Sequence[Event], behind: list[tuple[float, Path]], seconds: float) -> None:
    """Write a video, picture by picture, with its sound between them."""
    sound = mixed([event for event in events if event.channel != "visual"], seconds, video.sound)
    done = 0
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "26"}
        stream: Any = container.add_stream("libx264", rate=Fraction(video.rate), options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", video.group
        stream.codec_context.time_base = stream.time_base = TICK
        track: Any = container.add_stream("aac", rate=video.sound, layout="mono")
        for time, picture in pictures(video, events, behind, seconds):
            while done < min(len(sound), time * video.sound):
                piece = sound[None, done : done + 1024]
                heard = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
                heard.sample_rate, heard.pts, heard.time_base = video.sound, done, Fraction(1, video.sound)
                container.mux(track.encode(heard))
                done += piece.shape[1]
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = round(time / TICK), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        container.mux(track.encode(None))


def times(video: Video, seconds: float) -> Iterator[float]:
    """When pictures are shown."""
    rng = np.random.default_rng(SEED)
    for number in range(int(seconds * video.rate)):
        late, missing = rng.uniform(0.01, 0.04), rng.random() < 1 / 12
        if not video.varying or number == 0:
            yield number / video.rate
        elif not missing:
            yield number / video.rate + late


def pictures(
    video: Video, events: Sequence[Event], behind: list[tuple[float, Path]], seconds: float
) -> Iterator[tuple[float, Image.Image]]:
    """The pictures of a video, and when each is shown."""
    scene, begun, changes = Reel(behind[0][1]), 0.0, behind[1:]
    ahead = sorted((event for event in events if event.channel == "visual"), key=lambda event: event.start)
    playing = None
    for time in times(video, seconds):
        if changes and time >= changes[0][0]:
            begun, path = changes.pop(0)
            scene = Reel(path)
        while ahead and time > ahead[0].end + FADE:
            ahead.pop(0)
            playing = None
        share = shown(ahead[0], time) if ahead else 0.0
        picture = scene.at(time - begun)
        if share > 0:
            playing = playing or player(ahead[0].files[0], ahead[0].end - ahead[0].start + FADE)
            into = playing(time - ahead[0].start + FADE / 2)
            if ahead[0].how == "inset":
                size = max(2, round(WIDTH * INSET * share)), max(2, round(HEIGHT * INSET * share))
                picture = picture.copy()
                picture.paste(into.resize(size), (WIDTH - size[0] - 16, HEIGHT - size[1] - 16))
            else:
                picture = Image.blend(picture, into, share)
        yield time, picture


def mixed(events: Sequence[Event], seconds: float, rate: int) -> Array:
    """What is heard and said over quiet noise, (samples,) at a rate in Hz."""
    rng = np.random.default_rng(SEED)
    count = int(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(count, np.float32))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), count).astype(np.float32)
    noise *= QUIET / level(noise)
    for event in events:
        spread = FADE / 2 if event.how == "fade" else 0.0
        length = round((event.end - event.start + 2 * spread) * rate)
        if event.channel == "speech":
            samples = sentence(event.files[0], rate)[:length]
        else:
            once = np.concatenate([heard(path, rate).samples for path in event.files[:3]])
            samples = np.resize(once, length)
        start = round((event.start - spread) * rate)
        gain = np.ones(len(samples))
        edge = round((2 * spread or 0.01) * rate)  # without a cut that clicks
        gain[:edge] = np.linspace(0, 1, edge)
        gain[-edge:] *= np.linspace(1, 0, edge)
        scale = min(event.level / level(samples), 0.9 / np.abs(samples).max())
        noise[start : start + len(samples)] += (samples * gain * scale).astype(np.float32)
    return np.clip(noise, -1, 1)


def level(samples: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-9


if __name__ == "__main__":
    main()
