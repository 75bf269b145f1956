"""The scripts that measure: they must run, and what they print must be readable and sane. Speed is not judged here."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoints import tiny

from seehear import Library, ModelSet
from seehear.check import read
from seehear.types import Route

COOKBOOK = Path(__file__).parents[2] / "cookbook"
COLOUR = ModelSet("colour", (Route("visual", "seehear.testing:ColourEncoder", frozenset({"text", "image"})),))


def printed(script: str, *arguments: str | Path) -> str:
    done = subprocess.run([sys.executable, COOKBOOK / script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def number(pattern: str, text: str) -> float:
    found = re.search(pattern.replace("#", r"(-?[\d.]+)"), text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return float(found[1])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for count in range(12):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / f"{count}.png")
    return folder


def test_stores_agree_on_few_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    counts = {"text_embeds": 40, "image_embeds": 5, "video_frame_embeds": 6}
    vectors = {name: rng.normal(size=(count, 16)).astype(np.float32) for name, count in counts.items()}
    np.savez(tmp_path / "clip.npz", **vectors)  # type: ignore[arg-type]
    text = printed("measure_stores.py", "--clip", tmp_path / "clip.npz", "--extra", "160", "--rounds", "2")
    assert "40 texts and 160 drawn by noise, 11 questions" in text
    assert number("chroma  overlap .* mean #", text) >= 0.99
    assert number("exact   overlap .* minimum #", text) == 1
    assert 0 < number("chroma  p50 +# ms", text) <= number("chroma  p50 .* p99 +# ms", text)
    assert number("chroma / exact, p50: #", text) > 0


def test_filters_are_right_and_their_cost_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    counts = {"text_embeds": 40, "image_embeds": 3, "video_frame_embeds": 2}
    vectors = {name: rng.normal(size=(count, 16)).astype(np.float32) for name, count in counts.items()}
    np.savez(tmp_path / "clip.npz", **vectors)  # type: ignore[arg-type]
    text = printed("measure_filters.py", "--clip", tmp_path / "clip.npz", "--files", "400", "--rounds", "1")
    lines = text.splitlines()
    assert lines[0].startswith("400 files, 5 questions")
    assert [line.split(":")[0] for line in lines[1:5]] == ["90 %", "10 %", "1 %", "one"]
    for line in lines[1:]:
        assert number("recall mean #", line) >= 0.98
        assert number("again .* x #", line) > 0


def test_references_are_built_from_true_vectors(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(20, 8))
    np.savez(tmp_path / "clip.npz", text_prompts=np.array([f"a {n}" for n in range(20)]), text_embeds=rows)
    printed("build_reference.py", tmp_path / "clip.npz", "--out", tmp_path)
    held = read(tmp_path / "clip.npz")
    assert held["text_rows"].shape == (16, 8)
    assert str(held["texts"][-1]) == "a 19"
    assert "picture_rows" in read(tmp_path / "mini.npz")


@pytest.mark.slow
def test_add_is_compared_with_the_bare_encoder(pictures: Path) -> None:
    text = printed("measure_dual.py", pictures, "--files", "8", "--pairs", "1")
    assert number("bare #", text) > 0
    assert 0 < number("add over bare: #", text) < 2


def test_ingest_is_split_into_its_parts(pictures: Path) -> None:
    (pictures / "copy.png").write_bytes((pictures / "0.png").read_bytes())
    text = printed("measure_ingest.py", pictures, "--models", "colour", "--pairs", "1")
    assert "12 files" in text
    costs = [number(f"{part} +# CPU s", text) for part in ("decode", "embed", "chroma", "add")]
    assert min(costs) >= 0
    assert costs[-1] > 0
    assert number("sum of its parts: #", text) > 0
    assert number("added again: # embedded", text) == 0
    assert number("decoding processes #", text) > 0


def test_start_is_light_and_split_into_steps(tmp_path: Path, pictures: Path) -> None:
    with Library.open(tmp_path / "library", models=COLOUR) as library:
        assert len(library.add(pictures).added) == 12
    text = printed("measure_start.py", "red", "--library", tmp_path / "library", "--runs", "1")
    assert "heavy packages: none" in text
    assert 0 < number("import seehear: # s", text) < number("seehear search: # s", text)
    assert number("import chromadb +# s", text) > 0
    assert 0.2 < number("steps over the whole: #", text) < 5


@pytest.mark.slow
def test_a_device_is_compared_with_the_cpu(tmp_path: Path) -> None:
    checkpoint = tiny("clip", tmp_path / "tiny")
    text = printed(
        "measure_cuda.py", "--checkpoint", checkpoint, "--device", "cpu", "--files", "40", "--batches", "8", "16"
    )
    assert number(r"\nadd\s+#", text) > 0
