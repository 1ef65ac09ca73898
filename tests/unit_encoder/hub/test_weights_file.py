"""Weights survive the disk, and anything else that lies there is refused with its reason."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from encoder.errors import CheckpointError, ConfigError, StoreError
from encoder.features.kaldi_fbank import KaldiFbankConfig
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.models.rescnn import ResCNN, ResCNNConfig

CONFIG = ResCNNConfig(channels=(4, 6), blocks=1, embedding_size=5, n_mels=8)
FEATURES = FeatureConfig(n_mels=8, f_max=7000.0)


def model_of(seed=0):
    torch.manual_seed(seed)
    model = ResCNN(CONFIG)
    model(torch.randn(4, 20, 8))  # in training mode: moves the norms' statistics
    return model.eval()


@pytest.fixture
def saved(tmp_path):
    return save_weights(model_of(), FEATURES, tmp_path / "new" / "folder", name="tiny-model")


def test_round_trip(saved):
    loaded, model = load_weights(saved), model_of()
    assert loaded.model.config == CONFIG
    assert loaded.features == FEATURES
    assert not loaded.model.training
    for name, value in model.state_dict().items():
        got = loaded.model.state_dict()[name]
        assert got.dtype == value.dtype
        torch.testing.assert_close(got, value, rtol=1e-3, atol=1e-6)
    x = torch.randn(3, 20, 8)
    assert (loaded.model(x) - model(x)).abs().max() < 1e-2
    assert sorted(p.name for p in saved.parent.iterdir()) == [saved.name]


def test_the_name_ends_in_the_fingerprint(saved):
    assert saved.name == f"tiny-model-{load_weights(saved).fingerprint}.safetensors"


def test_the_fingerprint_is_of_tensors_and_features_not_of_bytes(saved, tmp_path):
    """The header may say more, or the tensors may lie in another order: it is the same network."""
    with safe_open(saved, framework="pt") as file:
        metadata = json.loads(file.metadata()["deepspeaker"])
        tensors = {key: file.get_tensor(key) for key in reversed(list(file.keys()))}
    path = tmp_path / saved.name
    header = {"deepspeaker": json.dumps({"note": "made elsewhere", **metadata}), "more": "x"}
    path.write_bytes(save(tensors, metadata=header))
    assert path.read_bytes() != saved.read_bytes()
    assert load_weights(path).fingerprint == load_weights(saved).fingerprint


def test_features_of_another_kind(tmp_path):
    kaldi = KaldiFbankConfig(n_mels=8, window="hamming")
    path = save_weights(model_of(), kaldi, tmp_path, name="x")
    assert load_weights(path).features == kaldi
    other = save_weights(model_of(), KaldiFbankConfig(n_mels=8), tmp_path, name="x")
    assert load_weights(other).fingerprint != load_weights(path).fingerprint
    with pytest.raises(ConfigError, match="are no settings of features"):
        save_weights(model_of(), {"n_mels": 8}, tmp_path, name="x")


def test_exact_weights_keep_every_bit(tmp_path):
    model = model_of()
    loaded = load_weights(save_weights(model, FEATURES, tmp_path, name="x", exact=True)).model
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_format_1_has_the_hash_of_its_bytes(tmp_path):
    content = changed(tmp_path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    path = tmp_path / f"old-{digest}.safetensors"
    path.write_bytes(content)
    assert load_weights(path).fingerprint == digest
    path.write_bytes(content[:-1] + b"!")
    with pytest.raises(CheckpointError, match=f"are damaged: .* the {digest} in their name"):
        load_weights(path)


def test_the_fingerprint_follows_weights_and_features(tmp_path, saved):
    def fingerprint(model, features):
        return load_weights(save_weights(model, features, tmp_path, name="x")).fingerprint

    assert fingerprint(model_of(), FEATURES) == load_weights(saved).fingerprint
    assert fingerprint(model_of(1), FEATURES) != load_weights(saved).fingerprint
    louder = FeatureConfig(n_mels=8, f_max=7000.0, floor=1e-5)
    assert fingerprint(model_of(), louder) != load_weights(saved).fingerprint


def test_channels_last_weights_are_the_same_file(tmp_path, saved):
    model = model_of().to(memory_format=torch.channels_last)
    assert save_weights(model, FEATURES, tmp_path, name="tiny-model").name == saved.name


def test_values_too_large_for_float16_are_kept(tmp_path):
    model = model_of()
    model.trunk[0].norm.running_var.fill_(1e6)
    path = save_weights(model, FEATURES, tmp_path, name="x")
    assert load_weights(path).model.trunk[0].norm.running_var.tolist() == [1e6] * 4


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers_are_not_loaded(saved, tmp_path, number):
    """As a disk, another program or a training that went wrong leaves them."""
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors["affine.bias"][2] = number
    path = tmp_path / "mine.safetensors"
    path.write_bytes(save(tensors, metadata=metadata))
    with pytest.raises(CheckpointError, match=r"mine.* hold values .* not numbers \(affine.bias\)"):
        load_weights(path)


def test_nan_weights_are_not_written(tmp_path):
    model = model_of()
    model.affine.bias.data[2] = torch.nan
    with pytest.raises(CheckpointError, match=r"'affine\.bias' hold values that are not numbers"):
        save_weights(model, FEATURES, tmp_path, name="x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.999])
def test_one_flipped_byte_is_noticed(saved, share):
    content = bytearray(saved.read_bytes())
    content[int(share * len(content))] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"are damaged|do not fit the architecture"):
        load_weights(saved)


def test_a_cut_file_without_a_hash_in_its_name(saved, tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(saved.read_bytes())
    assert load_weights(path).fingerprint == saved.stem[-8:]
    path.write_bytes(saved.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="not a weights file of this toolkit"):
        load_weights(path)


def changed(tmp_path, tensors=None, metadata=True, **description):
    """A file like a good one, but for what is given."""
    full = {
        "format": 1, "architecture": "rescnn", "features": vars(FEATURES),
        "model": {"channels": [4, 6], "blocks": 1, "embedding_size": 5, "n_mels": 8},
        **description,
    }  # fmt: skip
    tensors = tensors or {k: v.contiguous() for k, v in model_of().state_dict().items()}
    path = tmp_path / "changed.safetensors"
    header = {"deepspeaker": json.dumps(full)} if metadata is True else metadata
    path.write_bytes(save(tensors, metadata=header))
    return path


def test_the_helper_makes_a_good_file(tmp_path):
    load_weights(changed(tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "gru9"}, "unknown architecture 'gru9': choose one of"),
        ({"format": 3}, "have format 3, this version reads 2"),
        ({"features": {"kind": "mfcc"}}, "unknown kind of features 'mfcc'"),
        ({"metadata": None}, "not a weights file of this toolkit"),
        ({"metadata": {"deepspeaker": "{"}}, "not a weights file of this toolkit"),
        ({"metadata": {"deepspeaker": "[1]"}}, "have format None"),
        ({"model": {"chanels": [4, 6]}}, "unknown setting 'chanels': allowed here are blocks"),
        ({"model": {"channels": 4}}, "'channels' is 4"),
        ({"model": None}, "do not fit the architecture"),
        ({"features": {"n_mel": 8}}, "unknown setting 'n_mel'"),
        ({"model": {"channels": [4, 7], "blocks": 1, "embedding_size": 5, "n_mels": 8}},
         r"size mismatch for trunk\.1\.down\.weight"),
        ({"model": {"channels": [4, 6], "blocks": 2, "embedding_size": 5, "n_mels": 8}},
         r"Missing key.*trunk\.0\.blocks\.1"),
        ({"tensors": {"extra": torch.zeros(1)}}, "Missing key"),
        ({"features": {**vars(FEATURES), "hop_s": 0}}, r"hop_s is 0\.0: give 0\.001 to 1"),
        ({"features": {**vars(FEATURES), "n_mels": 10**9}}, "n_mels is 1000000000: give 1 to 512"),
        ({"features": {**vars(FEATURES), "n_fft": 16}}, "n_fft is 16: give at least the samples"),
        ({"features": {**vars(FEATURES), "hop_s": 0.5}}, "hop_s is 0.5: give at most window_s"),
        ({"features": {**vars(FEATURES), "n_mels": 9}}, "n_mels is 8, but the features have 9"),
        ({"features": {"kind": "wave"}}, "n_mels is 8, but the features have None"),
        ({"model": {"channels": [4, 6], "blocks": 10**9}}, "blocks is 1000000000: give 0 to"),
        ({"model": {"channels": [4, 6], "n_mels": 10**9}}, "n_mels is 1000000000: give 1 to"),
        ({"model": {"channels": [4] * 101, "n_mels": 8}}, "give at most 100 values"),
        ({"model": {"channels": [10**400]}}, "channels is too much|channels is .*: give 1 to"),
        ({"architecture": "gru", "model": {"layers": 10**9}}, "layers is 1000000000: give 1 to"),
        ({"architecture": "campplus", "model": {"layers": [10**9] * 3}}, "layers is .*: give 1 to"),
        ({"metadata": {"deepspeaker": "[" * 9000 + "]" * 9000}}, "not a weights file of this"),
        ({"metadata": {"deepspeaker": "9" * 9000}}, "not a weights file of this toolkit"),
    ],
)  # fmt: skip
def test_other_files_are_refused_with_a_reason(tmp_path, change, words):
    path = changed(tmp_path, **change)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format", [1, 2])
@pytest.mark.parametrize("lacking", ["architecture", "model", "features"])
def test_a_header_that_lacks_something(tmp_path, format, lacking):
    path = changed(tmp_path, format=format)
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["deepspeaker"])
    del description[lacking]
    path = changed(tmp_path, metadata={"deepspeaker": json.dumps(description)})
    with pytest.raises(CheckpointError, match=f"say nothing of {lacking}"):
        load_weights(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_tensors_of_another_kind(tmp_path, dtype):
    tensors = {k: v.to(dtype).contiguous() for k, v in model_of().state_dict().items()}
    with pytest.raises(CheckpointError, match="hold tensors of torch"):
        load_weights(changed(tmp_path, tensors, format=2))


def test_an_extra_key_is_refused(tmp_path):
    tensors = {k: v.contiguous() for k, v in model_of().state_dict().items()}
    with pytest.raises(CheckpointError, match=r"Unexpected key.*extra"):
        load_weights(changed(tmp_path, {**tensors, "extra": torch.zeros(1)}))


NOT_SAFETENSORS = {"empty": b"", "text": b"hello", "pickle": b"\x80\x02}q\x00."}


@pytest.mark.parametrize("content", NOT_SAFETENSORS.values(), ids=NOT_SAFETENSORS.keys())
def test_no_safetensors(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a weights file of this toolkit"):
        load_weights(path)


@pytest.mark.parametrize("name", ["absent.safetensors", "."])
def test_missing(tmp_path, name):
    with pytest.raises(CheckpointError, match=r"cannot read the weights .*give the path"):
        load_weights(tmp_path / name)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write the weights"):
        save_weights(model_of(), FEATURES, tmp_path / "file", name="x")
