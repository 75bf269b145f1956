"""The face of the package is what it says it is."""

import seehear


def test_every_public_name_is_there() -> None:
    for name in seehear.__all__:
        assert getattr(seehear, name).__name__ == name


def test_public_names_are_sorted_and_complete() -> None:
    assert seehear.__all__ == sorted(seehear.__all__)
    assert set(seehear._HOMES) | {"Query", "SeehearError"} == set(seehear.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(seehear, "Nonsense")
