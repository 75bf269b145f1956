"""Measure an encoder on a GPU: how far its vectors are from those of a CPU, how fast it is, and what `add` keeps of it.

    python cookbook/measure_cuda.py
    python cookbook/measure_cuda.py --part speed --large --files 4000
    python cookbook/measure_cuda.py --part agree --checkpoint google/siglip2-base-patch16-224

Without --checkpoint it is CLIP ViT-B/32 (--large: ViT-L/14) with random weights, which take the same time as true ones;
they are so wide that photographs are as far apart as with true ones. Pictures are drawn: 640 x 480, JPEG.

agree  The same contents on the CPU in single precision and on the device, in each precision that the family takes: one
       less the cosine, median and largest, of pictures (or sounds) and of texts; and with the texts as questions, how
       many of the ten nearest are the same ten, and how often the nearest is the same.
speed  Pictures per second, medians of three. bare: the network alone, on pixels that are on the device already, in the
       batch that suits it best. embed: `Encoder.embed` of decoded pictures, in the batches of `add`. decode: the
       processes of `add`, with nobody behind them. free: `add` with an encoder that costs nothing. add: `add` into a
       new library with the exact store, from the start of its processes to the end. How busy the device is then comes
       from its driver, if the package nvidia-ml-py is there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from measure_dual import decoded, random_vit
from PIL import Image

from seehear import Library, Limits, ModelSet
from seehear.batches import BATCH
from seehear.decoder import Job, Piece
from seehear.errors import EncoderError
from seehear.modalities.encoders.dual import Dual
from seehear.pool import Pool
from seehear.presets import SEEN
from seehear.types import Content, Role, Route, Text, Waveform

VISION = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
WORDS = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
"""What ViT-L/14 has other than ViT-B/32, beside its patches."""
BATCHES = (64, 128, 256, 512, 1024)
QUESTIONS, SOUNDS, NEAREST = 256, 128, 10
NOUNS = ("dog", "cat", "car", "bicycle", "beach", "train", "house", "man", "child", "tree", "river", "boat", "cup")
LOOKS = ("red", "blue", "green", "old", "small", "wet", "bright", "dark", "empty", "broken", "wooden", "quiet")


def wide_clip(folder: Path, large: bool) -> Path:
    """A checkpoint of CLIP whose weights are random, and tell photographs apart as true ones do."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig.from_pretrained(random_vit(folder))
    if large:
        config.vision_config.update({**VISION, "patch_size": 14})
        config.text_config.update(WORDS)
        config.projection_dim = 768
    model, random = CLIPModel(config), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and ("embedding" not in name or weight.ndim == 4):
                weight.normal_(generator=random).mul_(weight[0].numel() ** -0.5)
    model.save_pretrained(folder)
    return folder


def draw(folder: Path, count: int) -> list[Path]:
    """Pictures with colours, edges and fine structure, as JPEG files of some 100 kB."""

    def one(number: int) -> Path:
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize((640, 480), 3)
        fine = rng.normal(0, 12, (480, 640, 1))
        path = folder / f"{number:05}.jpg"
        Image.fromarray(np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)).save(path, quality=85)
        return path

    folder.mkdir()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(one, range(count)))


def texts() -> list[Content]:
    rng = np.random.default_rng(0)
    said = (f"a {rng.choice(LOOKS)} {rng.choice(NOUNS)} beside {n} {rng.choice(NOUNS)}s" for n in range(QUESTIONS))
    return [Text(words) for words in said]


def sounds() -> list[Content]:
    """Tones that rise or fall, in noise; one to twelve seconds."""
    found: list[Content] = []
    for number in range(SOUNDS):
        rng = np.random.default_rng(number)
        time_ = np.arange(round(rng.uniform(1, 12) * 48_000)) / 48_000
        tone = np.sin(2 * np.pi * rng.uniform(80, 4000) * (1 + rng.uniform(-0.05, 0.2) * time_) * time_)
        loud = rng.uniform(0.05, 0.5, 2)
        found.append(Waveform((loud[0] * tone + loud[1] * rng.normal(size=len(time_)) / 3).astype(np.float32), 48_000))
    return found


def agree(checkpoint: str | Path, device: str, files: Sequence[Path]) -> None:
    """Print how far vectors of the device are from those of the CPU."""
    cpu = Dual(checkpoint, device="cpu", precision="float32")
    kind = "sound" if "audio" in cpu.takes else "picture"
    contents: Sequence[Content] = sounds() if kind == "sound" else decoded(list(files), cpu.needs)
    asked = texts()
    started = time.perf_counter()
    there, questions = embedded(cpu, contents, "document"), embedded(cpu, asked, "query")
    alike = there @ there.T
    print(
        f"{len(contents)} {kind}s and {len(asked)} texts on the CPU: {time.perf_counter() - started:.1f} s; median "
        f"cosine of two {kind}s {np.median(alike[~np.eye(len(alike), dtype=bool)]):.3f}"
    )
    usual, right = Dual(checkpoint, device=device).precision, questions @ there.T
    for precision in ("float32", "float16", "bfloat16"):
        encoder = Dual(checkpoint, device=device, precision=precision)
        try:
            rows, found = embedded(encoder, contents, "document"), embedded(encoder, asked, "query")
        except EncoderError as error:
            print(f"{precision}: {error}")
            continue
        off = [1 - (one.astype(np.float64) * other).sum(1) for one, other in ((there, rows), (questions, found))]
        best = [np.argsort(-similar, kind="stable")[:, :NEAREST] for similar in (right, found @ rows.T)]
        kept = np.mean([len(set(one) & set(other)) / len(one) for one, other in zip(*best, strict=True)])
        print(
            f"{precision}{' (the default)' * (precision == usual)}: {kind}s {np.median(off[0]):.1e}, at most "
            f"{off[0].max():.1e}; texts {np.median(off[1]):.1e}, at most {off[1].max():.1e}; of the ten nearest "
            f"{100 * kept:.2f} % kept, the nearest {100 * np.mean(best[0][:, 0] == best[1][:, 0]):.1f} %"
        )


def embedded(encoder: Dual, contents: Sequence[Content], role: Role) -> Any:
    """Vectors, in the batches of `add`."""
    starts = range(0, len(contents), BATCH)
    return np.concatenate([encoder.embed(contents[start : start + BATCH], role) for start in starts])


def per_second(count: int, run: Callable[[], object]) -> float:
    """How many of `count` things a second: the median of three."""
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        run()
        rates.append(count / (time.perf_counter() - started))
    return statistics.median(rates)


def bare(checkpoint: str | Path, device: str, precision: str, count: int, batches: Sequence[int]) -> dict[int, float]:
    """Pictures per second of the network alone, by batch."""
    import torch
    from transformers import AutoModel

    model: Any = AutoModel.from_pretrained(checkpoint, dtype=getattr(torch, precision), attn_implementation="sdpa")
    side, found = model.config.vision_config.image_size, {}
    model = model.to(device).eval()
    for batch in batches:
        pixels = torch.rand(batch, 3, side, side, device=device).to(model.dtype)
        rounds = max(1, count // batch)

        def run(rounds: int = rounds, pixels: Any = pixels) -> None:
            with torch.inference_mode():
                for _ in range(rounds):
                    rows = model.get_image_features(pixel_values=pixels).pooler_output
                float(rows.sum())  # waits for the device

        run(1)
        found[batch] = per_second(rounds * batch, run)
    return found


@contextmanager
def watched() -> Iterator[list[int]]:
    """Sample how busy the device is, in percent; nothing where nobody can tell."""
    import torch

    ended, samples = threading.Event(), list[int]()

    def watch() -> None:
        while not ended.wait(0.1):
            try:
                samples.append(torch.cuda.utilization())
            except Exception:  # no GPU, or no package that asks its driver
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    yield samples
    ended.set()
    watching.join()


class Free:
    """An encoder that makes the same vectors of whatever it is given, at once."""

    def __init__(self, like: Dual) -> None:
        self.name, self.dim, self.takes, self.needs, self.fingerprint = "free", like.dim, like.takes, like.needs, {}

    def embed(self, contents: Sequence[Content], role: Role) -> Any:  # noqa: ARG002 - as every encoder
        rows = np.random.default_rng(len(contents)).normal(size=(len(contents), self.dim)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def add(files: Sequence[Path], encoder: Any) -> None:
    """Add files to a new library that is thrown away."""
    models = ModelSet("measured", (Route("visual", "measured:Encoder", SEEN),), ("image",))
    given = {"measured:Encoder": encoder}
    with (
        tempfile.TemporaryDirectory() as folder,
        Library.open(f"{folder}/new", models=models, encoders=given, store="memory") as library,
    ):
        if report := library.add(files).failed:
            raise SystemExit(f"not every file was added: {report[0]}")


def drained(files: Sequence[Path], encoder: Dual) -> None:
    """Decode files as `add` does, and look at nothing."""
    pool = Pool(["image"], lambda: encoder.needs, Limits())
    try:
        assert sum(isinstance(event, Piece) for event in pool.run(Job(str(path), path) for path in files)) == len(files)  # noqa: S101
    finally:
        pool.close()


def speed(checkpoint: str | Path, device: str, files: Sequence[Path], batches: Sequence[int]) -> None:
    """Print how fast each part is, and the whole."""
    encoder = Dual(checkpoint, device=device)
    pictures = decoded(list(files), encoder.needs)
    embedded(encoder, pictures[:BATCH], "document")
    print(f"{len(files)} pictures, {encoder.precision}, {os.cpu_count()} cores; per second:")
    alone = bare(checkpoint, device, encoder.precision, len(files), batches)
    print(f"bare    {max(alone.values()):8.0f}  (" + ", ".join(f"{n}: {rate:.0f}" for n, rate in alone.items()) + ")")
    best = max(alone.values())
    through = per_second(len(files), lambda: embedded(encoder, pictures, "document"))
    print(f"embed   {through:8.0f}  ({through / best:.3f} of bare)")
    print(f"decode  {per_second(len(files), lambda: drained(files, encoder)):8.0f}")
    print(f"free    {per_second(len(files), lambda: add(files, Free(encoder))):8.0f}")
    used = time.process_time()
    with watched() as busy:
        whole = per_second(len(files), lambda: add(files, encoder))
    own = 1000 * (time.process_time() - used) / 3 / len(files)
    told = f"; the device is busy {statistics.mean(busy):.0f} % of the time" if busy else ""
    print(f"add     {whole:8.0f}  ({whole / best:.3f} of bare, {whole / through:.3f} of embed){told}")
    print(f"CPU of `add` outside the processes that decode: {own:.2f} ms per picture")


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what was measured is kept if time runs out
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="of the hub, or a folder; default: ViT-B/32 with random weights")
    parser.add_argument("--large", action="store_true", help="ViT-L/14 with random weights")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--files", type=int, default=2000, help="pictures for speed; half of them to agree on")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--part", choices=("agree", "speed"), help="only this one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = draw(Path(folder, "pictures"), given.files)
        checkpoint = given.checkpoint or wide_clip(Path(folder, "vit"), given.large)
        if given.device.startswith("cuda"):
            import torch

            print(torch.cuda.get_device_name(given.device))
        if given.part != "speed":
            agree(checkpoint, given.device, files[: max(1, given.files // 2)])
        if given.part != "agree":
            speed(checkpoint, given.device, files, given.batches)


if __name__ == "__main__":
    main()
