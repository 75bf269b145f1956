from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest

from seehear.errors import LibraryDamaged, LibraryError
from seehear.stores import chroma, inspection
from seehear.stores.chroma import ChromaStore
from seehear.testing import StoreContract
from seehear.types import Collection, Segment


class TestChromaStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ChromaStore]:
        store = ChromaStore(tmp_path / "chroma")
        yield store
        store.close()

    def test_what_was_written_is_there_after_reopening(self, tmp_path: Path) -> None:
        segments, vectors = self.rows(40)
        first = ChromaStore(tmp_path / "again")
        first.upsert(self.where, segments, vectors)
        first.close()
        second = ChromaStore(tmp_path / "again")
        assert second.nearest(self.where, vectors[7], 1)[0].id == segments[7].id
        second.close()

    def test_no_embedding_function_is_kept_and_the_space_is_cosine(self, store: ChromaStore) -> None:
        segments, vectors = self.rows(2)
        store.upsert(self.where, segments, vectors)
        (collection,) = store._client.list_collections()
        assert collection.configuration_json["hnsw"]["space"] == "cosine"
        assert collection.configuration_json["embedding_function"] == {"type": "legacy"}

    def test_a_collection_of_another_space_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "other"
        client = chromadb.PersistentClient(str(folder))
        client.create_collection("colour.visual.image", embedding_function=None)
        client.close()
        store = ChromaStore(folder)
        with pytest.raises(LibraryError, match="not made for cosine"):
            store.count(Collection("colour", "visual", "image"))
        store.close()


ROWS = Collection("c", "visual", "image")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A store of 1,200 rows, enough for Chroma to write an index out, closed properly."""
    folder = tmp_path / "library" / "chroma"
    store = ChromaStore(folder)
    vectors = np.random.default_rng(5).normal(size=(1200, 16)).astype(np.float32)
    store.upsert(ROWS, [Segment(f"{number}", "s", "image", "visual") for number in range(1200)], vectors)
    store.close()
    return folder


def test_nothing_stays_on_the_disk_of_a_collection_that_was_dropped(written: Path) -> None:
    store = ChromaStore(written)
    segments = [Segment(f"{number}", "s", "image", "visual") for number in range(1200)]
    other = Collection("d", "visual", "image")
    vectors = np.random.default_rng(6).normal(size=(1200, 16)).astype(np.float32)
    store.upsert(other, segments, vectors)
    store.drop(ROWS)
    store.close()
    assert sum(path.is_dir() for path in written.iterdir()) == 1
    again = ChromaStore(written)
    assert again.nearest(other, vectors[7], 1)[0].id == "7"
    again.close()


def test_a_closed_store_is_not_looked_at_again(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("no child is needed")

    monkeypatch.setattr(inspection.subprocess, "run", forbidden)
    ChromaStore(written).close()


def test_an_unclean_close_is_looked_at_and_opened(written: Path) -> None:
    (written / chroma.SEAL).unlink()
    store = ChromaStore(written)
    assert store.count(ROWS) == 1200
    store.close()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("chroma.sqlite3", "cut"),
        ("chroma.sqlite3", "empty"),
        ("data_level0.bin", "cut"),
        ("header.bin", "noise"),
        ("length.bin", "empty"),
        ("link_lists.bin", "cut"),
    ],
)
def test_a_damaged_file_is_an_error_or_does_no_harm(written: Path, name: str, damage: str) -> None:
    (path,) = written.rglob(name)
    whole = path.read_bytes()
    noise = bytes(255 - byte for byte in whole[:4096]) + whole[4096:]
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "noise": noise}[damage])
    # Whatever Chroma makes of it happens in a child: here there is a typed error, or the rows are all there.
    try:
        store = ChromaStore(written)
    except LibraryDamaged as error:
        message = str(error)
    else:
        message = f"{written}: no seehear verify --repair is needed"
        assert store.count(ROWS) == 1200
        store.close()
    assert str(written) in message
    assert "seehear verify --repair" in message


class TestChromaClientOfOnesOwn(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ChromaStore]:
        client = chromadb.PersistentClient(str(tmp_path / "mine"))
        yield ChromaStore.over(client, "0123456789abcdef")
        client.close()

    def test_two_libraries_and_other_collections_of_a_client_do_not_mix(self, tmp_path: Path) -> None:
        client = chromadb.PersistentClient(str(tmp_path / "mine"))
        client.create_collection("colour.visual.image", embedding_function=None)
        first, second = ChromaStore.over(client, "first"), ChromaStore.over(client, "second")
        segments, vectors = self.rows(3)
        first.upsert(self.where, segments, vectors)
        assert (first.count(self.where), second.count(self.where)) == (3, 0)
        second.drop(self.where)
        first.close()
        assert client.get_collection("seehear-first.colour.visual.image", embedding_function=None).count() == 3
        assert client.get_collection("colour.visual.image", embedding_function=None).count() == 0
        client.close()
