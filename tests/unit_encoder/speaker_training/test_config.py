"""Every config of the recipes is a plan that can be run."""

from pathlib import Path

import pytest

from encoder.common.config import from_mapping, read_toml
from encoder.errors import ConfigError
from encoder.models import ARCHITECTURES
from encoder.speaker_training.config import TrainConfig, model_config
from encoder.speaker_training.training_run import _continue_older
from encoder.training.run_folder import write_config

CONFIGS = Path(__file__).parents[3] / "recipes" / "configs" / "embedder"


def plan_of(name):
    return from_mapping(TrainConfig, read_toml(CONFIGS / f"{name}.toml"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_config_is_a_plan(path):
    plan = plan_of(path.stem)
    model_config(plan)
    for phase in (plan.softmax, plan.triplet):
        assert set(phase.sampler.speeds) >= set(plan.speeds) == {1.0, *plan.speeds}
        assert phase.sampler.telephone == 0 or plan.telephone > 0  # there is something to draw


@pytest.mark.parametrize(
    ("name", "parameters"), [("deep_speaker_2017", 24_165_568), ("gru", 22_565_056)]
)
def test_the_papers_presets_are_the_papers_networks(name, parameters):
    plan = plan_of(name)
    model = ARCHITECTURES.load(plan.architecture)(model_config(plan))
    assert sum(p.numel() for p in model.parameters()) == parameters
    for fit in (plan.softmax.fit, plan.triplet.fit):
        assert (fit.optimizer, fit.momentum, fit.schedule) == ("sgd", 0.99, "linear")
        assert (fit.learning_rate, fit.final_learning_rate) == (0.05, 0.005)
    assert (plan.softmax.epochs, plan.triplet.epochs) == (10, 15)
    assert (plan.triplet.margin, plan.triplet.strategy) == (0.1, "hard")


def test_init_and_a_model_clash():
    with pytest.raises(ConfigError, match=r"'x'.*take \[model\] out"):
        model_config(TrainConfig(init="x", model={"blocks": 1}))


def test_a_knob_of_another_architecture_is_refused():
    with pytest.raises(ConfigError, match=r"model\.blocks"):
        model_config(TrainConfig(architecture="gru", model={"blocks": 1}))


def test_a_run_of_before_the_names_changed_goes_on(tmp_path):
    (tmp_path / "settle").mkdir()
    (tmp_path / "settle/last.pt").write_text("kept")
    (tmp_path / "plan.json").write_text("{}")
    _continue_older(tmp_path)
    write_config(tmp_path, TrainConfig())
    _continue_older(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clean_finetune", "config.json"]
    assert (tmp_path / "clean_finetune/last.pt").read_text() == "kept"
