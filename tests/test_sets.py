"""Every set that needs the hub runs, through Library, on a tiny checkpoint of each class in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_checkpoints import as_hub, tiny

from seehear import Library
from seehear.errors import EncoderError
from seehear.presets import SETS, model_set

COMMIT = "5e" * 20
FAMILY = {"clip": "clip", "siglip": "siglip"}
"""The class of each set's checkpoint: SigLIP 2 of a fixed resolution is of the class of SigLIP."""


def hub(family: str, spec: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a tiny checkpoint where the hub's client would have put the set's own."""
    name, _, ref = spec.removeprefix("dual:").partition("@")
    as_hub(tiny(family, folder / "made"), folder / "cache", name, COMMIT, ref or "main")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "cache"))


@pytest.mark.parametrize("name", sorted(set(SETS) - {"mini"}))
def test_a_set_adds_retrieves_and_is_remembered(
    name: str, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (route,) = SETS[name].routes
    hub(FAMILY[name], route.encoder, tmp_path, monkeypatch)
    with Library.open(tmp_path / "library", models=name) as library:
        report = library.add(photos)
        assert len(report.added) == 5
        assert len(library.retrieve("a red square", k=5)) == 5
        held = library.info()["encoders"][route.encoder]
        assert (held["revision"], held["family"]) == (COMMIT, FAMILY[name])
    # Its branch moves on; the library keeps to the revision that made it.
    as_hub(tiny(FAMILY[name], tmp_path / "other", seed=1), tmp_path / "cache", held["model"], "0f" * 20)
    with Library.open(tmp_path / "library") as library:
        best = library.retrieve("", image=photos / "blue.png", k=1)[0]
        assert Path(best.source).name == "blue.png"
        assert best.score > 0.999
        assert library.add(photos).embedded == 0


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_any_checkpoint_in_a_folder_is_a_set(
    family: str, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny(family, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    with Library.open("library", models="dual:./model") as library:
        library.add(photos)
    monkeypatch.chdir("/")
    with Library.open(tmp_path / "library") as library:
        assert Path(library.retrieve("", image=photos / "red.png", k=1)[0].source).name == "red.png"


def test_a_folder_that_has_moved_is_named_anew(tmp_path: Path, photos: Path) -> None:
    old = tiny("clip", tmp_path / "old")
    with Library.open(tmp_path / "library", models=f"dual:{old}") as library:
        library.add(photos)
    for path in photos.rglob("*.png"):
        os.utime(path, (1e9, 1e9))  # so long unchanged that it need not be read
    with Library.open(tmp_path / "library") as library:
        library.add(photos)
    new = old.rename(tmp_path / "new")
    with Library.open(tmp_path / "library") as library:
        assert library.info()["files"] == 5
        assert len(library.add(photos).unchanged) == 5
        with pytest.raises(EncoderError, match="There is no folder"):
            library.retrieve("red")
    with Library.open(tmp_path / "library", encoders={f"dual:{old}": f"dual:{new}"}) as library:
        assert Path(library.retrieve("", image=photos / "red.png", k=1)[0].source).name == "red.png"


def test_a_library_is_looked_at_and_cleared_without_its_model(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub("clip", SETS["clip"].routes[0].encoder, tmp_path, monkeypatch)
    with Library.open(tmp_path / "library", models="clip") as library:
        library.add(photos)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    with Library.open(tmp_path / "library") as library:
        assert library.info()["files"] == 5
        library.remove(photos / "red.png")
        with pytest.raises(EncoderError, match="not on this computer and cannot be fetched"):
            library.retrieve("red")


def test_two_sets_of_one_name_are_one() -> None:
    assert model_set("clip") is SETS["clip"]
