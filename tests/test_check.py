"""`seehear check` lets the right model pass, and tells wrong ones by what they make of fixed contents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import change, tiny

from seehear.check import Finding, check, read, reference, write
from seehear.cli import main
from seehear.errors import InputError
from seehear.modalities.encoders.dual import Dual
from seehear.modalities.encoders.mini import Mini
from seehear.testing import ColourEncoder


def states(findings: list[Finding]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.state, []).append(finding.what)
    return found


def pictures_file(folder: Path) -> Path:
    return next(folder / n for n in ("preprocessor_config.json", "processor_config.json") if (folder / n).exists())


def entry(folder: Path, **values: Any) -> None:
    """Change how pictures are prepared, wherever the checkpoint says it."""
    path = pictures_file(folder)
    held = json.loads(path.read_text())
    if "image_processor" in held:
        change(path, image_processor={**held["image_processor"], **values})
    else:
        change(path, **values)


def wrong_scale(folder: Path) -> None:
    entry(folder, rescale_factor=1 / 127.5)


def wrong_crop(folder: Path) -> None:
    entry(folder, size={"shortest_edge": 80})


def wrong_colours(folder: Path) -> None:
    entry(folder, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])


def other_weights(folder: Path) -> None:
    shutil.copy(tiny("clip", folder.parent / "seed1", seed=1) / "model.safetensors", folder / "model.safetensors")


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_the_right_model_passes(family: str, tmp_path: Path) -> None:
    folder = tiny(family, tmp_path / "model")
    write(tmp_path / "reference.npz", Dual(folder))
    found = states(list(check(Dual(folder), read(tmp_path / "reference.npz"))))
    assert set(found) == {"ok", "measured"}
    assert len(found["ok"]) == 5
    assert [what.split(":")[0] for what in found["measured"]] == ["10 batches of 8 texts", "10 batches of 8 pictures"]


@pytest.mark.parametrize("spoil", [wrong_scale, wrong_crop, wrong_colours, other_weights], ids=lambda one: one.__name__)
def test_a_wrong_model_fails(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tiny("clip", tmp_path / "model")
    write(tmp_path / "reference.npz", Dual(folder))
    spoil(folder)
    wrong = states(list(check(Dual(folder), read(tmp_path / "reference.npz")))).get("wrong", [])
    assert any("the fixed picture: NOT as the reference says" in what for what in wrong)


def test_wrong_padding_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny("siglip", tmp_path / "model")
    write(tmp_path / "reference.npz", Dual(folder))
    from seehear.modalities.encoders.texts import Texts

    real = Texts.padded

    def unpadded(self: Any, rows: list[list[int]]) -> Any:
        ids = real(self, rows)["input_ids"]
        return {"input_ids": ids[:, : int((ids != ids[0, -1]).any(axis=0).nonzero()[0].max()) + 1]}

    monkeypatch.setattr(Texts, "padded", unpadded)
    wrong = states(list(check(Dual(folder), read(tmp_path / "reference.npz"))))["wrong"]
    assert any("3 texts: NOT as the reference says" in what for what in wrong)


def test_an_encoder_that_fails_is_told_and_is_wrong() -> None:
    class Broken(ColourEncoder):
        def embed(self, contents: Any, role: Any) -> Any:
            raise RuntimeError("CUDA out of memory")

    (finding,) = check(Broken(), None)
    assert (finding.state, "out of memory" in finding.what) == ("wrong", True)


def test_a_model_that_cannot_be_had_says_what_could_not_be_done(tmp_path: Path) -> None:
    (finding,) = check(Dual("nobody/nothing", cache=tmp_path), None)
    assert finding.state == "not done"
    assert "cannot be fetched" in finding.what


def test_without_a_reference_that_is_said(tmp_path: Path) -> None:
    assert any("compare with true vectors" in what for what in states(list(check(ColourEncoder(), None)))["not done"])


def test_an_encoder_whose_rows_depend_on_the_batch_fails() -> None:
    class Mean(ColourEncoder):
        def embed(self, contents: Any, role: Any) -> Any:
            rows = super().embed(contents, role)
            rows = rows + rows.mean(axis=0)
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    assert "the same alone and in a batch" in states(list(check(Mean(), None)))["wrong"][0]


def test_the_references_that_come_along_can_be_read() -> None:
    clip, mini = reference("clip"), reference("mini")
    assert clip is not None
    assert mini is not None
    assert clip["text_rows"].shape == (16, 512)
    assert "preprocessing" in clip
    assert reference("nonsense") is None
    assert not states(list(check(Mini(), mini))).get("wrong")


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_no_reference_is_an_input_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "reference.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="is no reference"):
        read(path)
    for rows in (np.ones((2, 3)), np.ones(1), np.array([["a"]]), np.array([[np.nan]]), np.ones((0, 3))):
        np.savez(path, texts=np.array(["a"])[: len(rows)], text_rows=rows)
        with pytest.raises(InputError, match="is no reference"):
            read(path)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(InputError, match=r"is no \.npz"):
        read(tmp_path / "one.npy")


def test_the_command_writes_compares_and_returns_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seehear.check.BATCHES", 2)
    # Its name is no comparison.
    folder, file = tiny("clip", tmp_path / "my-reference"), str(tmp_path / "reference.npz")
    models = f"dual:{folder}"
    assert main(["check", "--models", models, "--write", file]) == 1
    assert capsys.readouterr().out.endswith("could not be compared.\n")
    assert main(["check", "--models", models, "--reference", file]) == 0
    assert capsys.readouterr().out.endswith("is as it should be.\n")
    assert main(["check", "--models", models, "--reference", "clip"]) == 1  # of another length
    assert "vectors are (16, 24), those of the reference (16, 512)" in capsys.readouterr().out
    assert main(["check", "--models", models, "--reference", "nothing"]) == 2
    assert "nothing is no reference" in capsys.readouterr().err
    entry(folder, do_normalize=False)
    assert main(["check", "--models", models, "--reference", file]) == 1
    assert capsys.readouterr().out.endswith("is NOT as it should be.\n")
    assert main(["check", "--models", models, "--reference", file, "--json"]) == 1
    assert {one["state"] for one in json.loads(capsys.readouterr().out)} >= {"ok", "wrong"}
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    assert main(["check", "--models", "clip"]) == 1
    assert "could not be compared" in capsys.readouterr().out
