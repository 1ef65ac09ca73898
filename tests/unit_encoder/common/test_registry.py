"""A backend is imported when chosen, and its absence is a sentence."""

import sys

import pytest

from encoder.common.registry import Registry
from encoder.errors import BackendUnavailable, ConfigError
from encoder.models import ARCHITECTURES
from encoder.models.rescnn import ResCNN, ResCNNConfig

FAMILY = Registry(
    "colour",
    {"red": "colorsys:rgb_to_hls", "gone": "no_such_package_xyz.red:Red", "blue": "queue:Queue"},
)


def test_order_and_lazy_import():
    assert FAMILY.names() == ["red", "gone", "blue"]
    sys.modules.pop("colorsys", None)
    FAMILY.check("red")
    assert "colorsys" not in sys.modules
    assert FAMILY.load("red").__name__ == "rgb_to_hls"


@pytest.mark.parametrize("method", [FAMILY.check, FAMILY.load])
def test_unknown_name_lists_the_known(method):
    with pytest.raises(ConfigError, match="unknown colour 'green': choose one of red, gone, blue"):
        method("green")


def test_missing_package_names_it_and_the_others():
    with pytest.raises(BackendUnavailable, match=r"'gone'.*no_such_package_xyz.*one of red, blue"):
        FAMILY.load("gone")


def test_a_library_that_does_not_load(tmp_path, monkeypatch):
    (tmp_path / "broken_so_xyz.py").write_text("raise OSError('libcudart.so.13: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailable, match=r"libcudart.*install it$"):
        Registry("colour", {"only": "broken_so_xyz:A"}).load("only")


def test_architectures_carry_their_config():
    assert ARCHITECTURES.load("rescnn") is ResCNN
    assert ResCNN.Config is ResCNNConfig


def test_a_setting_beside_the_groups_says_where_settings_are():
    with pytest.raises(ConfigError, match=r"'model\.blocks' is no group.*NAME\.SETTING"):
        ARCHITECTURES.build("rescnn", {"blocks": 1}, where="model")


@pytest.mark.parametrize(
    ("group", "values", "said"),
    [
        ("gru", {"layers": float("nan")}, "gru.layers"),
        ("gru", {"layres": 2}, "unknown setting 'model.gru.layres'"),
        ("campplus", 3, "'model.campplus' is a group of settings, not 3"),
    ],
)
def test_settings_of_a_backend_that_is_not_chosen_are_checked_too(group, values, said):
    with pytest.raises(ConfigError, match=said):
        ARCHITECTURES.build("rescnn", {group: values}, where="model")


def test_settings_of_a_backend_that_cannot_be_loaded_stay_as_they_are():
    FAMILY.check_groups({"gone": {"shade": 1}}, where="colour")
