"""Tiny ONNX models written by hand, whose vectors can be worked out with numpy.

write(folder / "voice.onnx", BANDS, 'kind = "kaldi-fbank"')
"""

from __future__ import annotations

from pathlib import Path

import onnx

_HEAD = '<ir_version: 8, opset_import: ["": 18]> g '

# (B, T) -> mean, greatest and least of the samples, and their length as a vector
WAVE = """(float[B, T] wave) => (float[B, D] embedding) {
    axes = Constant <value_ints = [1]> ()
    mean = ReduceMean (wave, axes)
    high = ReduceMax (wave, axes)
    low = ReduceMin (wave, axes)
    size = ReduceL2 (wave, axes)
    embedding = Concat <axis = 1> (mean, high, low, size)
}"""

# (B, F, 80) -> the greatest value of each band
BANDS = """(float[B, F, 80] features) => (float[B, 80] embedding) {
    axes = Constant <value_ints = [1]> ()
    embedding = ReduceMax <keepdims = 0> (features, axes)
}"""

ONE_AT_A_TIME = BANDS.replace("[B,", "[1,")

# (B, F, 80) -> (B, 1, 80), as some exporters leave it, and a second output
LOOSE = """(float[B, F, 80] features) => (float[B, 1, 80] embedding, float[B, F, 80] double) {
    axes = Constant <value_ints = [1]> ()
    embedding = ReduceMax <keepdims = 1> (features, axes)
    double = Add (features, features)
}"""

NOT_A_NUMBER = """(float[B, T] wave) => (float[B, T] embedding) {
    zero = Sub (wave, wave)
    embedding = Div (zero, zero)
}"""

TWO_INPUTS = """(float[B, T] wave, float[B] share) => (float[B, T] embedding) {
    embedding = Identity (wave)
}"""


def content(graph: str) -> bytes:
    """The bytes of a model file."""
    return onnx.parser.parse_model(_HEAD + graph).SerializeToString()


def write(path: Path, graph: str, settings: str) -> Path:
    """The model and its TOML beside it."""
    path.write_bytes(content(graph))
    path.with_suffix(".toml").write_text(settings)
    return path
