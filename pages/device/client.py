"""The browser side of the page "On your device": the files of the folder ``device`` and their Streamlit component."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from streamlit.components.v2.types import ComponentRenderer

FOLDER = Path(__file__).parents[2] / "device"
SERVED = ("src/*.js", "node_modules/@noble/hashes/*.js", "node_modules/onnxruntime-web/dist/ort*")
RUNTIME = "node_modules/onnxruntime-web/package.json"
ADDRESS = "client"

# Streamlit loads a component's script from another place than the files that it imports.
START = """
export default async function (component) {
  const { mount } = await import(new URL(component.data.client, document.baseURI).href);
  return mount(component);
}
"""


class Client(StaticFiles):
    """Serves the browser side. Browsers revalidate each file, so that a new version is used at once."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    def lookup_path(self, path: str) -> Any:
        return super().lookup_path(path) if any(fnmatch(path, served) for served in SERVED) else ("", None)

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response


def runtime() -> str | None:
    """The ONNX Runtime for browsers, such as ``onnxruntime-web 1.30.0``; None if it was not fetched completely."""
    if not all(any(FOLDER.glob(served)) for served in SERVED):
        return None
    try:
        package = json.loads((FOLDER / RUNTIME).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return f"{package['name']} {package['version']}"


@st.cache_resource
def component() -> ComponentRenderer:
    style = (FOLDER / "src" / "style.css").read_text()
    return st.components.v2.component("on_your_device", css=style, js=START)
