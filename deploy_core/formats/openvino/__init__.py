"""OpenVINO, the runtime for servers and PCs on Intel, AMD and Arm: float32 and static int8."""

import sys

from deploy_core.formats.openvino.rows import ROWS

# openvino and nncf report their use to Google Analytics, unless this package cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

__all__ = ["ROWS"]
