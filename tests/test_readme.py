"""What the README shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from seehear import cli

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
def test_bringing_your_own_encoder_runs() -> None:
    own = BLOCKS[1].replace("my_package.models:MyEncoder", "seehear.testing:ColourEncoder")
    exec(compile(own, "README.md", "exec"), {})  # noqa: S102 - our own README


def test_every_command_in_the_table_exists(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^\| `seehear (\w+)", README, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            cli.main([command, "--help"])
        assert caught.value.code == 0
    assert "--min-score" in capsys.readouterr().out
