"""On your device: the visitor's own browser downloads a file of the model, runs it and times it."""

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
from pages.device import client, reports
from pages.parts import notices, progress
from pages.parts.text import escaped
from pages.pictures import sources
from pages.pictures.sources import Picture
from pages.state import links, picker, services

WHAT = """
The server's profile is that of a PC. Here **your own device** runs the model in the browser, with nothing to install:
the browser downloads files that Build offers, and runs ONNX with
[ONNX Runtime Web](https://onnxruntime.ai/docs/tutorials/web/) and LiteRT with
[LiteRT.js](https://ai.google.dev/edge/litert/web). Which of the two is faster depends on the browser and the processor.

- **WebAssembly** runs on the processor, with SIMD instructions, and on several threads where the page is
  *cross-origin isolated*. **WebGPU** runs ONNX on the graphics chip, if the browser offers it.
- Each file is timed on every backend that works: at least 15 rounds after a warm-up, up to 100 or six seconds. A
  browser slows down tabs in the background, so rounds timed there are dropped.
- The device prepares the picture exactly as the server does, and both answer the same input: the page shows how far
  apart their logits are.
- **Nothing is sent** unless you press save. Then the page sends what you see, and your browser's name.

A browser is not an app. In an app, the same file runs faster, mostly because the runtime can use more int8
instructions than WebAssembly has: take the milliseconds here as an upper bound, and the order of the files as a hint.
"""

AT_HOME = """
Browsers allow the camera, the graphics chip, several threads and storage only on **https** pages and on the computer
itself (`localhost`). To open this app on a phone in your network over https:

- **A tunnel**: `cloudflared tunnel --url http://localhost:8501`, or `tailscale serve 8501` with Tailscale on both,
  prints an https address that the phone can open. The tunnel's operator can read the traffic.
- **A certificate of your own**: [mkcert](https://github.com/FiloSottile/mkcert) makes one that the phone trusts once
  its root is installed there. `mkcert -install`, `mkcert 192.168.1.20`, then
  `streamlit run streamlit_app.py --server.sslCertFile 192.168.1.20.pem --server.sslKeyFile 192.168.1.20-key.pem`.
- **A hosted copy**: `docs/hosting.md`.

Over plain http the page works too, with WebAssembly on one thread and a file picker.
"""

NOT_FETCHED = "**This server cannot time your device yet:** the browser's runtimes are not on it. All other pages work."
HOW_TO_FETCH = "The app fetches the runtimes when it starts, where npm is installed: install npm, and start it again."


def on_your_device() -> None:
    chosen = picker.choice()
    runtime = client.runtime()
    if runtime is None:
        st.warning(NOT_FETCHED, icon=":material/deployed_code_alert:")
        notices.for_host("For whoever runs this server", [HOW_TO_FETCH])
        return
    offered = [key for key in IN_BROWSERS if key in capacity.offered_formats(settings.load())]
    if not offered:
        st.info("This server offers no files that browsers run.", icon=":material/block:")
        return
    if chosen.spec.is_embedded and chosen.weights == "pretrained":
        services.store().adopt(embedded.ARTIFACTS)
    stored = services.store().find(request(chosen, offered))
    built = {key: stored[key] for key in offered if key in stored}
    if built:
        picture = sources.last()
        st.caption(f"The picture: {escaped(picture.name)}. Choose another on Classify.")
        measure(chosen, picture, built, runtime)
    missing = [key for key in offered if key not in built]
    buildable = [key for key in missing if FORMATS[key].probe() is None]
    if buildable:
        build(request(chosen, [*built, *buildable]), chosen.spec.title, buildable)
    reasons = {FORMATS[key].family.title: reason for key in missing if (reason := FORMATS[key].probe())}
    if reasons:
        notices.for_host(
            f"{' and '.join(reasons)} files cannot be built on this server",
            (f"**{family}:** {escaped(reason)}" for family, reason in reasons.items()),
        )


def request(chosen: picker.Choice, formats: Sequence[str]) -> BuildRequest:
    return BuildRequest(chosen.spec.reference, chosen.weights, tuple(formats))


def build(everything: BuildRequest, title: str, missing: Sequence[str]) -> None:
    """Offers to build the files that a browser can run and that do not exist yet."""
    task = Build(everything)
    if progress.is_unfinished(progress.follow(task)):
        return
    is_first = len(missing) == len(everything.formats)
    families = " and ".join(dict.fromkeys(FORMATS[key].family.title for key in missing))
    label = f"Build {families} files" if is_first else f"Build more {families} files, to time them as well"
    if is_first:
        st.info(f"{escaped(title)} has no file yet that a browser runs.", icon=":material/smartphone:")
    if st.button(label, icon=":material/build:", key="build", type="primary" if is_first else "secondary"):
        progress.submit(task)
        st.rerun()


def measure(chosen: picker.Choice, picture: Picture, built: dict[str, Stored], runtime: str) -> None:
    reply = client.component()(
        key="device",
        data={
            "client": f"{client.ADDRESS}/src/main.js",
            "model": chosen.spec.name,
            "title": chosen.spec.title,
            "weights": chosen.weights,
            "runtime": runtime,
            "labels": next(iter(built.values())).expected().labels,
            "preprocessing": documents.plain(chosen.spec.preprocessing),
            "files": [file(stored) for stored in built.values()],
            "picture": {"name": picture.name, "digest": picture.digest},
            # Large data is sent once, when the device asks for it, and the device keeps it.
            "given": st.session_state.pop("device_given", {}),
        },
        on_picture_change=lambda: None,
        on_compare_change=lambda: None,
        on_save_change=lambda: None,
    )
    if reply.picture == picture.digest:
        give({picture.digest: {"base64": base64.b64encode(picture.data).decode()}})
    if reply.compare in built:
        compare(chosen, picture, built[reply.compare])
    if reply.save:
        save(str(reply.save), built)


def give(given: dict[str, Any]) -> None:
    """Sends what the device asked for, keyed by the hash of the picture, or by those of picture and file."""
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
        "int8": FORMATS[artifact.format].is_int8,
        "half": FORMATS[artifact.format].weight_bytes == 2,
        "backends": FORMATS[artifact.format].client_backends,
    }


def compare(chosen: picker.Choice, picture: Picture, stored: Stored) -> None:
    """Sends the device the answer of the server's own runtime."""
    try:
        with notices.in_line() as tell:
            answer: Any = documents.plain(
                services.inference().device_question(chosen.model, stored.key, picture.data, tell)
            )
    except DeployError as error:
        answer = {"problem": f"The server did not answer, so nothing was compared with it. {error}"}
    give({f"{picture.digest}:{stored.artifact.sha256}": answer})


def save(text: str, built: dict[str, Stored]) -> None:
    reports.keep(text.encode(), built)
    st.toast("Saved.", icon=":material/check:")


def saved_reports(chosen: picker.Choice) -> None:
    saved = reports.of(chosen.spec.name)
    if not saved:
        if st.query_params.get(reports.ADDRESS):
            st.caption("The report of this link is of another model, or no longer here.")
        return
    st.subheader("This server and your device")
    reports.draw_with_server(reports.server_run(chosen), saved)
    reports.draw(saved[0])


def phone() -> None:
    """Explains how to open this page on a phone."""
    with st.expander("Open this page on your phone", icon=":material/qr_code_2:"):
        links.draw_qr_code(f"device?model={load.find(st.session_state['model']).name}")
    with st.expander("https at home", icon=":material/lock:"):
        st.markdown(AT_HOME)


st.title("How fast is it on your device?")
st.markdown(
    "The device in your hand downloads a file of the model, runs it in the browser and times it. There is nothing to "
    "install, and nothing is sent unless you press save."
)
with notices.errors_shown():
    on_your_device()
with notices.errors_shown():
    saved_reports(picker.choice())
phone()
notices.explain(WHAT)
