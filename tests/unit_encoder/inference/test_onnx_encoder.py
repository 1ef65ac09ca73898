"""Models of others: the vectors that numpy finds, whatever the batch; and every wrong file."""

import sys

import numpy as np
import pytest
import torch

from encoder.audio.torchaudio_compat import torchaudio
from encoder.errors import AudioError, BackendUnavailable, CheckpointError, ConfigError
from encoder.features.log_mel import FeatureConfig, LogMel
from encoder.inference.onnx_encoder import OnnxEncoder
from encoder.inference.onnx_inputs import OnnxFeatures, read_features, toml_of
from tests.support.onnx_models import (
    BANDS,
    LOOSE,
    NOT_A_NUMBER,
    ONE_AT_A_TIME,
    TWO_INPUTS,
    WAVE,
    content,
    write,
)

BOUNDS = np.array([
    [0, 8000], [100, 8100], [0, 32000], [16000, 24000], [5000, 8200], [28800, 32000],
    [5000, 8201], [0, 8000], [12345, 20345],
])  # fmt: skip


@pytest.fixture(scope="module")
def wave():
    g = torch.Generator().manual_seed(0)
    return torch.linspace(0, 0.2, 32000) * torch.randn(32000, generator=g)


@pytest.fixture(scope="module")
def bands():
    return OnnxEncoder(content(BANDS), OnnxFeatures("kaldi-fbank"))


def unit(rows):
    rows = np.asarray(rows)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_a_model_of_waves(wave):
    encoder = OnnxEncoder(content(WAVE), OnnxFeatures("wave", scale=2.0))
    expected = []
    for start, end in BOUNDS:
        w = 2 * wave[start:end].numpy()
        expected.append([w.mean(), w.max(), w.min(), np.linalg.norm(w)])
    got = encoder.embed_windows(wave, BOUNDS)
    np.testing.assert_allclose(got, unit(expected), atol=1e-5)
    assert got.dtype == np.float32 and encoder.embedding_size == 4


@pytest.mark.parametrize("mean_normalise", [True, False])
@pytest.mark.parametrize("scale, window", [(1.0, "povey"), (32768.0, "hamming")])
def test_a_model_of_kaldis_filterbanks(wave, scale, window, mean_normalise):
    features = OnnxFeatures(
        "kaldi-fbank", scale=scale, window=window, mean_normalise=mean_normalise
    )
    expected = []
    for start, end in BOUNDS:
        bank = torchaudio().compliance.kaldi.fbank(
            scale * wave[None, start:end], num_mel_bins=80, window_type=window, dither=0.0
        )
        expected.append((bank - mean_normalise * bank.mean(dim=0)).max(dim=0).values.numpy())
    got = OnnxEncoder(content(BANDS), features).embed_windows(wave, BOUNDS)
    np.testing.assert_allclose(got, unit(expected), atol=1e-5)


def test_a_model_of_log_mel(wave):
    mel = LogMel(FeatureConfig(n_mels=80))(wave[:8000])
    expected = unit((mel - mel.mean(dim=0)).max(dim=0).values.numpy())
    got = OnnxEncoder(content(BANDS), OnnxFeatures("log-mel")).embed(wave[:8000])
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_does_not_matter(bands, wave, batch_size, monkeypatch):
    expected = bands.embed_windows(wave, BOUNDS)
    monkeypatch.setattr(bands, "batch_size", batch_size)
    order = np.random.default_rng(0).permutation(len(BOUNDS))
    got = bands.embed_windows(wave, BOUNDS[order])
    np.testing.assert_allclose(got, expected[order], atol=1e-5)
    np.testing.assert_allclose(bands.embed(wave[5000:8200]), expected[4], atol=1e-5)


def test_a_model_for_one_window_at_a_time(bands, wave):
    one = OnnxEncoder(content(ONE_AT_A_TIME), OnnxFeatures("kaldi-fbank"))
    np.testing.assert_allclose(
        one.embed_windows(wave, BOUNDS), bands.embed_windows(wave, BOUNDS), atol=1e-6
    )


def test_axes_of_one_are_dropped(bands, wave):
    loose = OnnxEncoder(content(LOOSE), OnnxFeatures("kaldi-fbank"))
    np.testing.assert_allclose(loose.embed(wave), bands.embed(wave), atol=1e-6)


def test_no_windows_and_progress(bands, wave):
    assert bands.embed_windows(wave, np.zeros((0, 2), np.int64)).shape == (0, 80)
    seen = []
    bands.embed_windows(wave, BOUNDS, on_done=lambda *pair: seen.append(pair))
    assert seen[-1] == (len(BOUNDS), len(BOUNDS)) and seen == sorted(seen)


def test_the_shortest_window(wave):
    encoder = OnnxEncoder(content(BANDS), OnnxFeatures("kaldi-fbank", minimum_s=0.5))
    assert encoder.minimum_samples == 8000
    encoder.embed(wave[:8000])
    with pytest.raises(AudioError, match=r"7999 samples is too short.* 8000 \(0\.500 s\)"):
        encoder.embed(wave[:7999])
    with pytest.raises(AudioError, match=r"\[30000, 40000\) leaves the wave of 32000"):
        encoder.embed_windows(wave, np.array([[30000, 40000]]))


def test_silence_is_finite(bands):
    assert np.isfinite(bands.embed(torch.zeros(16000))).all()


def test_threads_follow_torch(bands):
    session = bands._session
    assert session.get_session_options().intra_op_num_threads == torch.get_num_threads()


def test_the_fingerprint_is_of_the_model_and_its_settings(bands):
    def of(graph=BANDS, **settings):
        return OnnxEncoder(content(graph), OnnxFeatures("kaldi-fbank", **settings)).fingerprint

    same = [of(), of(minimum_s=0.4), of(input="features", output="embedding"), bands.fingerprint]
    others = [of(scale=2.0), of(window="hamming"), of(mean_normalise=False), of(LOOSE)]
    assert len(set(same)) == 1 and len(same[0]) == 8
    assert int(same[0], 16) >= 0
    assert len({same[0], *others}) == 5


def test_from_file(bands, wave, tmp_path):
    path = write(tmp_path / "voice.onnx", BANDS, 'kind = "kaldi-fbank"\nn_mels = 80\n')
    encoder = OnnxEncoder.from_file(path, device="auto")
    assert encoder.fingerprint == bands.fingerprint
    np.testing.assert_array_equal(encoder.embed(wave), bands.embed(wave))


@pytest.mark.parametrize(
    "features",
    [
        OnnxFeatures("wave", minimum_s=0.175),
        OnnxFeatures("kaldi-fbank", scale=32768.0, window="hamming", input='a "b"'),
        OnnxFeatures("log-mel", n_mels=64, mean_normalise=False, output="x"),
    ],
)
def test_settings_survive_their_file(features, tmp_path):
    (tmp_path / "m.toml").write_text(toml_of(features), encoding="utf-8")
    assert read_features(tmp_path / "m.onnx") == features


def test_without_settings_it_says_which_file_to_write(tmp_path):
    path = write(tmp_path / "voice.onnx", BANDS, "")
    path.with_suffix(".toml").unlink()
    with pytest.raises(ConfigError) as caught:
        OnnxEncoder.from_file(path)
    for part in (str(path), str(tmp_path / "voice.toml"), 'kind = "kaldi-fbank"', "n_mels = 80"):
        assert part in str(caught.value).replace("\\\\", "\\")


@pytest.mark.parametrize(
    "settings, words",
    [
        ("n_mels = 80", "'kind' is missing"),
        ('kind = "mfcc"', "'mfcc': choose one of wave, log-mel, kaldi-fbank"),
        ('kind = "wave"\nmels = 4', "unknown setting 'mels'"),
        ('kind = "wave"\nsample_rate = 8000', "sample_rate is 8000.* 16000 Hz"),
        ('kind = "wave"\nscale = 0', "scale is 0.0"),
        ('kind = "wave"\nn_mels = 0', "n_mels is 0"),
        ('kind = "wave"\nminimum_s = 0.0', "minimum_s is 0.0"),
        ('kind = "kaldi-fbank"\nwindow = "hann"', "'hann': choose one of hamming, povey"),
        ("kind = ", "not valid TOML"),
    ],
)
def test_settings_that_cannot_be_used_name_their_file(settings, words, tmp_path):
    path = write(tmp_path / "voice.onnx", WAVE, settings)
    with pytest.raises(ConfigError, match=words) as caught:
        OnnxEncoder.from_file(path)
    assert "voice.toml" in str(caught.value)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
def test_a_damaged_model(keep, tmp_path, capfd):
    path = write(tmp_path / "voice.onnx", BANDS, 'kind = "kaldi-fbank"')
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(CheckpointError, match=r"voice\.onnx' is not a model that .* can load"):
        OnnxEncoder.from_file(path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_model(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read the model .*absent\.onnx"):
        OnnxEncoder.from_file(tmp_path / "absent.onnx")


@pytest.mark.parametrize(
    "graph, features, words",
    [
        (BANDS, OnnxFeatures("kaldi-fbank", n_mels=40), r"does not take kaldi-fbank of shape \(1,"),
        (BANDS, OnnxFeatures("wave"), r"does not take wave of shape \(1, 3200\)"),
        (TWO_INPUTS, OnnxFeatures("wave"), "does not take wave"),
        (NOT_A_NUMBER, OnnxFeatures("wave"), "values that are not numbers.* 0.200 s"),
        (LOOSE, OnnxFeatures("kaldi-fbank", output="double"), "not one vector each"),
    ],
)
def test_models_that_do_not_fit_their_settings(graph, features, words, capfd):
    with pytest.raises(CheckpointError, match=words) as caught:
        OnnxEncoder(content(graph), features, name="voice.onnx")
    assert "voice.onnx" in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("key", ["input", "output"])
def test_names_that_the_graph_lacks(key):
    with pytest.raises(ConfigError, match=f"has no {key} 'x': name one of"):
        OnnxEncoder(content(BANDS), OnnxFeatures("kaldi-fbank", **{key: "x"}))


@pytest.mark.parametrize("device", ["tpu", "cuda"])
def test_an_absent_device(device):
    import onnxruntime

    if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(BackendUnavailable, match=f"no device '{device}'.*use cpu or auto"):
        OnnxEncoder(content(WAVE), OnnxFeatures("wave"), device=device)


def test_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'deepspeaker-diarize\[onnx\]'"):
        OnnxEncoder(content(WAVE), OnnxFeatures("wave"))
