import sys
from pathlib import Path

import pytest

from seehear.errors import InputError, MissingExtra
from seehear.registry import ENTRIES, build, load


def test_the_table_is_sorted_and_every_entry_loads() -> None:
    assert list(ENTRIES) == sorted(ENTRIES)
    for name, entry in ENTRIES.items():
        assert load(name).__name__ == entry.target.partition(":")[2]


def test_a_class_of_ones_own_is_module_and_class() -> None:
    assert load("pathlib:Path") is Path


@pytest.mark.parametrize(
    "name", ["nonsense", "no.such.module:Thing", "pathlib:Nothing", "seehear.nothing:Thing", ":x", ".foo:Bar", "a:", ""]
)
def test_a_name_that_leads_nowhere_is_an_input_error(name: str) -> None:
    with pytest.raises(InputError):
        load(name)


@pytest.mark.parametrize("spec", ["json:loads", "os:_exit", "dual", "dual:", "nonsense"])
def test_what_cannot_be_made_is_an_input_error(spec: str) -> None:
    with pytest.raises(InputError):
        build(spec)


@pytest.mark.parametrize("spec", ["nonsense", "image", "dual:org/name", "mini", "memory"])
def test_where_one_kind_is_wanted_the_names_of_others_are_not_offered(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        build(spec, "transcriber")
    name = spec.partition(":")[0]
    assert str(caught.value) == (
        f"There is no transcriber {name!r}. Known are faster-whisper:MODEL, tiny.en, whisper:MODEL; a class of your "
        "own is written module:Class."
    )


def test_a_missing_package_of_the_core_is_named_before_any_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "seehear.modalities.text", raising=False)
    monkeypatch.setitem(sys.modules, "semantic_text_splitter", None)
    with pytest.raises(MissingExtra, match="package semantic_text_splitter, which is not installed: pip install seeh"):
        load("text")


def test_a_missing_package_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "seehear.stores.chroma", raising=False)
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(MissingExtra, match="pip install seehear") as caught:
        load("chroma")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_broken_module_is_not_mistaken_for_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_plugin.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        load("broken_plugin:Thing")
