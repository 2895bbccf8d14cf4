"""Profile: which file to ship, and why another one is slower."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import streamlit as st

from deploy_core import capacity, documents, settings
from deploy_core.formats import FORMATS
from deploy_core.processes import Task
from deploy_core.profile import compare, report, tables, verdicts
from deploy_core.profile.record import Record, Row
from deploy_core.profile.verdicts import TARGETS, Limits
from deploy_core.types import BuildRequest
from pages import _links, _parts, _picker, _profile_charts, _reports

BUDGETS = {"10 seconds": 10.0, "30 seconds": 30.0, "2 minutes": 120.0}
USUAL_BUDGET = "30 seconds"
LARGEST_RECORD_MB = 5
# What the original is compared with at first.
USUAL_OTHER = FORMATS["quantized"].title

WHAT = """
The tutorial's last step: how long does one inference take with each file, and what else does it cost?

- **In turn.** All files answer one picture in each round, in a new order, after a warm-up, in a process of their own,
  with garbage collection off. Whatever else this machine does hits all of them alike, so the *ratios* hold although
  the milliseconds of another day will differ.
- **Until it is known.** Rounds go on until the 95 % interval of every ratio to the original is narrow enough, or the
  time is spent; the page says which. Intervals are bootstrapped over whole rounds.
- **Alone.** Loading, the first answer, memory, batches and operators are measured in a fresh process for each file,
  with nothing else in it. Files were read before, so loading does not wait for the disk.
- *Self CPU* is the figure that the tutorial prints, from PyTorch's profiler.

Int8 pays twice: a quarter of the bytes to read from memory, and integer instructions that do more work each. **A PC is
not a phone**: take the order of the formats from here with care, and the milliseconds from the phone itself.
"""


def profile() -> None:
    chosen, store = _picker.choice(), _parts.store()
    request = wanted(chosen)
    built = store.find(request)
    measured = dataclasses.replace(request, formats=tuple(built)) if len(built) > 1 else request
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    with controls:
        seconds = BUDGETS[budget()]
    is_running = _parts.is_unfinished(_parts.follow(asked(measured, seconds)))
    was_measured = bool(measured_here(chosen, request))
    label = f"Profile {len(built)} files on this server" if len(built) > 1 else "Build and profile on this server"
    if controls.button(
        f"{label} again" if was_measured else label,
        type="secondary" if was_measured else "primary",
        icon=":material/speed:",
        key="profile",
        disabled=is_running,
    ):
        st.query_params.pop("run", None)
        task = Task("profile", {"build": documents.plain(measured), "seconds": seconds})
        st.session_state["profiling"] = task
        _parts.jobs().submit(task)
        st.rerun()
    missing = [FORMATS[key].title for key in request.formats if key not in built]
    if len(built) > 1 and missing:
        st.caption(f"Not built yet, so not measured: {', '.join(missing)}.")
    runs, linked = known_runs(chosen, request), linked_run()
    if linked and linked.model != chosen.spec.name:
        st.caption(f"This link opens a run of {_parts.plain(linked.model)}.")
    elif linked and linked not in runs:
        runs = (linked, *runs)
    run = choose_run(runs, linked)
    if run:
        show(run)
    elif not is_running:
        st.info(f"{chosen.spec.title} has not been measured here yet.", icon=":material/speed:")
    with st.expander("Compare two runs, or bring one from another machine", icon=":material/compare_arrows:"):
        elsewhere(runs, chosen)


def asked(measured: BuildRequest, seconds: float) -> Task:
    """What this visitor asked for last of this model, whatever was built or chosen since; else what they could ask."""
    task: Task | None = st.session_state.get("profiling")
    if task and all(task.request["build"][name] == getattr(measured, name) for name in ("model", "weights")):
        return task
    return Task("profile", {"build": documents.plain(measured), "seconds": seconds})


def budget() -> str:
    return str(
        st.segmented_control(
            "Longest time to measure",
            BUDGETS,
            default=USUAL_BUDGET,
            required=True,
            key="budget",
            help="For the rounds; they end earlier where every ratio is known to ±2 %. Looking at each file alone "
            "comes before that, and a quarter as many rounds on one thread after it.",
        )
    )


def wanted(chosen: _picker.Choice) -> BuildRequest:
    """Every format, with the options that were chosen on the Build page."""
    everything = BuildRequest(chosen.spec.reference, chosen.weights, capacity.offered_formats(settings.load()))
    options = {name: st.session_state[name] for name in ("engine", "optimize") if name in st.session_state}
    return dataclasses.replace(everything, **options)


def known_runs(chosen: _picker.Choice, request: BuildRequest) -> tuple[Record, ...]:
    """The runs of the chosen model: measured here, the newest first; brought by this visitor; the one that ships."""
    kept = _parts.runs()
    brought = [kept.get(key) for key in st.session_state.get("brought", ()) if kept.has(key)]
    shipped = [_parts.shipped_run()] if chosen.spec.is_embedded and chosen.weights == "pretrained" else []
    others = [run for run in (*brought, *shipped) if run.model == chosen.spec.name]
    measured = measured_here(chosen, request)
    return tuple({run.key: run for run in (*measured, *others)}.values())


def measured_here(chosen: _picker.Choice, request: BuildRequest) -> tuple[Record, ...]:
    return _parts.runs().of(chosen.spec.name, request.weights, request.optimize, chosen.spec.owner)


def linked_run() -> Record | None:
    """The run that the address names."""
    key = st.query_params.get("run")
    if not key:
        return None
    return _parts.shipped_run() if key == _parts.shipped_run().key else _parts.runs().get(key)


def choose_run(runs: tuple[Record, ...], linked: Record | None) -> Record | None:
    """The run that the address names, else one of those that are known, the first at first."""
    if linked and linked not in runs:
        return linked
    if len(runs) < 2:
        return next(iter(runs), None)
    key = f"shown_run_{linked.key if linked else ''}"
    first = runs.index(linked) if linked else 0
    return st.selectbox("Run", runs, first, name_of, key=key, on_change=open_run, args=(key,), filter_mode=None)


def open_run(widget: str) -> None:
    st.query_params["run"] = st.session_state[widget].key


def name_of(run: Record) -> str:
    return f"{run.measured_at.replace('T', ' ')[:16]} · {run.host.cpu} · {run.threads} threads · {origin(run)}"


def origin(run: Record) -> str:
    if run.key == _parts.shipped_run().key:
        return "ships with the project"
    return "measured here" if _parts.runs().was_measured_here(run.key) else "brought from elsewhere"


def show(run: Record) -> None:
    recommendation(run)
    table(run)
    tabs = st.tabs(
        ["Latency", "Size and latency", "Inside", "Batches and threads", "Start and memory", "The tutorial's"]
    )
    for tab, draw in zip(
        tabs,
        (
            _profile_charts.latency,
            tradeoff,
            inside,
            _profile_charts.scaling,
            _profile_charts.costs,
            tutorial,
        ),
        strict=True,
    ):
        with tab:
            draw(run)
    host(run)
    exports(run)


def recommendation(run: Record) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("#### What to ship", width="stretch")
        with st.popover("Limits", icon=":material/tune:"):
            limits = choose_limits()
    for column, (key, target) in zip(st.columns(len(TARGETS)), TARGETS.items(), strict=True):
        found = verdicts.recommend(run, target, limits)
        with column.container(border=True, height="stretch", key=f"recommended_{key}"):
            st.caption(f"For {found.target}")
            st.markdown(f"#### {FORMATS[found.format].title if found.format else 'Nothing'}")
            st.caption(_parts.plain(found.reason))
    st.caption(verdicts.certainty(run))


def choose_limits() -> Limits:
    megabytes = st.number_input("Largest file, MB", 0.0, value=None, key="limit_mb", placeholder="none")
    milliseconds = st.number_input("Slowest answer here, ms", 0.0, value=None, key="limit_ms", placeholder="none")
    agreement = st.number_input(
        "Least agreement with the original, %", 0, 100, value=None, key="limit_agreement", placeholder="none"
    )
    return Limits(
        None if megabytes is None else int(megabytes * 1e6),
        milliseconds,
        None if agreement is None else agreement / 100,
    )


def table(run: Record) -> None:
    rows = pd.DataFrame([line(row) for row in run.rows])
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            "Median": st.column_config.NumberColumn(format="%.2f ms", help="Inference time: the median of the rounds"),
            "95 %": st.column_config.TextColumn(help="Interval of the median, ms"),
            "Of the original's": st.column_config.TextColumn(help="Ratio of the medians, with its 95 % interval"),
            "Reduction": st.column_config.NumberColumn(format="%.2f %%", help="Against the original"),
            "p95": st.column_config.NumberColumn(format="%.2f ms"),
            "Same answer": st.column_config.NumberColumn(
                format="%.0f %%", help="First answer as the original's, on the reference pictures"
            ),
            "Size": st.column_config.NumberColumn(format="%.2f MB"),
            "Engine": st.column_config.TextColumn(
                help="What computed it here: for int8 in TorchScript, the fastest quantized engine of this torch"
            ),
        },
    )
    for failed in run.unmeasured:
        st.warning(
            f"**{FORMATS[failed.format].title}** was not measured. {_parts.plain(failed.reason)}",
            icon=":material/error:",
        )


def line(row: Row) -> dict[str, object]:
    return {
        "Model": FORMATS[row.format].title,
        "Median": row.median_ms,
        "95 %": f"{row.median_interval_ms[0]:.2f} to {row.median_interval_ms[1]:.2f}",
        "Of the original's": f"{row.ratio:.2f} ({row.ratio_interval[0]:.2f} to {row.ratio_interval[1]:.2f})",
        "Reduction": row.reduction_percent,
        "p95": row.p95_ms,
        "Same answer": row.top1_agreement * 100,
        "Size": row.bytes / 1e6,
        "Engine": row.run_engine,
    }


def tradeoff(run: Record) -> None:
    reports = _reports.of(run.model)
    _profile_charts.tradeoff(run, reports)
    for found in reports:
        _reports.draw(found)
    if not reports:
        st.page_link("on_your_device.py", label="Add your own device to this picture", icon=":material/smartphone:")


def inside(run: Record) -> None:
    _profile_charts.operators(run)
    seen = [row for row in run.rows if row.operators]
    if len(seen) < 2:
        return
    st.markdown("**Two files side by side**")
    left, right = st.columns(2)
    by_title = {FORMATS[row.format].title: row for row in seen}
    usual = [*by_title].index(USUAL_OTHER) if USUAL_OTHER in by_title else 1
    first = by_title[str(left.selectbox("One", by_title, key="operators_of", filter_mode=None))]
    second = by_title[str(right.selectbox("The other", by_title, index=usual, key="operators_in", filter_mode=None))]
    if first is second:
        st.caption("These are the same file.")
        return
    found = verdicts.differences(first, second)
    told = f"{verdicts.between(first, second).text} {verdicts.main_difference(first, second) or ''}"
    st.markdown(_parts.plain(told))
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Operator": operator.name,
                    "Kind": operator.group,
                    "Difference": operator.difference_ms,
                    "Why": operator.reason or "",
                }
                for operator in found
            ]
        ),
        hide_index=True,
        column_config={
            "Difference": st.column_config.NumberColumn(
                format="%+.3f ms", help="Self time in the other, less that here"
            )
        },
    )


def tutorial(run: Record) -> None:
    rows = {row.format: row for row in run.rows}
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": told.model,
                    "Inference Time": rows[told.format].self_cpu_ms,
                    "Reduction": told_reduction(rows, told.format),
                    "Tutorial's time": told.milliseconds,
                    "Tutorial's reduction": told.reduction_percent,
                }
                for told in tables.TUTORIAL
                if told.format in rows
            ]
        ),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.2f ms") for name in ("Inference Time", "Tutorial's time")
        }
        | {name: st.column_config.NumberColumn(format="%.2f %%") for name in ("Reduction", "Tutorial's reduction")},
    )
    st.caption(
        "As the tutorial computes it: the profiler's self CPU time of one inference, and how much less it is than the "
        "original's. Its figures are of DeiT-Base on Google Colab. The table above says the same from medians of many "
        "rounds, without the profiler's own cost."
    )


def told_reduction(rows: dict[str, Row], key: str) -> float | None:
    return tables.tutorial_reduction(rows["original"], rows[key])


def host(run: Record) -> None:
    machine = run.host
    st.caption(
        f"{origin(run).capitalize()}: {_parts.plain(tables.host_line(run))}, {_parts.plain(run.weights)} weights, "
        f"{_parts.plain(run.optimize)} way to optimize. {machine.memory_bytes / 1e9:.0f} GB of memory, "
        f"{_parts.plain(machine.system)}. Other work took {verdicts.percent(run.others_load)} of the processors "
        "meanwhile. A PC is not a phone."
    )


def exports(run: Record) -> None:
    name = f"{run.model}_profile_{run.key[:6]}"
    document = json.dumps(documents.plain(run), indent=2)
    with st.container(horizontal=True):
        offer("CSV", tables.as_csv(run), f"{name}.csv")
        offer("JSON", document, f"{name}.json")
        offer("Markdown", tables.as_markdown(run), f"{name}.md")
        if _parts.runs().traces(run.key):
            st.link_button(
                "Traces",
                _links.traces(run.key),
                icon=":material/download:",
                help="When each operator ran, in each file: open one at ui.perfetto.dev or chrome://tracing",
            )
        if run.key == _parts.shipped_run().key or _parts.runs().has(run.key):
            st.link_button("Link to this run", f"?run={run.key}", icon=":material/link:")


def offer(label: str, text: str, name: str) -> None:
    st.download_button(label, text, name, icon=":material/download:", on_click="ignore")


@st.cache_data(max_entries=20, show_spinner=False)
def compared(first_key: str, second_key: str, _first: Record, _second: Record) -> compare.Comparison:  # noqa: ARG001
    return compare.compare(_first, _second)


def take_in(data: bytes) -> None:
    if report.is_report(data):
        _reports.take(data)
        st.toast("The device's report is under Size and latency.", icon=":material/smartphone:")
        return
    key = _parts.runs().take_in(data)
    st.session_state["brought"] = tuple(dict.fromkeys((*st.session_state.get("brought", ()), key)))
    st.query_params["run"] = key


def elsewhere(runs: tuple[Record, ...], chosen: _picker.Choice) -> None:
    st.markdown(
        "On another machine, a Raspberry Pi for one: `python -m deploy_core profile DIR --json > run.json`. "
        "Give that file here, or one that the page On your device wrote."
    )
    given = st.file_uploader(
        "A run as JSON", type="json", max_upload_size=LARGEST_RECORD_MB, key="run_file", label_visibility="collapsed"
    )
    if given and st.session_state.get("run_taken") != given.file_id:
        take_in(given.getvalue())
        st.session_state["run_taken"] = given.file_id
        st.rerun()
    if len(runs) < 2:
        st.caption(f"Two runs of {chosen.spec.title} can be compared here once there are two.")
        return
    left, right = st.columns(2)
    first = left.selectbox("First run", runs, index=1, format_func=name_of, key="first_run", filter_mode=None)
    second = right.selectbox("Second run", runs, index=0, format_func=name_of, key="second_run", filter_mode=None)
    found = compared(first.key, second.key, first, second)
    st.markdown(_parts.plain(found.text))
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": FORMATS[change.format].title,
                    "First": change.first.median_ms,
                    "Second": change.second.median_ms,
                    "Second / first": f"{change.ratio:.2f} ({change.interval[0]:.2f} to {change.interval[1]:.2f})",
                    "Against its original": change.relative_ratio,
                    "So it is": change.text,
                }
                for change in found.changes
            ]
        ),
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.2f ms") for name in ("First", "Second")}
        | {
            "Against its original": st.column_config.NumberColumn(
                format="%.2f x",
                help="The same of the ratios to each run's own original: leaves the machine's speed out",
            )
        },
    )
    st.caption(
        f"Two runs were not measured in turn, so a difference below {verdicts.percent(compare.DRIFT)} may be the "
        "machine's own, and counts as none."
    )


st.title("Which file to ship?")
st.markdown("Every file of the model, measured side by side: what it costs, what it saves, and where its time goes.")
with _parts.errors_shown():
    profile()
_parts.explain(WHAT)
