"""The term that teaches voices: which frames count, and that it can be learnt."""

import pytest
import torch

from diarize.segmentation_training.config import SegmentationTrainConfig
from diarize.segmentation_training.speaker_loss import SpeakerLoss, SpeakerLossConfig
from diarize.segmentation_training.train import train_segmentation
from encoder.errors import ConfigError

VECTORS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def term(weight=1.0, scale=16.0):
    made = SpeakerLoss(VECTORS, 3, SpeakerLossConfig(weight=weight, scale=scale))
    with torch.no_grad():
        made.map.weight.copy_(torch.eye(3))
        made.map.bias.zero_()
    return made


def test_frames_of_one_known_voice_count():
    voices = torch.tensor([[0, 0, 0, 0, 0, 0, 1, 1, -1, -1, -1, -1, 2, 2, 2, 2, 1, 1, 1, 1, 3, 3]])
    # frames of 80 ms: voice 0; 0 and 1; nobody; 2, who is not known; 1; the end is no whole frame
    states = torch.tensor([[[1.0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 2, 0], [1, 0, 0]]])
    with torch.no_grad():
        loss, measured = term()(states, voices)
    assert measured["speaker_accuracy"] == 1.0
    assert float(loss) == pytest.approx(0.0, abs=1e-5)
    with torch.no_grad():
        half, measured = term(weight=0.5)(states[:, :, [1, 0, 2]], voices)
    assert measured["speaker_accuracy"] == 0.0
    assert float(half) == pytest.approx(8.0, abs=0.01)


def test_nobody_alone_costs_nothing():
    states = torch.ones(1, 2, 3, requires_grad=True)
    loss, measured = term()(states, torch.full((1, 8), -1))
    loss.backward()
    assert float(loss.detach()) == 0.0 and measured == {}
    assert not states.grad.any()


def test_settings_that_cannot_be():
    with pytest.raises(ConfigError, match=r"weight is -1.*0 to"):
        SpeakerLossConfig(weight=-1.0)
    with pytest.raises(ConfigError, match=r"scale is 0.*more than 0"):
        SpeakerLossConfig(scale=0.0)


def test_a_weight_needs_vectors(tmp_path):
    plan = SegmentationTrainConfig(speaker_loss=SpeakerLossConfig(weight=0.2))
    with pytest.raises(ConfigError, match=r"speaker_loss\.weight is 0\.2.*teacher_vectors"):
        train_segmentation(plan, None, [], tmp_path, report=None)
