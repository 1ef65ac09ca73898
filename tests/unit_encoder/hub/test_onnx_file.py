"""Weights that a model says are in other files, wherever in it a tensor may be."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from encoder.errors import CheckpointError
from encoder.hub.onnx_file import has_external_weights, is_model
from encoder.inference.onnx_encoder import OnnxEncoder, onnx_session
from encoder.inference.onnx_inputs import OnnxFeatures
from tests.support.onnx_models import BANDS, LOOSE, ONE_AT_A_TIME, TWO_INPUTS, WAVE, content

ROOT = Path(__file__).parents[3]


def tensor(*, external, location="w.bin"):
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    if external:
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
    else:
        made.raw_data = np.arange(4, dtype=np.float32).tobytes()
    return made


def graph(nodes, tensors=(), sparse=()):
    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["B", 4]) for n in "xy"]
    made = helper.make_graph(nodes, "g", sides[:1], sides[1:], list(tensors))
    made.sparse_initializer.extend(sparse)
    return made


def model(of):
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(of, opset_imports=opset, ir_version=8)


def as_initializer(one):
    return model(graph([helper.make_node("Add", ["x", "w"], ["y"])], [one]))


def as_constant(one):
    nodes = [helper.make_node("Constant", [], ["w"], value=one)]
    return model(graph([*nodes, helper.make_node("Add", ["x", "w"], ["y"])]))


def as_one_of_several(one):
    return model(graph([helper.make_node("Odd", ["x"], ["y"], values=[one, one])]))


def in_a_branch(one):
    inner = graph([helper.make_node("Add", ["x", "w"], ["y"])], [one])
    return model(graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)]))


def in_several_branches(one):
    inner = graph([helper.make_node("Add", ["x", "w"], ["y"])], [one])
    return model(graph([helper.make_node("Odd", ["x"], ["y"], branches=[inner])]))


def in_a_function(one):
    made = as_initializer(tensor(external=False))
    nodes = [helper.make_node("Constant", [], ["w"], value=one)]
    made.functions.append(
        helper.make_function("d", "F", ["x"], ["w"], nodes, [helper.make_opsetid("", 18)])
    )
    return made


def as_sparse(one):
    place = helper.make_tensor("i", TensorProto.INT64, [4], [0, 1, 2, 3])
    return model(graph([], sparse=[helper.make_sparse_tensor(one, place, [4])]))


def in_training(one):
    made = as_initializer(tensor(external=False))
    made.training_info.add().algorithm.CopyFrom(graph([], [one]))
    return made


PLACES = [
    as_initializer, as_constant, as_one_of_several, in_a_branch, in_several_branches,
    in_a_function, as_sparse, in_training,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_they_are_found_wherever_they_are(place):
    assert has_external_weights(place(tensor(external=True)).SerializeToString())
    assert not has_external_weights(place(tensor(external=False)).SerializeToString())


@pytest.mark.parametrize("graph", [BANDS, LOOSE, ONE_AT_A_TIME, TWO_INPUTS, WAVE])
def test_models_in_one_file_have_none(graph):
    assert is_model(content(graph)) and not has_external_weights(content(graph))


@pytest.mark.parametrize("location", ["w.bin", "../w.bin", "/etc/passwd"])
def test_such_a_model_is_refused(location, tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    for folder in (tmp_path, tmp_path / "inside"):
        np.arange(4, dtype=np.float32).tofile(folder / "w.bin")
    monkeypatch.chdir(tmp_path / "inside")
    made = as_initializer(tensor(external=True, location=location)).SerializeToString()
    with pytest.raises(CheckpointError, match=r"'a\.onnx' has weights in other files.*one file"):
        OnnxEncoder(made, OnnxFeatures("wave"), name="a.onnx")


def test_what_is_no_model_has_none():
    whole = as_initializer(tensor(external=True)).SerializeToString()
    for broken in (b"", b"\x00", b"\xff" * 40, b"hello", whole[:20], b"\x3b" + whole):
        assert not has_external_weights(broken) and not is_model(broken)
    assert onnx.load_from_string(whole)  # the test's own


def test_onnxruntimes_own_format_is_not_read():
    with pytest.raises(CheckpointError, match="not a model that onnxruntime can load"):
        onnx_session(b"\x18\0\0\0ORTM" + b"\0" * 64, "cpu", "a.onnx")


def test_the_users_home_stays_as_it_was(tmp_path):
    (tmp_path / "a.onnx").write_bytes(content(WAVE))
    (tmp_path / "a.toml").write_text('kind = "wave"\n')
    (tmp_path / "home").mkdir()
    code = (
        "import os, sys, time\n"
        "from encoder.inference.onnx_encoder import OnnxEncoder\n"
        "before = dict(os.environ)\n"
        "OnnxEncoder.from_file(sys.argv[1])\n"
        "assert dict(os.environ) == before\n"
    )
    hidden = ("XDG_", "ORT_", "LOCALAPPDATA", "CI", "GITHUB_", "TF_BUILD")  # CI is not counted
    env = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.onnx"],
        env={**env, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "home").rglob("*")) == []
