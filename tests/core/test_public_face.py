"""``import deploy_core`` gives a script what it needs, and docs/api.md says how to use it."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import deploy_core
from docs.generate import documents

PROJECT = Path(__file__).parents[2]
TREE = ast.parse((PROJECT / "deploy_core" / "__init__.py").read_text())

# One whole way of a script: from a picture to a bundle that verifies.
SCRIPT = """
import sys
from pathlib import Path
import deploy_core as dd

folder, name = Path(sys.argv[1]), sys.argv[2]
settings = dd.load_settings()
spec = dd.find_model(name)
picture = "deploy_core/embedded/samples/chelsea.png"
model = dd.open_model(name, "pretrained", settings)
label = model.classify(picture, settings).top[0].label
result = dd.build_into(folder / "files", dd.BuildRequest(name, "pretrained", ("scripted",)), settings)
assert dd.read_result(folder / "files").artifacts == result.artifacts
paths = {artifact.format: folder / "files" / artifact.file for artifact in result.artifacts}
assert dd.open_artifact(paths["scripted"], name, "pretrained").classify(picture, settings).top[0].label == label
bundle = dd.bundle_file(paths["scripted"], settings)
assert dd.verify_bundle(bundle, settings).holds
(folder / "set" / label).mkdir(parents=True)
(folder / "set" / label / "1.png").write_bytes(Path(picture).read_bytes())
pictures = dd.open_pictures(folder / "set", spec, settings)
subject = dd.open_subject(name, name, "pretrained", settings)
assert dd.evaluate([subject], pictures, settings).results[0].score.top1 == 1
run = dd.profile_files(result, paths, settings, dd.ProfileOptions(threads=(1,), batches=(1,), seconds=2))
assert [row.format for row in run.rows] == ["original", "scripted"]
try:
    dd.find_model("no such model")
except dd.DeployError as error:
    print(label, error.remedy)
"""


def test_the_lists_of_public_names_agree() -> None:
    (block,) = (node for node in TREE.body if isinstance(node, ast.If))
    checked = {
        alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert checked == set(deploy_core.PUBLIC) == set(deploy_core.__all__)
    assert dir(deploy_core) == sorted(deploy_core.__all__)


@pytest.mark.parametrize("name", deploy_core.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    value = getattr(deploy_core, name)
    if callable(value):
        text = inspect.getdoc(value)
        assert text
        assert not text.startswith(f"{value.__name__}("), "a dataclass without a docstring of its own"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        deploy_core.nothing  # noqa: B018


def test_the_generated_documents_are_up_to_date() -> None:
    for path, text in documents().items():
        assert path.read_text() == text, f"run python -m docs.generate: {path.name} is not up to date"


def test_a_script_goes_the_whole_way_with_public_names(environment: dict[str, str], pets: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(pets)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("parrot ")
