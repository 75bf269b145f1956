"""Every set that needs the hub runs, through Library, on a tiny checkpoint of each class in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from recordings import tone, write
from tiny_checkpoints import as_hub, tiny, tiny_sentence

from seehear import Library
from seehear.errors import EncoderError
from seehear.presets import SETS, model_set

COMMIT = "5e" * 20
FAMILY = {"visual": {"clip": "clip", "siglip": "siglip"}, "sound": {"clip": "clap", "siglip": "clap"}}
"""The class of each set's checkpoints: SigLIP 2 of a fixed resolution is of the class of SigLIP."""


def hub(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put tiny checkpoints where the hub's client would have put the set's own."""
    for route in SETS[name].routes:
        spec, _, ref = route.encoder.partition(":")[2].partition("@")
        made = folder / route.channel
        if made.exists() or route.channel == "speech":
            continue
        if route.channel == "text":
            tiny_sentence(made)
        else:
            tiny(FAMILY[route.channel][name], made)
        as_hub(made, folder / "cache", spec, COMMIT, ref or "main")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "cache"))


@pytest.mark.parametrize("name", sorted(set(SETS) - {"mini"}))
def test_a_set_adds_retrieves_and_is_remembered(
    name: str, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(name, tmp_path, monkeypatch)
    seen = SETS[name].routes[0].encoder
    with Library.open(tmp_path / "library", models=name, transcriber="tiny.en") as library:
        report = library.add([photos, write(tmp_path / "tone.wav", tone(3, 48_000), rate=48_000)])
        assert (len(report.added), report.failed) == (6, [])
        library.add_texts(["a red square", "a blue square"], ids=["red", "blue"])
        everything = library.retrieve("a red square", k=9, min_score=0)
        assert {hit.modality for hit in everything} == {"image", "audio", "text"}
        assert everything[0].source == "red"
        assert {hit.modality for hit in library.retrieve("", audio=tmp_path / "tone.wav", min_score=0)} == {"audio"}
        # Pictures find texts through the words' side of the picture encoder.
        shown = library.retrieve("", image=photos / "red.png", k=9, min_score=0)
        assert {hit.modality for hit in shown} == {"image", "text"}
        held = library.info()["encoders"][seen]
        assert (held["revision"], held["family"]) == (COMMIT, FAMILY["visual"][name])
    # Its branch moves on; the library keeps to the revision that made it.
    as_hub(tiny(FAMILY["visual"][name], tmp_path / "other", seed=1), tmp_path / "cache", held["model"], "0f" * 20)
    with Library.open(tmp_path / "library") as library:
        best = library.retrieve("", image=photos / "blue.png", k=1, channels={"visual"}, min_score=0)[0]
        assert Path(best.source).name == "blue.png"
        assert best.evidence[0].similarity > 0.999
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
        assert Path(library.retrieve("", image=photos / "red.png", k=1, min_score=0)[0].source).name == "red.png"


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
        assert Path(library.retrieve("", image=photos / "red.png", k=1, min_score=0)[0].source).name == "red.png"


def test_a_library_is_looked_at_and_cleared_without_its_model(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub("clip", tmp_path, monkeypatch)
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
