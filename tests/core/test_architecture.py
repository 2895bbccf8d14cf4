"""Promises about imports, each checked in a fresh process."""

from __future__ import annotations

import subprocess
import sys

from tests.sources import CORE, PROJECT, WEB, name_of, packages

LIGHT = (
    "build",
    "bundle.write",
    "cli.main",
    "evaluation.cluster",
    "evaluation.evaluate",
    "formats",
    "inference.classify",
    "models.load",
    "processes.jobs",
    "profile.measure.run",
    "storage.store",
    "worker.client",
)


def modules_after(statement: str) -> set[str]:
    command = [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split())


def test_the_library_never_imports_streamlit() -> None:
    names = [name_of(path) for path in CORE if path.name != "__main__.py"]
    assert "streamlit" not in modules_after("\n".join(f"import {name}" for name in names))


def test_what_pages_import_is_light() -> None:
    """Each line is what is there after one more import: the first that is not empty names who is heavy."""
    heavy = {"torch", "timm", "torchvision", "huggingface_hub", "dask", "distributed"}
    lines = [f"import deploy_core.{name}; print('{name}', *{heavy} & set(sys.modules))" for name in LIGHT]
    command = [sys.executable, "-c", "\n".join(["import sys", *lines])]
    printed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert printed.split() == list(LIGHT)


def test_only_pages_and_the_app_name_streamlit() -> None:
    assert [path for path in CORE if "streamlit" in packages(path)] == []


def test_the_web_process_decodes_no_picture() -> None:
    """``pictures.decode`` may be asked about sizes. Who decodes is ``pictures.decoder``, in a process of its own."""
    decoding = {"PIL", "numpy", "torch", "torchvision", "pi_heif"}
    assert [path for path in WEB if packages(path) & decoding or "decode.decode" in path.read_text()] == []


def test_only_the_decoder_and_the_projects_own_pictures_are_decoded() -> None:
    callers = {path.relative_to(PROJECT).as_posix() for path in CORE if "decode.decode(" in path.read_text()}
    assert callers == {"deploy_core/pictures/decoder.py", "deploy_core/inference/views.py"}


def test_every_format_is_in_the_readme_as_the_table_says() -> None:
    from deploy_core.formats import FORMATS

    readme = (PROJECT / "README.md").read_text()
    written = readme.split("| format | file | what it is |\n| --- | --- | --- |\n")[1].split("\n\n")[0]
    assert written.splitlines() == [
        f"| `{row.key}` | `{row.filename('<model>')}` | {row.summary} |" for row in FORMATS.values()
    ]


def test_every_deploy_error_kind_is_drawn_in_the_tree() -> None:
    from deploy_core import errors

    kinds = [kind.__name__ for kind in errors.DeployError.__subclasses__()]
    assert errors.__doc__ is not None
    assert [kind for kind in kinds if f"── {kind} " not in errors.__doc__] == []


def test_no_page_shadows_a_module_that_something_imports() -> None:
    """Streamlit puts the pages' folder first on the import path."""
    from importlib.metadata import packages_distributions

    taken = set(sys.stdlib_module_names) | set(packages_distributions()) | {"deploy_core"}
    assert {path.stem for path in (PROJECT / "pages").iterdir()} & taken == set()


def test_every_direct_dependency_is_pinned_exactly() -> None:
    from importlib.metadata import packages_distributions

    files = ("", "-cluster", "-training", "-litert", "-openvino")
    written = [line for name in files for line in (PROJECT / f"requirements{name}.txt").read_text().splitlines()]
    lines = [line for line in written if not line.startswith("#")]
    assert all("==" in line for line in lines)
    pinned = {line.split("==")[0].lower() for line in lines}
    imported = set().union(*(packages(path) for path in (*CORE, *WEB)))
    outside = imported - set(sys.stdlib_module_names) - {"deploy_core", "pages", "web"}
    distributions = packages_distributions()
    assert {distributions[name][0].lower() for name in outside} <= pinned
