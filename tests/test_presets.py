from pathlib import Path

import pytest

from seehear.errors import InputError
from seehear.presets import SETS, ModelSet, model_set
from seehear.registry import build


def test_every_set_names_encoders_that_take_what_their_routes_answer() -> None:
    for name, one in SETS.items():
        assert one.name == name
        for route in one.routes:
            assert route.answers <= build(route.encoder).takes


def test_a_set_of_ones_own_passes_through() -> None:
    own = ModelSet("own", ())
    assert model_set(own) is own


def test_one_encoder_is_a_set_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    route, read = model_set("dual:./clip").routes
    assert (route.channel, read.channel, read.encoder) == ("visual", "text", route.encoder)
    assert route.encoder == f"dual:{tmp_path / 'clip'}"
    assert model_set(f"dual:{tmp_path}/clip/").routes[0].encoder == route.encoder
    assert model_set("dual:~nosuchperson/x").name.startswith("dual:/")
    assert model_set("dual:org/name@v1").routes[0].encoder == "dual:org/name@v1"


def test_an_unknown_set_is_an_input_error() -> None:
    with pytest.raises(InputError, match="mini"):
        model_set("nonsense")
    with pytest.raises(InputError, match="a name or a ModelSet"):
        model_set(Path("x"))  # type: ignore[arg-type]
