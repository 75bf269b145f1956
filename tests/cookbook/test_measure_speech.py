"""The script that measures speech recognition: it must run, count words right, and print what can be read."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from spoken import spoken

SCRIPT = Path(__file__).parents[2] / "cookbook" / "measure_speech.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_speech", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def number(pattern: str, text: str) -> float:
    found = re.search(pattern.replace("#", r"(-?[\d.]+)"), text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return float(found[1])


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [
        ("Two dogs, a black-and-white one.", "2 dogs a black and white one", 0),
        ("a dog runs", "a dog", 1),
        ("a dog runs", "the dog runs", 1),
        ("a dog", "a dog runs fast", 2),
        ("a dog", "", 2),
        ("", "a dog", 2),
    ],
)
def test_mistakes_are_counted_in_words(script: ModuleType, said: str, heard: str, count: int) -> None:
    assert script.mistakes(script.words(said), script.words(heard)) == count


@pytest.mark.slow  # three recognisers, a quarter of a minute
def test_everything_is_measured(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from seehear.track import resampled

    captions = tmp_path / "speech" / "spoken_captions"
    captions.mkdir(parents=True)
    rows = ["audio,image,text"]
    for place, text in enumerate(("My name is John.", "I live in New York.")):
        script.written(resampled(spoken(text), 16_000).samples, captions / f"{place}.wav")
        rows.append(f"spoken_captions/{place}.wav,,{text}")
    (tmp_path / "speech" / "spoken_captions.csv").write_text("\n".join(rows))
    arguments = ["--data", str(tmp_path), "--minutes", "0.05", "--passes", "1", "--clips", "1"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    threads = torch.get_num_threads()
    script.main()  # in this process: what it imports takes longer than what it does
    torch.set_num_threads(threads)
    text = capsys.readouterr().out
    assert "1 captions, each alone: 1 stretches" in text
    assert "1 captions, joined: 1 stretches" in text
    for name in ("faster-whisper", "faster-whisper, int8", "openai-whisper"):
        assert number(f"{name} +word error rate #,", text) <= 0.2
        assert number(f"{name} .*real time x #,", text) > 0
    assert number("bare faster-whisper .*ratio: #", text) > 0
    assert number("the network alone .*ratio: #", text) > 0.5
    assert text.count("words invented: 0 without voice activity, 0 with it") == 9  # 3 sounds; no music is here
    assert number("# s of white noise", text) == 3
