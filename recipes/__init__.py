"""Scripts and configs that are run, never imported by the packages."""

import os

# As `diarize.cli.main` says it, and before any of them imports torch: threads that spin while they
# wait make a busy machine several times slower. A user's own choice stands.
os.environ["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY") or "PASSIVE"
