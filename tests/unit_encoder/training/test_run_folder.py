"""A run's folder holds one run: other settings or data are refused with the difference."""

import json
from dataclasses import replace

import pytest

from encoder.errors import ConfigError
from encoder.speaker_training.config import TrainConfig
from encoder.training.run_folder import check_same_run, describe_data, write_config

CONFIG = TrainConfig(model={"blocks": 1})
DATA = describe_data([("anna", "a/1.wav"), ("anna", "a/2.wav"), ("ben", "b/1.wav")])


@pytest.fixture
def begun(tmp_path):
    write_config(tmp_path, CONFIG, DATA)
    (tmp_path / "softmax").mkdir()
    (tmp_path / "softmax/last.pt").write_bytes(b"")
    return tmp_path


def changed(**values):
    return replace(CONFIG, **values)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (changed(seed=2), "seed was 1 and is 2"),
        (changed(architecture="gru"), "architecture was 'rescnn' and is 'gru'"),
        (changed(model={"blocks": 2}), "model.blocks was 1 and is 2"),
        (changed(speeds=(1.0, 0.9)), r"speeds was \[1\.0\] and is \[1\.0, 0\.9\]"),
        (
            changed(softmax=replace(CONFIG.softmax, margin=0.3)),
            r"softmax\.margin was 0\.2 and is 0\.3",
        ),
        (
            changed(seed=2, validation_share=0.2, telephone=0.5, teacher="x"),
            r"seed was .*validation_share was .*telephone was .* and 1 more\)",
        ),
    ],
)
def test_other_settings_are_refused(begun, config, told):
    with pytest.raises(ConfigError, match=told):
        check_same_run(begun, config, DATA)


@pytest.mark.parametrize(
    ("utterances", "told"),
    [
        ([("anna", "a/1.wav"), ("ben", "b/1.wav")], r"data\.utterances was 3 and is 2"),
        ([("anna", "a/1.wav"), ("anna", "a/2.wav"), ("ben", "b/9.wav")], r"data\.digest was"),
    ],
)
def test_other_data_are_refused(begun, utterances, told):
    with pytest.raises(ConfigError, match=told):
        check_same_run(begun, CONFIG, describe_data(utterances))


def test_the_order_of_the_data_does_not_matter():
    assert describe_data([("ben", "b/1.wav"), ("anna", "a/2.wav"), ("anna", "a/1.wav")]) == DATA


def test_where_it_runs_and_how_often_it_writes_may_change(begun):
    fit = replace(CONFIG.softmax.fit, checkpoint_every_s=5.0, validate_every=7)
    engine = replace(CONFIG.engine, devices=2)
    softmax = replace(CONFIG.softmax, fit=fit)
    moved = changed(threads=4, engine=engine, softmax=softmax, selected_weights="best")
    check_same_run(begun, moved, DATA)


def test_a_run_that_has_not_begun_may_become_another(tmp_path):
    check_same_run(tmp_path, changed(seed=2), DATA)
    write_config(tmp_path, CONFIG, DATA)
    check_same_run(tmp_path, changed(seed=2), DATA)


def test_a_run_of_an_older_version_goes_on(begun):
    stored = json.loads((begun / "config.json").read_text())
    del stored["telephone"], stored["data"]
    (begun / "config.json").unlink()
    (begun / "plan.json").write_text(json.dumps({**stored, "gone": 1}))
    check_same_run(begun, CONFIG, DATA)
    with pytest.raises(ConfigError, match="seed was 1 and is 2"):
        check_same_run(begun, changed(seed=2), DATA)
    (begun / "plan.json").write_text("[")
    check_same_run(begun, changed(seed=2), DATA)  # nothing is known of it
