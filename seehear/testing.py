"""Fakes, and contract tests that a backend subclasses. Needs pytest.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path): return MyStore(tmp_path)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from numpy.typing import NDArray

from seehear.contracts import Encoder, Modality, Store
from seehear.media import Limits, open_source
from seehear.presets import ModelSet
from seehear.types import Collection, Content, Kind, Needs, Passage, Picture, Role, Route, Segment, Text, Waveform

COLOUR = "seehear.testing:ColourEncoder"
COLOUR_SET = ModelSet("colour", (Route("visual", COLOUR, frozenset({"text", "image"})),))
"""A model set for tests of plumbing: pictures are found by the names of colours."""
COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0), "white": (255,) * 3}


class ColourEncoder:
    """A fake for tests of plumbing: pictures and the names of colours meet in a space of eight colours. No weights."""

    name = "colour"
    dim = 8
    takes: frozenset[Kind] = frozenset({"text", "image", "audio"})
    needs = Needs(pixels=32, rate=16_000, window=5.0)
    fingerprint: Mapping[str, str] = MappingProxyType({"weights": "none", "preprocessing": "mean colour"})

    def __init__(self) -> None:
        self.embedded: list[Content] = []
        """Everything that was ever given to it, for tests that count."""

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        """Embed by mean colour: float32 (n, 8), unit rows."""
        self.embedded += [content for content in contents if role == "document"]
        rows = [_corners(_colour(content)) for content in contents]
        return np.array(rows, np.float32).reshape(len(rows), self.dim)


class LoudnessTranscriber:
    """A fake for tests of plumbing: says how loud a stretch is, in English. No weights."""

    name = "loudness"
    languages: frozenset[str] | None = frozenset({"en"})
    fingerprint: Mapping[str, str] = MappingProxyType({"weights": "none"})

    def __init__(self) -> None:
        self.transcribed: list[Waveform] = []
        """Everything that was ever given to it, for tests that count."""

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        """One passage: the loudest sample, in hundredths."""
        self.transcribed.append(waveform)
        loudest = round(100 * float(np.abs(waveform.samples).max(initial=0.0)))
        return [Passage(0.0, waveform.seconds, f"as loud as {loudest}", language=language or "en")]


def _colour(content: Content) -> NDArray[np.float64]:
    if isinstance(content, Waveform):
        samples = content.samples.clip(-1, 1)
        return np.asarray([abs(float(samples.mean())), float(samples.std()), 0.5])
    if isinstance(content, Picture):
        return np.asarray(content.pixels.reshape(-1, 3).mean(axis=0) / 255, np.float64)
    named: list[tuple[int, ...]] = [COLOURS[word] for word in content.text.lower().split() if word in COLOURS]
    if named:
        return np.asarray(np.mean(named, axis=0) / 255, np.float64)
    return np.frombuffer(hashlib.sha256(content.text.encode()).digest()[:3], np.uint8).astype(np.float64) / 255


def _corners(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearness to each corner of the colour cube, as a unit vector."""
    corners = np.array([[bit >> place & 1 for place in range(3)] for bit in range(8)])
    near = np.exp(-4 * ((corners - colour) ** 2).sum(axis=1))
    unit: NDArray[np.float64] = near / np.linalg.norm(near)
    return unit


class EncoderContract:
    """What every encoder keeps to. Give it a fixture `encoder`."""

    def contents(self, encoder: Encoder) -> list[Content]:
        """Some contents of every kind that the encoder takes."""
        rng = np.random.default_rng(7)
        found: list[Content] = []
        if "text" in encoder.takes:
            found += [Text("a red bicycle"), Text("two dogs on a beach at sunset, seen from far away"), Text("x")]
        if "image" in encoder.takes:
            for height, width in ((224, 224), (300, 224), (40, 90)):
                found.append(Picture(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)))
        if "audio" in encoder.takes:
            rate = encoder.needs.rate or 16_000
            for seconds, at in ((1.5, rate), (12.0, rate), (3.0, 44_100)):
                time = np.arange(int(seconds * at)) / at
                tone = np.sin(2 * np.pi * (200 + 90 * time) * time) + rng.normal(scale=0.1 * seconds, size=len(time))
                found.append(Waveform((0.2 * tone).astype(np.float32), at))
        return found

    def test_rows_are_float32_of_unit_length(self, encoder: Encoder) -> None:
        contents = self.contents(encoder)
        rows = encoder.embed(contents, "document")
        assert rows.dtype == np.float32
        assert rows.shape == (len(contents), encoder.dim)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)

    def test_a_row_does_not_depend_on_its_batch(self, encoder: Encoder) -> None:
        contents = self.contents(encoder)
        together = encoder.embed(contents, "document")
        alone = np.concatenate([encoder.embed([content], "document") for content in contents])
        assert float((together * alone).sum(axis=1).min()) >= 0.9999

    def test_order_is_kept_when_kinds_are_mixed(self, encoder: Encoder) -> None:
        contents = self.contents(encoder)
        forward = encoder.embed(contents, "document")
        backward = encoder.embed(contents[::-1], "document")[::-1]
        assert float((forward * backward).sum(axis=1).min()) >= 0.9999

    def test_nothing_gives_no_rows(self, encoder: Encoder) -> None:
        assert encoder.embed([], "document").shape == (0, encoder.dim)

    def test_different_contents_get_different_vectors(self, encoder: Encoder) -> None:
        rows = encoder.embed(self.contents(encoder), "document")
        assert np.unique(rows.round(5), axis=0).shape[0] == len(rows)

    def another(self, encoder: Encoder) -> Encoder:
        """A second instance of the same encoder, as another process would make it."""
        return type(encoder)()

    def test_the_fingerprint_is_the_same_for_another_instance(self, encoder: Encoder) -> None:
        assert dict(self.another(encoder).fingerprint) == dict(encoder.fingerprint)


class ModalityContract:
    """What every modality keeps to. Give it fixtures `modality`, and `path`: a file that it reads."""

    needs = Needs(pixels=10, rate=8_000, window=2.0)

    def cut(self, modality: Modality, path: Path, key: str) -> list[tuple[Segment, Content]]:
        """Open a file as the decoding processes do, and cut it."""
        with open_source(path, key, Limits()) as source:
            assert source.type in modality.types
            return [piece for piece in modality.segments(source, self.needs) if piece is not None]

    def test_segments_name_their_source_and_what_they_are(self, modality: Modality, path: Path) -> None:
        pieces = self.cut(modality, path, "folder/file")
        assert pieces
        for segment, _ in pieces:
            assert (segment.source, segment.modality) == ("folder/file", modality.name)
            assert (segment.start is None) is (segment.end is None)
        assert len({segment.id for segment, _ in pieces}) == len(pieces)

    def test_ids_follow_from_name_and_bytes(self, modality: Modality, path: Path) -> None:
        first, again, other = ([s.id for s, _ in self.cut(modality, path, key)] for key in ("a", "a", "b"))
        assert first == again
        assert set(first).isdisjoint(other)

    def test_contents_are_no_larger_than_needed(self, modality: Modality, path: Path) -> None:
        for _, content in self.cut(modality, path, "a"):
            if isinstance(content, Picture):
                assert min(content.pixels.shape[:2]) <= (self.needs.pixels or 0)
                assert content.pixels.dtype == np.uint8
            elif isinstance(content, Waveform):
                assert content.samples.dtype == np.float32
                assert content.samples.ndim == 1
                assert content.seconds <= 30


class StoreContract:
    """What every store keeps to. Give it a fixture `store`, empty."""

    where = Collection("colour", "visual", "image")
    other = Collection("colour", "speech", "video")

    def rows(self, n: int, dim: int = 16) -> tuple[list[Segment], NDArray[np.float32]]:
        """Segments with random vectors of unit length."""
        vectors = np.random.default_rng(3).normal(size=(n, dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return [Segment(f"id{i:06d}", f"folder/{i}.jpg", "image", "visual") for i in range(n)], vectors

    def test_every_vector_finds_itself_first(self, store: Store) -> None:
        segments, vectors = self.rows(700)
        store.upsert(self.where, segments, vectors)
        for segment, vector in zip(segments[::50], vectors[::50], strict=True):
            best = store.nearest(self.where, vector, 3)
            assert best[0].id == segment.id
            assert abs(best[0].similarity - 1) < 1e-3
            assert [match.similarity for match in best] == sorted((m.similarity for m in best), reverse=True)

    def test_similarity_is_the_cosine_whatever_the_length(self, store: Store) -> None:
        segments, vectors = self.rows(5)
        store.upsert(self.where, segments, 3 * vectors)
        found = {m.id: m.similarity for m in store.nearest(self.where, 2 * vectors[0], 5)}
        for segment, vector in zip(segments, vectors, strict=True):
            assert abs(found[segment.id] - float(vector @ vectors[0])) < 1e-3

    def test_collections_do_not_mix(self, store: Store) -> None:
        segments, vectors = self.rows(4)
        store.upsert(self.where, segments[:2], vectors[:2])
        store.upsert(self.other, segments[2:], vectors[2:])
        assert {m.id for m in store.nearest(self.where, vectors[3], 10)} == {"id000000", "id000001"}
        assert (store.count(self.where), store.count(self.other)) == (2, 2)

    def test_an_upsert_replaces_what_is_there(self, store: Store) -> None:
        (segment, *_), vectors = self.rows(2)
        store.upsert(self.where, [segment], vectors[:1])
        store.upsert(self.where, [segment], vectors[1:])
        assert store.count(self.where) == 1
        assert store.nearest(self.where, vectors[1], 1)[0].similarity > 0.999

    @pytest.mark.parametrize("share", [1, 5, 60, 540])
    def test_the_nearest_among_some_are_the_nearest_of_those(self, store: Store, share: int) -> None:
        segments, vectors = self.rows(600)
        store.upsert(self.where, segments, vectors)
        places = np.random.default_rng(share).permutation(600)[:share]
        best = places[np.argsort(-(vectors[places] @ vectors[7]))][:10]
        found = store.nearest(self.where, vectors[7], 10, [segments[place].id for place in places])
        assert [match.id for match in found] == [segments[place].id for place in best]

    def test_among_ids_that_are_gone_the_others_are_found(self, store: Store) -> None:
        segments, vectors = self.rows(5)
        store.upsert(self.where, segments, vectors)
        found = store.nearest(self.where, vectors[0], 9, ["nobody", segments[1].id, segments[0].id])
        assert [match.id for match in found] == [segments[0].id, segments[1].id]
        assert store.nearest(self.where, vectors[0], 9, ["nobody"]) == []
        assert store.nearest(self.where, vectors[0], 9, []) == []

    def test_get_and_ids_and_delete_agree(self, store: Store) -> None:
        segments, vectors = self.rows(600)
        store.upsert(self.where, segments, vectors)
        ids = [segment.id for segment in segments]
        assert set(store.ids(self.where)) == set(ids)
        found = store.get(self.where, [*ids[:300], "nobody"])
        assert set(found) == set(ids[:300])
        np.testing.assert_allclose(found[ids[7]], vectors[7], atol=1e-6)
        store.delete(self.where, [*ids[:599], "nobody"])
        assert store.count(self.where) == 1
        assert [m.id for m in store.nearest(self.where, vectors[0], 5)] == ids[599:]

    def test_a_collection_that_was_never_written_is_empty(self, store: Store) -> None:
        vector = np.ones(16, np.float32)
        assert store.nearest(self.where, vector, 5) == []
        assert store.get(self.where, ["a"]) == {}
        assert store.count(self.where) == 0
        assert list(store.ids(self.where)) == []
        store.delete(self.where, ["a"])
        store.drop(self.where)

    def test_a_dropped_collection_can_be_made_again(self, store: Store) -> None:
        segments, vectors = self.rows(3)
        store.upsert(self.where, segments, vectors)
        store.drop(self.where)
        assert store.count(self.where) == 0
        store.upsert(self.where, segments[:1], vectors[:1])
        assert store.count(self.where) == 1

    def test_more_asked_than_held_gives_what_is_held(self, store: Store) -> None:
        segments, vectors = self.rows(3)
        store.upsert(self.where, segments, vectors)
        assert len(store.nearest(self.where, vectors[0], 1000)) == 3

    def test_an_encoder_may_have_any_name(self, store: Store) -> None:
        segments, vectors = self.rows(2)
        strange = [
            Collection(name, "visual", "image") for name in ("my.models:Ünïcode/Encoder", "my.models-Ünïcode/Encoder")
        ]
        for collection, segment, vector in zip(strange, segments, vectors, strict=True):
            store.upsert(collection, [segment], vector[None])
        assert [m.id for m in store.nearest(strange[0], vectors[1], 5)] == ["id000000"]

    def test_close_may_be_called_twice(self, store: Store) -> None:
        store.close()
        store.close()
