"""The tutorial's steps, under its own names: its code, and the code that makes the same file here."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from deploy_core.formats import FORMATS


@dataclass(frozen=True)
class TutorialStep:
    """A section of the tutorial, with its heading, its code, and the code of this project that does the same."""

    name: str
    format: str
    theirs: str
    ours: str
    difference: str


STEPS = (
    TutorialStep(
        "Scripting DeiT",
        "scripted",
        "scripted_model = torch.jit.script(model)\nscripted_model.save('fbdeit_scripted.pt')",
        "torch.jit.script(bench.model.module)",
        "The same.",
    ),
    TutorialStep(
        "Quantizing DeiT",
        "quantized",
        "quantized_model = torch.quantization.quantize_dynamic(\n"
        "    model, qconfig_spec={torch.nn.Linear}, dtype=torch.qint8)\n"
        "scripted_quantized_model = torch.jit.script(quantized_model)\n"
        "scripted_quantized_model.save('fbdeit_scripted_quantized.pt')",
        "smoothing.smooth(smoothed)\n"
        "quantized = quantize_dynamic(\n"
        "    smoothed, {torch.nn.Linear: per_channel_dynamic_qconfig}, mapping=_layers(bench.engine), inplace=True\n"
        ")\n"
        "torch.jit.script(quantized)",
        "Each output channel has its own scale, and large activations are balanced with the weights, so fewer answers "
        "change.",
    ),
    TutorialStep(
        "Optimizing DeiT",
        "optimized",
        "optimized_scripted_quantized_model = optimize_for_mobile(scripted_quantized_model)\n"
        "optimized_scripted_quantized_model.save('fbdeit_optimized_scripted_quantized.pt')",
        'blocked = {slow} if bench.optimize == "default" else set()\n'
        'optimize_for_mobile(bench.results["quantized"], blocked)',
        "One pass is left out, because it makes DeiT slower.",
    ),
    TutorialStep(
        "Using Lite Interpreter",
        "lite",
        "optimized_scripted_quantized_model._save_for_lite_interpreter(\n"
        "    'fbdeit_optimized_scripted_quantized_lite.ptl')\n"
        "ptl = torch.jit.load('fbdeit_optimized_scripted_quantized_lite.ptl')",
        "module._save_for_lite_interpreter",
        "The same file; here the lite interpreter itself reads it back.",
    ),
)


def draw() -> None:
    with st.expander("The tutorial's steps, with their code", icon=":material/school:"):
        for step in STEPS:
            st.markdown(f"**{step.name}** makes the file that is called *{FORMATS[step.format].title}* here.")
            theirs, ours = st.columns(2)
            with theirs:
                st.caption("The tutorial")
                st.code(step.theirs, language="python", wrap_lines=True)
            with ours:
                st.caption("This project")
                st.code(step.ours, language="python", wrap_lines=True)
            st.caption(f"{step.difference} `python -m deploy_core build --formats {step.format}`")
        st.markdown(
            "**Comparing Inference Speed** is the page **Profile**; its tab **Tutorial** has the tutorial's figures. "
            "Choose *As in the tutorial* above to build with the tutorial's exact settings."
        )
