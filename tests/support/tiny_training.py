"""Training of a network so small that a run takes a moment: batches, a model with its objective.

losses, weights = run(folder)                  # whole
losses, weights = run(folder, kill_at=7)       # stopped before step 7 is written
"""

from dataclasses import replace

import torch

from encoder.data.batch_sampler import Batch
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.speaker_training.objectives import SoftmaxObjective, TripletObjective
from encoder.training.loop import FitConfig, fit

CONFIG = FitConfig(steps=12, warmup_steps=3, checkpoint_every_s=0.0, learning_rate=1e-2)
LONG = replace(CONFIG, steps=60, checkpoint_every_s=0.01)


def batches(step):
    """Four voices, each a fixed spectrum under noise; another draw each step."""
    g = torch.Generator().manual_seed(1000 + step)
    speakers = torch.arange(8) % 4
    voices = torch.randn(4, 1, 8, generator=torch.Generator().manual_seed(7))
    features = voices[speakers] + 0.5 * torch.randn(8, 12, 8, generator=g)
    return Batch(features, speakers, torch.arange(8))


def parts(strategy="random", seed=0):
    torch.manual_seed(seed)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=6, n_mels=8))
    classifier = SoftmaxObjective(6, 4, scale=10.0)
    objective = TripletObjective(
        margin=0.5, strategy=strategy, classifier=classifier, softmax_weight=0.5
    )
    return model, objective


def run(out, config=CONFIG, *, kill_at=None, seed=0, batches=batches, **more):
    """Losses by step and the averaged weights; `kill_at` stops before that step is written."""
    losses = {}

    def on_step(step, measured):
        losses[step] = measured["loss"]
        if step == kill_at:
            raise KeyboardInterrupt

    try:
        result = fit(*parts(seed=seed), batches, config=config, out=out, on_step=on_step, **more)
    except KeyboardInterrupt:
        return losses, None
    return losses, result.averaged.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
