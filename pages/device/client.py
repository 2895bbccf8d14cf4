"""The browser side of the page "On your device": the files of the folder ``device`` and their Streamlit component."""

from __future__ import annotations

import json
import mimetypes
import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from streamlit.components.v2.types import ComponentRenderer

FOLDER = Path(__file__).parents[2] / "device"
SERVED = (
    "src/*.js",
    "node_modules/@noble/hashes/*.js",
    "node_modules/onnxruntime-web/dist/ort*",
    "node_modules/@litertjs/core/dist/index.js",
    "node_modules/@litertjs/wasm-utils/dist/index.js",
    "node_modules/@litertjs/core/wasm/litert_wasm_internal.*",
    "node_modules/@litertjs/core/wasm/litert_wasm_compat_internal.*",
    "node_modules/@litertjs/core/wasm/litert_wasm_threaded_internal.*",
)
RUNTIMES = ("node_modules/onnxruntime-web/package.json", "node_modules/@litertjs/core/package.json")
ADDRESS = "client"

# Streamlit loads a component's script from another place than the files that it imports.
START = """
export default async function (component) {
  const { mount } = await import(new URL(component.data.client, document.baseURI).href);
  return mount(component);
}
"""


class Client(StaticFiles):
    """Serves the browser side. Browsers revalidate each file, so that a new version is used at once.

    A runtime is 9 to 14 MB. Compressing it for each visitor would take most of a second, so ``make`` puts a compressed
    copy beside it.
    """

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    def lookup_path(self, path: str) -> Any:
        return super().lookup_path(path) if any(fnmatch(path, served) for served in SERVED) else ("", None)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        packed = Path(f"{os.fspath(full_path)}.gz")
        if packed.is_file() and "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            response = super().file_response(packed, packed.stat(), scope, status_code)
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Content-Type"] = mimetypes.guess_type(full_path)[0] or "application/octet-stream"
            response.headers["Vary"] = "Accept-Encoding"
        else:
            response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


def runtime() -> str | None:
    """The runtimes for browsers, as ``onnxruntime-web 1.30.0, ...``; None if they were not fetched completely."""
    if not all(any(FOLDER.glob(served)) for served in SERVED):
        return None
    try:
        packages = [json.loads((FOLDER / runtime).read_text()) for runtime in RUNTIMES]
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return ", ".join(f"{package['name']} {package['version']}" for package in packages)


@st.cache_resource
def component() -> ComponentRenderer:
    style = (FOLDER / "src" / "style.css").read_text()
    return st.components.v2.component("on_your_device", css=style, js=START)
