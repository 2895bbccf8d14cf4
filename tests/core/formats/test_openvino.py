"""What is special about OpenVINO files: two files in one zip, scales learned from pictures, no reports to makers."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from deploy_core import build, embedded
from deploy_core.errors import InvalidArtifact
from deploy_core.formats import FORMATS
from deploy_core.formats.openvino import archive, rows
from deploy_core.inference import classify
from deploy_core.settings import Settings
from deploy_core.storage.bundles import bundle_file
from deploy_core.types import BuildRequest, BuildResult

INT8 = FORMATS["openvino_int8"]


@pytest.fixture(scope="module")
def built(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildResult]:
    folder = tmp_path_factory.mktemp("openvino")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deploy_core.inference.verdicts.MOST_PICTURES", 2)
        return folder, build.build_into(folder, BuildRequest(str(pets), "pretrained", (INT8.key,)), Settings())


def test_the_int8_file_says_which_pictures_it_learned_from(built: tuple[Path, BuildResult]) -> None:
    folder, result = built
    assert build.read_result(folder).artifacts == result.artifacts
    by_format = {artifact.format: artifact for artifact in result.artifacts}
    learned = by_format[INT8.key].calibration
    assert learned
    assert (learned.source, learned.pictures, len(learned.sha256)) == ("shipped photographs", 64, 64)
    assert by_format["openvino"].calibration is None


def test_equal_graphs_give_equal_bytes(built: tuple[Path, BuildResult], tmp_path: Path) -> None:
    folder, _ = built
    (path,) = folder.glob(f"*{INT8.suffix}")
    with zipfile.ZipFile(path) as packed:
        assert packed.namelist() == [archive.GRAPH, archive.WEIGHTS]
        packed.extractall(tmp_path)
    archive.pack(tmp_path / archive.GRAPH, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_batches_are_answered_as_single_pictures(built: tuple[Path, BuildResult]) -> None:
    folder, _ = built
    (path,) = folder.glob("*_openvino.zip")
    run, pictures = FORMATS["openvino"].load(path), torch.rand(3, 3, 32, 32)
    alone = torch.cat([run(picture[None]) for picture in pictures])
    torch.testing.assert_close(run(pictures), alone, atol=1e-5, rtol=1e-4)


def test_weights_that_do_not_belong_to_the_graph_are_told(built: tuple[Path, BuildResult], tmp_path: Path) -> None:
    folder, _ = built
    (path,) = folder.glob(f"*{INT8.suffix}")
    graph, weights = archive.unpacked(path)
    (tmp_path / archive.GRAPH).write_bytes(graph)
    (tmp_path / archive.WEIGHTS).write_bytes(weights[: len(weights) // 2])
    archive.pack(tmp_path / archive.GRAPH, tmp_path / f"cut{INT8.suffix}")
    with pytest.raises(InvalidArtifact, match="is damaged"):
        INT8.load(tmp_path / f"cut{INT8.suffix}")


def test_the_operators_inside_have_times(built: tuple[Path, BuildResult], tmp_path: Path) -> None:
    folder, _ = built
    (path,) = folder.glob(f"*{INT8.suffix}")
    assert INT8.observe
    rows = INT8.observe(path, torch.rand(1, 3, 32, 32), tmp_path / "trace.json")
    assert any(row.group == "matrix products" for row in rows)
    assert all(row.self_ms >= 0 for row in rows)
    assert (tmp_path / "trace.json").read_text().startswith('{"traceEvents": [{')


def test_the_code_in_its_bundle_answers_as_the_library(built: tuple[Path, BuildResult], tmp_path: Path) -> None:
    folder, _ = built
    (path,) = folder.glob(f"*{INT8.suffix}")
    with zipfile.ZipFile(bundle_file(path, Settings(), tmp_path / "bundle.zip")) as archive:
        archive.extractall(tmp_path)
    picture = embedded.SAMPLES / "zebra.jpg"
    done = subprocess.run([sys.executable, tmp_path / "python" / "use.py", picture], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    model = next(folder.glob("*.safetensors"))
    expected = classify.open_artifact(path, str(model), "pretrained").classify(str(picture), Settings(), 3).top
    printed = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert printed == [[f"{answer.probability:.2%}", answer.label] for answer in expected]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"no-such-package": "1.2"}, "Install what it needs: pip install no-such-package==1.2"),
        (
            {"openvino": "2025.1.0"},
            "It needs openvino 2025.1.0, and 2026.4.1 is installed: pip install openvino==2025.1.0",
        ),
        ({"openvino": "2026.4.1"}, None),
    ],
)
def test_a_missing_or_other_package_is_told_with_the_command(own: dict[str, str], words: str | None) -> None:
    assert rows.probe(own) == words


def test_nothing_is_reported_to_the_makers() -> None:
    code = (
        "import deploy_core.formats\n"
        "import nncf.telemetry.wrapper as nncf\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "assert telemetry_utils.tm.__name__ == 'openvino.tools.ovc.telemetry_stub'\n"
        "assert nncf.telemetry is nncf.NNCFTelemetryStub.return_value or 'Mock' in type(nncf.telemetry).__name__\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
