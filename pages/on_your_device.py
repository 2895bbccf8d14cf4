"""On your device: the visitor's own browser downloads a file of the model, runs it, times it, and tells."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import streamlit as st

from deploy_core import documents, embedded, settings
from deploy_core.build import Build
from deploy_core.errors import DeployError
from deploy_core.formats import FORMATS
from deploy_core.inference import capacity
from deploy_core.models import load
from deploy_core.profile.device.report import IN_BROWSERS
from deploy_core.storage.entry import Stored
from deploy_core.types import BuildRequest
from pages.device import client
from pages.device.reports import ADDRESS, draw, of, server_run, take, together
from pages.parts import notices, progress
from pages.parts.text import plain
from pages.pictures import sources
from pages.pictures.sources import Picture
from pages.state import links, picker, services

WHAT = """
The profile of the server is a profile of a PC. Here **your own device** runs the model, in the browser and with
nothing to install: the browser downloads an ONNX file, the one that Build offers, and runs it with
[ONNX Runtime Web](https://onnxruntime.ai/docs/tutorials/web/).

- **WebAssembly** runs on the processor, with SIMD instructions, and on several threads where the page is
  *cross-origin isolated*. **WebGPU** runs on the graphics chip, where the browser gives it.
- Each file is timed on every backend that works: at least 15 rounds after a warm-up, up to 100 or six seconds. A
  browser slows down tabs in the background, so what was timed there is thrown away.
- The picture is prepared on the device exactly as on the server, and both answer the same input: the page says how far
  their logits lie apart.
- **Nothing is sent** unless you press save. What you save is what you see, and your browser's name.

A browser is not an app. The same file in an app with ONNX Runtime is faster, mostly because it has more instructions
for int8 than WebAssembly: take the milliseconds from here as an upper bound, and the order of the files as a hint.
"""

AT_HOME = """
Browsers give the camera, the graphics chip, several threads and a place to keep files to **https** pages only, and to
the computer itself (`localhost`). To open this app on a phone in your network over https:

- **A tunnel**: `cloudflared tunnel --url http://localhost:8501`, or `tailscale serve 8501` with Tailscale on both,
  prints an https address that the phone can open. The tunnel's operator sees what passes.
- **A certificate of your own**: [mkcert](https://github.com/FiloSottile/mkcert) makes one that the phone trusts once
  its root is installed there. `mkcert -install`, `mkcert 192.168.1.20`, then
  `streamlit run streamlit_app.py --server.sslCertFile 192.168.1.20.pem --server.sslKeyFile 192.168.1.20-key.pem`.
- **A hosted copy**: `docs/hosting.md`.

Over plain http the page works too, with WebAssembly on one thread and a file picker.
"""

NOT_FETCHED = (
    "**The browser's runtime is not on this server.** `make run` fetches it where npm is installed: install npm, then "
    "run `make run` again. All other pages work without it."
)


def on_your_device() -> None:
    chosen = picker.choice()
    runtime = client.runtime()
    if runtime is None:
        st.warning(NOT_FETCHED, icon=":material/deployed_code_alert:")
        return
    offered = [key for key in IN_BROWSERS if key in capacity.offered_formats(settings.load())]
    if not offered:
        st.info("This server does not offer ONNX files, and browsers run nothing else.", icon=":material/block:")
        return
    if chosen.spec.is_embedded and chosen.weights == "pretrained":
        services.store().adopt(embedded.ARTIFACTS)
    stored = services.store().find(request(chosen, offered))
    found = {key: stored[key] for key in offered if key in stored}
    if found:
        picture = sources.at_hand()
        st.caption(f"The picture: {plain(picture.name)}. Choose another on Classify.")
        measure(chosen, picture, found, runtime)
    missing = [key for key in offered if key not in found]
    if missing:
        build(request(chosen, offered), chosen.spec.title, missing)


def request(chosen: picker.Choice, formats: Sequence[str]) -> BuildRequest:
    return BuildRequest(chosen.spec.reference, chosen.weights, tuple(formats))


def build(everything: BuildRequest, title: str, missing: Sequence[str]) -> None:
    """Offers to build what a browser can run and is not there yet."""
    task = Build(everything)
    if progress.is_unfinished(progress.follow(task)):
        return
    is_first = len(missing) == len(everything.formats)
    names = " and ".join(FORMATS[key].title for key in missing)
    label = f"Build {names}" if is_first else f"Build {names}, to time that as well"
    if is_first:
        st.info(f"A browser runs ONNX files, and {plain(title)} has none yet.", icon=":material/smartphone:")
    if st.button(label, icon=":material/build:", key="build", type="primary" if is_first else "secondary"):
        progress.submit(task)
        st.rerun()


def measure(chosen: picker.Choice, picture: Picture, found: dict[str, Stored], runtime: str) -> None:
    told = client.component()(
        key="device",
        data={
            "client": f"{client.ADDRESS}/src/main.js",
            "model": chosen.spec.name,
            "title": chosen.spec.title,
            "weights": chosen.weights,
            "runtime": runtime,
            "labels": next(iter(found.values())).expected().labels,
            "preprocessing": documents.plain(chosen.spec.preprocessing),
            "files": [file(stored) for stored in found.values()],
            "picture": {"name": picture.name, "digest": picture.digest},
            # Large, so it travels once, when the device asks for it, and the device keeps it.
            "given": st.session_state.pop("device_given", {}),
        },
        on_picture_change=lambda: None,
        on_compare_change=lambda: None,
        on_save_change=lambda: None,
    )
    if told.picture == picture.digest:
        give({picture.digest: {"base64": base64.b64encode(picture.data).decode()}})
    if told.compare in found:
        compare(chosen, picture, found[told.compare])
    if told.save:
        save(str(told.save), found)


def give(given: dict[str, Any]) -> None:
    """What the device asked for, by the hash of the picture, or of picture and file."""
    st.session_state["device_given"] = given
    st.rerun()


def file(stored: Stored) -> dict[str, Any]:
    artifact = stored.artifact
    return {
        "key": artifact.format,
        "title": FORMATS[artifact.format].title,
        "file": artifact.file,
        "url": links.artifact(stored),
        "bytes": artifact.bytes,
        "sha256": artifact.sha256,
    }


def compare(chosen: picker.Choice, picture: Picture, stored: Stored) -> None:
    """Tells the device what the server's own ONNX Runtime answers."""
    try:
        with notices.in_line() as tell:
            answer: Any = documents.plain(
                services.inference().device_question(chosen.model, stored.key, picture.data, tell)
            )
    except DeployError as error:
        answer = {"problem": f"The server did not answer, so nothing was compared with it. {error}"}
    give({f"{picture.digest}:{stored.artifact.sha256}": answer})


def save(text: str, found: dict[str, Stored]) -> None:
    take(text.encode(), found)
    st.toast("Saved.", icon=":material/check:")


def saved(chosen: picker.Choice) -> None:
    reports = of(chosen.spec.name)
    if not reports:
        if st.query_params.get(ADDRESS):
            st.caption("The report of this link is of another model, or no longer here.")
        return
    st.subheader("This server and your device")
    together(server_run(chosen), reports)
    draw(reports[0])


def phone() -> None:
    """How a phone gets here."""
    with st.expander("Open this page on your phone", icon=":material/qr_code_2:"):
        links.draw_qr_code(f"device?model={load.find(st.session_state['model']).name}")
    with st.expander("https at home", icon=":material/lock:"):
        st.markdown(AT_HOME)


st.title("How fast is it on your device?")
st.markdown(
    "The device in your hand downloads a file of the model, runs it in the browser and times it. Nothing to install, "
    "and nothing is sent unless you press save."
)
with notices.errors_shown():
    on_your_device()
with notices.errors_shown():
    saved(picker.choice())
phone()
notices.explain(WHAT)
