"""Situations in which a library meets a model that is not its own, or none, and what its user reads in each.

`pytest -s tests/test_wrong_models.py` prints the sentences.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiny_checkpoints import as_hub, change, tiny

from seehear import Library
from seehear.errors import EncoderError, ModelMismatch, SeehearError
from seehear.modalities.encoders.dual import Dual
from seehear.types import Content, Role

FIRST, SECOND = "1a" * 20, "2b" * 20
HUB = "dual:org/tiny"


class House:
    """A library that a tiny CLIP of the hub has made."""

    def __init__(self, folder: Path, photos: Path) -> None:
        self.folder, self.photos = folder, photos
        self.model = tiny("clip", folder / "model")
        as_hub(self.model, folder / "cache", "org/tiny", FIRST)
        with self.open(models=HUB) as library:
            library.add(photos)
            library.retrieve("red")

    def open(self, **options: Any) -> Library:
        return Library.open(self.folder / "library", **options)

    def new(self) -> Path:
        """A picture that the library does not have."""
        path = self.folder / "new.png"
        Image.effect_noise((80, 60), 90).save(path)
        return path

    def changed(self, name: str, **values: Any) -> Any:
        """A copy of the model with other entries in one of its files, as an encoder for the library."""
        copy = self.folder / "changed"
        shutil.copytree(self.model, copy)
        change(copy / name, **values)
        return {HUB: Dual(copy)}


class Turned:
    """The library's own model behind something that changes pictures, and no fingerprint tells."""

    def __init__(self, encoder: Dual) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        return self._encoder.embed([type(one)(one.pixels[:, ::-1]) for one in contents], role)  # type: ignore


def ask(library: Library, house: House) -> None:
    with library:
        library.retrieve("", image=house.photos / "red.png")


def another_set(house: House) -> None:
    house.open(models="mini")


def another_checkpoint(house: House) -> None:
    ask(house.open(models="dual:org/other"), house)


def another_revision(house: House) -> None:
    ask(house.open(models=f"{HUB}@v2"), house)


def other_weights(house: House) -> None:
    ask(house.open(encoders={HUB: Dual(tiny("clip", house.folder / "other", seed=1))}), house)


def the_branch_moved_and_the_old_commit_is_gone(house: House) -> None:
    shutil.rmtree(house.folder / "cache")
    as_hub(tiny("clip", house.folder / "other", seed=1), house.folder / "cache", "org/tiny", SECOND)
    ask(house.open(), house)


def another_crop(house: House) -> None:
    name = next(n for n in ("preprocessor_config.json", "processor_config.json") if (house.model / n).exists())
    ask(house.open(encoders=house.changed(name, size={"shortest_edge": 80})), house)


def another_tokeniser(house: House) -> None:
    ask(house.open(encoders=house.changed("tokenizer_config.json", extra="1")), house)


def another_family(house: House) -> None:
    ask(house.open(encoders={HUB: Dual(tiny("siglip", house.folder / "siglip"))}), house)


def another_config(house: House) -> None:
    found = house.changed("config.json", logit_scale_init_value=1.0)
    ask(house.open(encoders=found), house)


def pictures_are_mirrored(house: House) -> None:
    ask(house.open(encoders={HUB: Turned(Dual(house.model))}), house)


def vectors_of_another_model(house: House) -> None:
    with house.open() as library:
        library.add_vectors([house.new()], np.ones((1, 24), np.float32))


def vectors_of_another_length(house: House) -> None:
    with house.open() as library:
        library.add_vectors([house.new()], np.ones((1, 512), np.float32))


def weights_cut_short(house: House) -> None:
    weights = next((house.folder / "cache").rglob("model.safetensors")).resolve()
    weights.write_bytes(weights.read_bytes()[:-1000])
    ask(house.open(), house)


def no_model_and_no_network(house: House) -> None:
    shutil.rmtree(house.folder / "cache")
    ask(house.open(), house)


SITUATIONS: dict[Callable[[House], None], tuple[type[SeehearError], str]] = {
    another_set: (ModelMismatch, "was made with the models 'dual:org/tiny', not 'mini'"),
    another_checkpoint: (ModelMismatch, "was made with the models 'dual:org/tiny', not 'dual:org/other'"),
    another_revision: (ModelMismatch, "was made with the models 'dual:org/tiny', not 'dual:org/tiny@v2'"),
    other_weights: (ModelMismatch, r"revision 1a1a1a1a1a1a…; here model other\): weights: .*… then, .*… now"),
    the_branch_moved_and_the_old_commit_is_gone: (EncoderError, f"org/tiny@{FIRST} is not on this computer"),
    another_crop: (ModelMismatch, "preprocessing: resize shortest 64 .* then, resize shortest 80 .* now"),
    another_tokeniser: (ModelMismatch, "tokenizer: .*… then, "),
    another_family: (ModelMismatch, "family: clip then, siglip now; .*; and 4 more"),
    another_config: (ModelMismatch, "config: .*… then, "),
    pictures_are_mirrored: (ModelMismatch, r"the same image now gets another vector \(cosine"),
    vectors_of_another_model: (ModelMismatch, "is not what tiny makes of it"),
    vectors_of_another_length: (ModelMismatch, "have 512 dimensions, those of tiny 24"),
    weights_cut_short: ((ModelMismatch, EncoderError), "weights"),  # type: ignore[dict-item]
    no_model_and_no_network: (EncoderError, "cannot be fetched .*HF_HUB_OFFLINE.*hf download org/tiny"),
}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.__name__)
def test_a_wrong_model_is_told_and_no_vector_of_it_is_used(
    situation: Callable[[House], None], tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    house = House(tmp_path, photos)
    kind, words = SITUATIONS[situation]
    with pytest.raises(kind, match=words) as caught:
        situation(house)
    said = re.sub(re.escape(str(tmp_path)), "", str(caught.value))
    print(f"\n{situation.__name__.replace('_', ' ')}:\n  {said}")  # noqa: T201 - what this file is for
    assert 40 < len(said) < 900


def test_the_right_model_is_let_in_wherever_it_is(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    house = House(tmp_path, photos)
    ask(house.open(), house)
    ask(house.open(encoders={HUB: f"dual:{house.model}"}), house)
    ask(house.open(encoders={HUB: Dual(house.model, device="cpu", precision="bfloat16")}), house)
