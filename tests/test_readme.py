"""What the README shows, runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import film, plain, steady
from PIL import ExifTags, Image

from seehear import Library, cli
from seehear.modalities.encoders.mini import Mini
from seehear.types import Picture

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def _files(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (300, 200), "green").save("poster.png")
    Image.new("RGB", (300, 200), "brown").save("chair.jpg")


@pytest.mark.usefixtures("_files")
def test_the_first_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[0], "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out.startswith("6 added, 0 failed")


@pytest.mark.usefixtures("_files")
def test_passages_sounds_and_speech_run(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[1], "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out == "mail-1\n"


@pytest.mark.usefixtures("_files")
def test_moments_of_videos_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("talks").mkdir()
    film(Path("talks/harbour.mp4"), steady([(4, plain((200, 60, 60))), (4, plain((60, 60, 200)))], 10))
    Path("talks/harbour.srt").write_text("1\n00:00:04,000 --> 00:00:07,000\nNow the bridge opens.\n")
    exec(compile(BLOCKS[2], "README.md", "exec"), {})  # noqa: S102 - our own README
    out = capsys.readouterr().out
    assert "harbour.mp4 0:04 to 0:0" in out
    assert "0:04 Now the bridge opens." in out
    assert Path("bridge.mp4").stat().st_size > 1000


@pytest.mark.usefixtures("_files")
def test_keeping_it_true_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[4], "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out == "5 0 [] []\nTrue {} 0 []\n"


@pytest.mark.filterwarnings(  # LlamaIndex uses what is deprecated
    "ignore::pydantic.warnings.PydanticDeprecationWarning", "ignore:is_running called:DeprecationWarning"
)
@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("number", [5, 6, 7])
def test_pipelines_and_agents_run(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "cookbook")
    with Library.open("media.library") as library:
        library.add("photos", metadata={"project": "spring"})
    models = "from scripted_langchain import ScriptedChat; chat_model = ScriptedChat()"
    if number == 6:
        models = "from scripted_llama_index import ScriptedLLM; llm = ScriptedLLM()"
    code = re.sub(r"from my_package import .*", models, BLOCKS[number])
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own README
    names["library"].close()
    if number == 5:
        assert names["shown"][0]["type"] == "text"
        assert names["answer"]
    elif number == 6:
        assert str(names["answer"]).startswith("\u201c")
        assert len(names["agent"].tools) == 5
    else:
        assert names["message"]["content"][-1]["type"] in ("image_url", "text")


@pytest.mark.usefixtures("_files")
def test_bringing_your_own_encoder_runs() -> None:
    own = BLOCKS[8].replace("my_package.models:MyEncoder", "seehear.testing:ColourEncoder")
    exec(compile(own, "README.md", "exec"), {})  # noqa: S102 - our own README


@pytest.mark.usefixtures("_files")
def test_filters_and_dates_run() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:03 21:00:00"
    Image.new("RGB", (300, 200), "red").save("photos/dated.jpg", exif=exif)
    exec(compile(BLOCKS[3], "README.md", "exec"), {})  # noqa: S102 - our own README


@pytest.mark.usefixtures("_files")
def test_bringing_a_client_and_vectors_runs(photos: Path) -> None:
    files = sorted(photos.glob("*.png"))
    pictures = [Picture(np.asarray(Image.open(file))) for file in files]
    Path("vectors").mkdir()
    for file, row in zip(files, Mini().embed(pictures, "document"), strict=True):
        np.save(Path("vectors", file.stem), row)
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[9], "README.md", "exec"), names)  # noqa: S102 - our own README
    names["client"].close()
    assert len(names["report"].added) == len(files) == 4


def test_every_command_in_the_table_exists(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^\| `seehear (\w+)", README, re.MULTILINE)
    assert len(commands) == 11
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            cli.main([command, "--help"])
        assert caught.value.code == 0
    assert "--min-score" in capsys.readouterr().out
