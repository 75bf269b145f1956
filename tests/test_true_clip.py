"""True vectors of OpenAI's CLIP ViT-B/32: pictures are found and ranked as the model ranks them, filtered or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seehear import Library, ModelSet
from seehear.picture import on_white
from seehear.types import Content, Needs, Picture, Role, Route, Text

DATA = Path(__file__).parents[2] / "shared" / "data" / "clip"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/clip is not here")
MODELS = ModelSet("true", (Route("visual", "true", frozenset({"text", "image"})),))


class TrueClip:
    """Gives the vectors that CLIP gave: of its texts by their words, of its pictures by their pixels."""

    name, dim, needs = "true", 512, Needs()
    takes = frozenset({"text", "image"})
    fingerprint = {"weights": "of OpenAI"}  # noqa: RUF012 - a test's

    def __init__(self, held: Any) -> None:
        self.texts = dict(zip(held["text_prompts"].tolist(), unit(held["text_embeds"]), strict=True))
        self.pictures = dict(zip(map(pixels, held["image_files"]), unit(held["image_embeds"]), strict=True))

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        nothing = np.eye(self.dim, dtype=np.float32)[0]  # for the contents that every encoder is tried with
        return np.stack([
            self.texts.get(one.text, nothing) if isinstance(one, Text)
            else self.pictures.get(one.pixels.tobytes(), nothing) if isinstance(one, Picture) else nothing
            for one in contents
        ])  # fmt: skip


def unit(rows: Any) -> Any:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def pixels(name: str) -> bytes:
    with Image.open(DATA / "images" / name) as image:
        return np.asarray(on_white(image)).tobytes()


@pytest.fixture(scope="module")
def held() -> Any:
    with np.load(DATA / "clip_vitb32_openai.npz", allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def test_given_vectors_are_ranked_as_clip_ranks_them(held: Any, tmp_path: Path) -> None:
    encoder = TrueClip(held)
    files = [DATA / "images" / name for name in held["image_files"]]
    labels = {str(file): str(label) for file, label in zip(files, held["image_labels"], strict=True)}
    with Library.open(tmp_path / "library", models=MODELS, encoders={"true": encoder}) as library:
        report = library.add_vectors(files, held["image_embeds"], metadata=lambda path: {"label": labels[str(path)]})
        assert len(report.added) == len(files)
        images = unit(held["image_embeds"])
        for words in ("a dog", "a cat", "a kitten", "a puppy", "a bicycle", "a table"):
            found = [hit.source for hit in library.retrieve(words, k=10)]
            order = np.argsort(-(images @ encoder.texts[words]))
            assert found == [str(files[place]) for place in order[:10]]
            cats = [str(files[place]) for place in order if labels[str(files[place])] == "cat"]
            assert [hit.source for hit in library.retrieve(words, k=10, where={"label": "cat"})] == cats[:10]
        dogs = [labels[hit.source] for hit in library.retrieve("a dog", k=10)]
        assert dogs.count("dog") == 10
        # A picture asks by its own pixels, whole as it was given.
        assert library.retrieve("", image=files[3], k=1)[0].source == str(files[3])
