"""What holds for all tests."""

from __future__ import annotations

import os
import tempfile

from hypothesis import HealthCheck, settings

# A busy machine is no failure: neither an example nor the making of examples is timed.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

# What the user has settled on, enrolled or put beside the packaged weights changes no test, and no
# test changes it. What was downloaded stays where it is found.
_HOME = tempfile.TemporaryDirectory(prefix="diarize-tests-", ignore_cleanup_errors=True)
os.environ["DIARIZE_HOME"] = _HOME.name
