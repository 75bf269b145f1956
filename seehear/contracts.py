"""What a backend writes. Each contract is a protocol: nothing to inherit, and `seehear.testing` holds its tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from seehear.types import Collection, Content, Kind, Match, Needs, Passage, Role, Segment, Source, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Modality(Protocol):
    """How one kind of file becomes segments. Runs in a decoding process, so it must import nothing heavy."""

    @property
    def name(self) -> str:
        """What the files are: `image`, `audio` ..."""
        ...

    @property
    def settings(self) -> str:
        """Everything that changes how a file is cut; files cut otherwise before are cut again."""
        ...

    @property
    def types(self) -> frozenset[str]:
        """Sniffed media types that it reads, such as `image/png`."""
        ...

    def segments(self, source: Source, needs: Needs) -> Iterator[tuple[Segment, Content] | None]:
        """Cut a file into segments, lazily, with the content of each at the size that `needs` asks for.

        A segment of the channel `speech` whose content is a Waveform is a stretch that is still to be transcribed.
        Whoever reads for long without finding anything yields None now and then, so as not to be taken for stalled.
        Bytes come from `seehear.media` only. Raises MediaError when the file cannot be read; warns MediaNote of
        what is odd, and MissingPart of channels that cannot be had while others can.
        """
        ...


class Encoder(Protocol):
    """How content becomes vectors. Loads its weights at the first `embed`, not before."""

    @property
    def name(self) -> str:
        """Short name; it is part of the collections' names."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def takes(self) -> frozenset[Kind]:
        """Kinds of content that it embeds."""
        ...

    @property
    def needs(self) -> Needs:
        """The size that it wants contents to be; other sizes are accepted."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides what vector a content gets, by name: weights, preprocessing, pooling, dimension ...

        Two entries only say where the weights came from: `model` and `revision`. Needs no weights in memory; empty
        while nothing is known, as of a checkpoint that is still to be fetched.
        """
        ...

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        """Embed a batch (kinds may be mixed): float32 (len(contents), dim), unit rows, in order.

        A row does not depend on what else is in the batch. Raises EncoderError when weights are missing or wrong.
        """
        ...


class Transcriber(Protocol):
    """How speech becomes text. Loads its weights at the first `transcribe`, not before."""

    @property
    def name(self) -> str:
        """Short name."""
        ...

    @property
    def languages(self) -> frozenset[str] | None:
        """Languages that it understands (ISO 639-1); None for many."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that decides what text a sound gets, by name. Needs no weights in memory."""
        ...

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        """Write down what is said in a stretch of at most 30 seconds, 16 kHz, in passages of about a sentence.

        Nothing is said in it: no passages. `language` is ISO 639-1; None to find out. Raises InputError for a language
        that it lacks, EncoderError when weights are missing or wrong, MissingExtra.
        """
        ...


@runtime_checkable
class Store(Protocol):
    """Where vectors live. Similarity is the cosine. One thread writes while others ask."""

    def upsert(self, collection: Collection, segments: Sequence[Segment], vectors: NDArray[np.float32]) -> None:
        """Write segments with their vectors, float32 (n, dim); an id that exists is replaced whole."""
        ...

    def nearest(
        self, collection: Collection, vector: NDArray[np.float32], k: int, among: Sequence[str] | None = None
    ) -> list[Match]:
        """The k segments most similar to a vector (dim,), best first; with `among`, only of these ids.

        Ids that are not there are passed over. Filters on metadata are the ledger's; what it lets through comes here.
        """
        ...

    def get(self, collection: Collection, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors by id; ids that are not there are left out."""
        ...

    def delete(self, collection: Collection, ids: Sequence[str]) -> None:
        """Remove segments; ids that are not there are passed over."""
        ...

    def count(self, collection: Collection) -> int:
        """How many segments a collection holds; 0 for one that was never written."""
        ...

    def ids(self, collection: Collection) -> Iterator[str]:
        """All ids of a collection, in no order."""
        ...

    def drop(self, collection: Collection) -> None:
        """Remove a collection and all it holds."""
        ...

    def close(self) -> None:
        """Let go of files and threads; may be called twice."""
        ...
