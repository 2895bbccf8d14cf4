"""A dynamic int8 Linear layer that uses all 256 levels for its activations.

torch's own layer asks for 128 of them (``reduce_range``), because x86 processors without VNNI add up int8 products in
16 bits, which overflow. qnnpack, the engine of phones, ignores that. TorchScript compiles this source into the files.
"""

from __future__ import annotations

import torch


class FullRangeLinear(torch.ao.nn.quantized.dynamic.Linear):
    """As torch's dynamic Linear: float32 (..., in) to float32 (..., out), with int8 weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = torch.ops.quantized.linear_dynamic(
            x, self._packed_params._packed_params, reduce_range=False
        )
        return answer
