"""A family of one format, in one file, as somebody would add it: its files are the original's under another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy_core.formats import eager
from deploy_core.formats.format import Format, FormatFamily, Workbench
from deploy_core.formats.ratios import size_against
from deploy_core.types import BuildResult, Delegation, Finding, Platform, Runtime

(ORIGINAL,) = eager.ROWS


def _convert(bench: Workbench) -> Any:
    bench.delegations["toy"] = Delegation(50.0, ("toy::norm",))
    return ORIGINAL.convert(bench)


def _inspect(path: Path) -> tuple[Finding, ...]:
    return (Finding(path.suffix == ".toy", "Toy Runtime 1.0 reads the file."),)


def _effect(result: BuildResult) -> str:
    return f"A toy: {size_against(result, 'toy', ORIGINAL.key)}."


ROWS = (
    Format(
        key="toy",
        family=FormatFamily("Toys", about="**Toys**, for a test."),
        title="Toy box",
        summary="The weights in a box.",
        suffix="_boxed.toy",
        colour="#123456",
        weight_bytes=4,
        is_program=True,
        probe=lambda: None,
        needs=None,
        options=(),
        packages=ORIGINAL.packages,
        convert=_convert,
        save=ORIGINAL.save,
        effort=0.5,
        library_bytes=0,
        copies=1.5,
        least_cosine=0.9999,
        effect=_effect,
        load=ORIGINAL.load,
        load_as_on_phone=None,
        takes_batches=False,
        run_engine=lambda: "toy engine",
        runtime_package="numpy",
        runs_in_torch=False,
        observe=None,
        delegate="ToyNN",
        runtimes=(Runtime("Toy Runtime", (Platform.ANDROID, Platform.IOS), "1.0", "pip install toys"),),
        inspect=_inspect,
        app_code=None,
        runs_in_client=False,
    ),
)
