"""Small whole files of all that commands read, and the places of their settings."""

from __future__ import annotations

import dataclasses
import io
import json
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diarize.clips.group import ClipsConfig
from diarize.clustering import CLUSTERERS
from diarize.pipeline.config import DiarizeConfig
from diarize.segmentation import SEGMENTERS
from diarize.segmentation.network.network import SegmentationNetwork, SegmentationNetworkConfig
from diarize.segmentation.network.weights import save_network
from encoder.calibration.plda import fit_plda, write_plda
from encoder.calibration.score_calibration import Calibration, write_calibration
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import save_weights
from encoder.models.rescnn import ResCNN, ResCNNConfig
from recipes.fuzz.media import media_files, voice

__all__ = ["Seeds", "Setting", "make_seeds"]

_VOICES = {"ann": 110.0, "bob": 190.0}
_TAKES = 3
_D = 8


@dataclass(frozen=True)
class Setting:
    """A knob as `--set` has it: `window.step_s`, with its default."""

    path: str
    default: Any


@dataclass(frozen=True)
class Seeds:
    """Whole files by name, of each kind."""

    media: dict[str, bytes]
    voices: dict[str, bytes]  # WAV by "speaker/take.wav"
    tables: dict[str, dict[str, bytes]]  # by what reads them
    home: dict[str, bytes]  # what makes the small embedder a calibrated one
    embedder: str  # the name of its file in `home`
    network: bytes  # a small one that segments
    gallery: bytes
    clips: bytes  # a cache
    settings: dict[str, list[Setting]]  # by command


def make_seeds(folder: Path, call: Callable[[list[str], Path], None]) -> Seeds:
    """Make them in an empty `folder`; `call` runs a command with that folder as its home."""
    torch.manual_seed(0)
    home, voices = folder / "home", folder / "in" / "voices"
    weights = home / "weights"
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=_D))
    embedder = save_weights(model, FeatureConfig(), weights, name="tiny")
    fingerprint = embedder.stem.rpartition("-")[2]
    write_calibration(Calibration(fingerprint, 8.0, -4.0), weights)
    plane = np.random.default_rng(0).normal(size=(60, _D)).astype(np.float32)
    write_plda(
        fit_plda(plane, np.repeat(np.arange(12), 5), directions=4, fingerprint=fingerprint), weights
    )
    network = save_network(
        SegmentationNetwork(
            SegmentationNetworkConfig(width=8, layers=1, hidden=4, heads=2, edges=4)
        ),
        folder / "network",
    )
    made = {}
    for speaker, hz in _VOICES.items():
        for take in range(_TAKES):
            made[f"{speaker}/{take}.wav"] = _wav(voice(hz + take, 2.5))
            path = voices / f"{speaker}/{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made[f"{speaker}/{take}.wav"])
    small = ["--embedder", f"home/weights/{embedder.name}", "--segmenter", "energy", "-q"]
    for speaker in _VOICES:
        files = [f"in/voices/{speaker}/{take}.wav" for take in range(_TAKES)]
        call(
            ["enroll", speaker, *files, "--gallery", "in/g.sqlite", "--min-speech", "0.5",
             "--keep-sound", "--anyway", "--force", *small],
            folder,
        )  # fmt: skip
    call(
        ["cluster", "in/voices", "--cache", "in/c.sqlite", "-o", "in/clips.csv",
         "-o", "in/clips.json", *small],
        folder,
    )  # fmt: skip
    kept = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }
    return Seeds(
        media_files(), made, _tables(folder), kept, embedder.name, network.read_bytes(),
        (folder / "in/g.sqlite").read_bytes(), (folder / "in/c.sqlite").read_bytes(),
        {"run": list(_settings(DiarizeConfig())), "cluster": list(_settings(ClipsConfig()))},
    )  # fmt: skip


def _wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(np.round(samples * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def _tables(folder: Path) -> dict[str, dict[str, bytes]]:
    turns = [
        (0.0, 2.5, "ann"),
        (2.0, 1.5, "bob"),
        (4.0, 3.0, "ann"),
        (7.25, 0.5, "cho"),
        (8, 2, "bob"),
    ]
    rttm = "".join(
        f"SPEAKER {uri} 1 {start:.3f} {length:.3f} <NA> <NA> {name} <NA> <NA>\n"
        for uri in ("one", "two")
        for start, length, name in turns
    )
    names = [f"{speaker}/{take}.wav" for speaker in _VOICES for take in range(_TAKES)]
    pairs = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    plain = [f"{int(a[:3] == b[:3])} {a} {b}" for a, b in pairs]
    scored = [
        f"{line} {0.9 - 0.05 * at if line[0] == '1' else 0.3 - 0.02 * at:.3f}"
        for at, line in enumerate(plain)
    ]
    roles = ["enroll", "enroll", "test"] * len(_VOICES)
    head = "dataset\tspeaker\tpath\tseconds\tsplit\tsession\n"
    rows = [f"set\t{name[:3]}\t{name}\t2.5\teval\t{name}\n" for name in names]
    voices = {
        "titled": "client_id\tpath\tsentence\n" + "".join(f"{n[:3]}\t{n}\thallo\n" for n in names),
        "manifest": head + "".join(rows),
    }
    texts = {
        "diarization": {
            "a.rttm": rttm,
            "spaced.rttm": rttm.replace("ann", "Ann Lee").replace(" ", "\t", 4),
        },
        "uem": {"a.uem": "one 1 0.000 10.000\ntwo 1 0.500 4.000\ntwo 1 5.000 10.000\n"},
        "verification": {
            "scored.txt": "\n".join(scored) + "\n",
            "scored.tsv": "target\tenrollment\ttest\tscore\n"
            + "".join(s.replace(" ", "\t") + "\n" for s in scored),
        },
        "trials": {
            "plain.txt": "\n".join(plain) + "\n",
            "full.tsv": "target\tenrollment\ttest\tenrollment_speaker\ttest_speaker\n"
            + "".join(f"{int(a[:3] == b[:3])}\t{a}\t{b}\t{a[:3]}\t{b[:3]}\n" for a, b in pairs),
        },
        "identification": {
            "list.txt": "".join(
                f"{3 if role == 'test' else 1} {n}\n"
                for role, n in zip(roles, names, strict=True)
            ),
            "list.tsv": "role\tspeaker\tpath\n"
            + "".join(f"{role}\t{n[:3]}\t{n}\n" for role, n in zip(roles, names, strict=True)),
        },
        "corpus": {"manifest.tsv": voices["manifest"]},
        "common-voice": {"validated.tsv": voices["titled"]},
        "truth": {
            "t.csv": "path,speaker\n" + "".join(f"{n},{n[:3]}\n" for n in names),
            "t.tsv": "path\tspeaker\n" + "".join(f"{n}\t{n[:3]}\n" for n in names),
            "t.json": json.dumps([{"path": n, "speaker": n[:3]} for n in names], indent=1),
        },
    }  # fmt: skip
    found = {
        reader: {name: text.encode() for name, text in files.items()}
        for reader, files in texts.items()
    }
    found["clusters"] = {
        name: (folder / "in" / name).read_bytes() for name in ("clips.csv", "clips.json")
    }
    return found


def _settings(config: Any, where: str = "") -> Iterator[Setting]:
    """Every knob of a config, with those of the backends that it names."""
    families = {"segmentation": SEGMENTERS, "clustering": CLUSTERERS}
    for knob in dataclasses.fields(config):
        value = getattr(config, knob.name)
        path = f"{where}{knob.name}"
        if dataclasses.is_dataclass(value):
            yield from _settings(value, f"{path}.")
        elif isinstance(value, dict) and not where and knob.name in families:
            for name in families[knob.name].names():
                backend = families[knob.name].load(name).Config()
                yield from _settings(backend, f"{path}.{name}.")
        else:
            yield Setting(path, value)
