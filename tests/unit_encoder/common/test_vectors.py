"""Unit vectors."""

from __future__ import annotations

import numpy as np
import pytest

from encoder.common.vectors import unit_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_have_norm_one_and_zeros_stay(dtype):
    found = unit_rows(np.array([[3, 4], [0, 0], [0, -2]], dtype))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)
    assert found.dtype == dtype
    np.testing.assert_allclose(unit_rows(np.array([3, 4], dtype)), [0.6, 0.8], rtol=1e-6)
    assert unit_rows(np.zeros((0, 5), dtype)).shape == (0, 5)
