"""From a name to a sentence-transformers model that may be loaded: a model id of the hub, or a folder, looked over.

Such a model is a chain of modules (modules.json). Those that turn words into a vector are let through, and nothing
that a model brings is run: no class of its own, no pickle, no picture or recording that its words may name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from seehear.errors import EncoderError

from .checkpoint import CONFIG, TELLS_NOTHING
from .hub import (  # fmt: skip
    AGAIN,
    INDEX,
    SHARDS,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
    Address,
    Incomplete,
    cached,
    digest_of,
    download,
    entries,
    has_weights,
    nothing_more,
    read_json,
    weights,
)

NEEDED = ("sentence", "huggingface_hub", "safetensors", "sentence_transformers", "torch", "transformers")
"""The extra, and its packages."""
HOME = "sentence-transformers"
"""The organisation of a model that is named without one, as the library has it."""
MODULES, PROMPTS, SENTENCE = "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"
OLDER = ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
"""Of SENTENCE and its like of these names, the library takes the first that says anything."""
SAYS = {"do_lower_case", "max_seq_length", "modality_config", "module_output_name", "transformer_task", "unpad_inputs"}
"""What that file may say; the library would hand on everything, such as which code from the hub is to be run."""
PASSED = {"add_pooling_layer", "attn_implementation", "dtype", "padding_side", "torch_dtype", "trust_remote_code"}
"""What it may want handed on to transformers; the last is taken out by the library, and `dtype` by us."""
KNOWN = re.compile(r"sentence_transformers\.(\w+\.)*(Transformer|Pooling|Dense|Normalize)")
"""Modules of which a model may consist. `Router` and its like choose among others by what they are given."""
ENDLESS = 1 << 20
"""A longest text of so many tokens, or more, is what tokenisers say when they do not know."""
ROLES = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Names of prompts by role, of which the first counts that a model has. The library documents it so, but leaves out
`passage` and `corpus` (6.2.0: it makes an empty `document` first)."""


@dataclass(frozen=True)
class SentenceModel:
    """A model whose files are here and whose small ones make sense. Its weights have not been looked at."""

    address: Address
    folder: Path
    commit: str | None
    """Of a snapshot of the hub."""
    config: Mapping[str, Any]
    modules: Mapping[str, Any]
    """What the modules are, and what their own files say."""
    weights: tuple[Path, ...]
    tokenizer: tuple[Path, ...]
    prompts: Mapping[str, str]
    """What is put before words, by role."""
    dim: int
    """Length of a vector."""
    tokens: int | None
    """Longest text that it reads, prompt and special tokens included; None where nothing is said."""

    @property
    def counts(self) -> str | None:
        """Path of a tokenizer.json, if it has one."""
        return next((str(path) for path in self.tokenizer if path.name == "tokenizer.json"), None)

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """What decides which vector a text gets, by name. Reads every file once in the life of the process."""
        told = {name: value for name, value in self.config.items() if name not in TELLS_NOTHING}
        return {
            "model": self.address.name,
            **({"revision": self.commit} if self.commit else {}),
            "config": hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest(),
            "weights": digest_of(self.weights),
            "tokenizer": digest_of(self.tokenizer),
            "modules": json.dumps(self.modules, sort_keys=True),
            "prompts": json.dumps(self.prompts, sort_keys=True),
            "tokens": str(self.tokens),
            "dim": str(self.dim),
        }


def address_of(given: str | Path) -> Address:
    """Read what a user wrote, as `Address.parse`; a name alone is one of sentence-transformers' own: EncoderError."""
    address = Address.parse(given)
    if address.folder is None and "/" not in address.name:
        return replace(address, name=f"{HOME}/{address.name}")
    return address


def find(address: Address, cache: Path | None = None) -> SentenceModel | None:
    """Look a model over where it is, without network; None if it is one of the hub and not (wholly) here."""
    if address.folder is not None:
        if not address.folder.is_dir():
            raise EncoderError(f"There is no folder {address.given}; a model id of the hub is written without a path.")
        return inspect(address, address.folder)
    folder = cached(address, MODULES, cache, NEEDED)
    try:
        return inspect(address, folder, folder.name) if folder else None
    except Incomplete:
        return None


def fetch(address: Address, cache: Path | None = None) -> SentenceModel:
    """Like `find`, but what is not here comes from the hub: its size is logged, and nothing but data is taken.

    Raises EncoderError where there is no network, no such model or revision, or nothing that may be loaded.
    """
    if (here := find(address, cache)) is not None:
        return here
    folder = download(
        address, cache, "sentence", NEEDED, [MODULES, PROMPTS, SENTENCE, CONFIG],
        lambda first, sizes: _wanted(address, first, sizes),
        lambda: (there := cached(address, MODULES, cache, NEEDED)) and inspect(address, there),
    )  # fmt: skip
    return inspect(address, folder, folder.name)


def _wanted(address: Address, folder: Path, sizes: Mapping[str, int]) -> list[str]:
    _speaks_only(address, folder)  # what is no model of words costs no gigabytes
    below = [f"{path}/{name}" for _, path in _chain(address, folder) if path for name in (CONFIG, WEIGHTS)]
    root = [MODULES, PROMPTS, SENTENCE, CONFIG, *TOKENIZER]
    return [*root, *below, *([WEIGHTS] if WEIGHTS in sizes else [INDEX, SHARDS])]


def inspect(address: Address, folder: Path, commit: str | None = None) -> SentenceModel:
    """Read the small files of a model and find the large ones. Raises EncoderError, or Incomplete."""
    chain, (config, said) = _chain(address, folder), _speaks_only(address, folder)
    has_weights(address, {path.name: 0 for path in folder.iterdir()})
    held = list(weights(address, folder))
    tokenizer = tuple(path for name in sorted(TOKENIZER) if (path := folder / name).is_file())
    if not any(path.name in VOCABULARY for path in tokenizer):
        raise Incomplete(f"{address.given} has no tokeniser (such as {VOCABULARY[0]}): {AGAIN}")
    modules: dict[str, Any] = {"Transformer": said}
    dim: Any = None
    for place, (kind, below) in enumerate(chain[1:], 1):
        own = read_json(address, folder / below / CONFIG) if (folder / below / CONFIG).is_file() else {}
        modules[f"{place} {kind}"] = own
        if kind == "Pooling":
            dim = _pooled(own)
        if kind == "Dense":
            wide, dim = own.get("in_features"), own.get("out_features")
            if not all(type(one) is int and 0 < one <= 65536 for one in (wide, dim)):
                raise EncoderError(f"{address.given} says {dim!r} of the length of its vectors: {AGAIN}")
            if not str(own.get("activation_function", "torch.nn.modules.")).startswith("torch.nn.modules."):
                raise EncoderError(
                    f"{address.given} wants {own.get('activation_function')!r} run, which seehear does not."
                )
            if not (folder / below / WEIGHTS).is_file():
                raise Incomplete(
                    f"{address.given} lacks {below}/{WEIGHTS}: a pickle, which can run code, is not loaded."
                )
            held.append(folder / below / WEIGHTS)
    general = read_json(address, folder / PROMPTS) if (folder / PROMPTS).is_file() else {}
    if str(general.get("model_type") or "SentenceTransformer") != "SentenceTransformer":
        raise EncoderError(f"{address.given} is a {general['model_type']}: its texts have no single vector.")
    dim = general.get("truncate_dim") or dim
    if type(dim) is not int or not 0 < dim <= 65536:
        raise EncoderError(f"{address.given} says {dim!r} of the length of its vectors: {AGAIN}")
    prompts = general.get("prompts") or {}
    chosen = {role: next((str(prompts[one]) for one in names if prompts.get(one)), "") for role, names in ROLES.items()}
    longest = _tokens(address, folder, config, said)
    return SentenceModel(address, folder, commit, config, modules, tuple(held), tokenizer, chosen, dim, longest)


def _chain(address: Address, folder: Path) -> list[tuple[str, str]]:
    """The modules of a model, each with its folder. Raises EncoderError for what is not let through, or Incomplete."""
    if not (folder / MODULES).is_file():
        raise Incomplete(
            f"{address.given} is no model of sentence-transformers: it has no {MODULES}, and how its tokens become one "
            "vector would be a guess."
        )
    try:
        said = json.loads((folder / MODULES).read_bytes())
        chain = [(str(one["type"]), str(one["path"])) for one in said]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise EncoderError(f"{MODULES} of {address.given} cannot be read ({error}): {AGAIN}") from error
    for kind, path in chain:
        if not KNOWN.fullmatch(kind):
            raise EncoderError(
                f"{address.given} has a module {kind}. Models of Transformer, Pooling, Dense and Normalize of "
                "sentence-transformers are loaded; code that a model brings never is."
            )
        if not re.fullmatch(r"\w*", path, re.ASCII):
            raise EncoderError(f"{MODULES} of {address.given} names {path!r}, which is no folder in it.")
    kinds = [kind.rpartition(".")[2] for kind, _ in chain]
    if kinds[:2] != ["Transformer", "Pooling"] or "Transformer" in kinds[1:] or chain[0][1]:
        raise EncoderError(
            f"{address.given} is made of {', '.join(kinds) or 'nothing'}; a Transformer (beside {MODULES}) must come "
            "first, and a Pooling after it."
        )
    return list(zip(kinds, (path for _, path in chain), strict=True))


def _speaks_only(address: Address, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """config.json and sentence_bert_config.json, of a model that is given words and nothing else. Raises EncoderError.

    The library takes a string that is the path or the URL of a picture, a recording or a video for that, and opens it,
    where a model takes such things: then a question could make us open a file or an address.
    """
    if not (folder / CONFIG).is_file():
        raise Incomplete(f"{address.given} has no {CONFIG}: {AGAIN}")
    config, said = read_json(address, folder / CONFIG), _said(address, folder)
    nothing_more(address, folder, config)
    more = {"vision_config", "audio_config", "video_config"} & set(config)
    kinds = set(said.get("modality_config") or {"text": {}}) - {"text", "message"}
    if more or kinds or said.get("transformer_task", "feature-extraction") != "feature-extraction":
        what = ", ".join(sorted(kinds or {name.removesuffix("_config") for name in more})) or "other things"
        raise EncoderError(
            f"{address.given} is made for {what} too, and `sentence` is for models of words alone; a model of two "
            "towers is named as dual:..."
        )
    for name, value in (*entries(config), *entries(said)):
        if "attn_implementation" in name and value not in (None, "eager", "sdpa"):
            raise EncoderError(f"{address.given} says {name} = {value!r}: such code may be fetched, so it is not run.")
    return config, said


def _said(address: Address, folder: Path) -> dict[str, Any]:
    """What a model says of its Transformer. Raises EncoderError for what would be handed on and is not known."""
    names = [SENTENCE, *(SENTENCE.replace("bert", older) for older in OLDER)]
    name, said = next(
        ((one, found) for one in names if (folder / one).is_file() and (found := read_json(address, folder / one))),
        (SENTENCE, {}),
    )
    for key, value in said.items():
        handed = key.endswith(("_args", "_kwargs")) and isinstance(value, dict)
        unknown = set(value) - PASSED if handed else {key} - SAYS
        if value and unknown:
            raise EncoderError(f"{name} of {address.given} says {', '.join(sorted(unknown))}, which is not handed on.")
    methods = [one for key, one in entries(said) if key == "method"]
    longest = said.get("max_seq_length")
    if set(map(str, methods)) - {"forward"} or not isinstance(longest, int | None):
        raise EncoderError(f"{name} of {address.given} says {methods or longest}, which makes no sense: {AGAIN}")
    return said


def _pooled(own: Mapping[str, Any]) -> Any:
    """How long the vectors of a Pooling are, by what its file says, old or new."""
    one = own.get("embedding_dimension", own.get("word_embedding_dimension"))
    mode = own.get(
        "pooling_mode", [name for name, on in own.items() if name.startswith("pooling_mode_") and on is True]
    )
    count = len(mode) if isinstance(mode, list) else 1
    return one * max(1, count) if type(one) is int else one


def _tokens(address: Address, folder: Path, config: Mapping[str, Any], said: Mapping[str, Any]) -> int | None:
    """The longest text: what the model says, or else what its tokeniser and its network do."""
    path = folder / "tokenizer_config.json"
    tokenizer = read_json(address, path) if path.is_file() else {}
    asked = said.get("max_seq_length")
    known = [asked] if asked else [tokenizer.get("model_max_length"), config.get("max_position_embeddings")]
    return min((int(one) for one in known if isinstance(one, int | float) and 2 < one < ENDLESS), default=None)
