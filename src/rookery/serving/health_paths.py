"""Where probes ask, for what serves them and for what lets them through.

The first of each is Knative func's, the others are KServe's (V2) and Kubernetes' own habits.
"""

from typing import Final

LIVENESS: Final = ("/health/liveness", "/v2/health/live", "/livez", "/healthz")
READINESS: Final = ("/health/readiness", "/v2/health/ready", "/readyz")
