"""The frame around the pages: navigation and the one model picker that they share."""

from __future__ import annotations

import logging

import streamlit as st

from deploy_core.errors import DeployError
from pages import _parts, _picker

st.set_page_config(page_title="DeiT Deploy", page_icon=":material/deployed_code:", layout="wide")

page = st.navigation(
    [
        st.Page("classify.py", title="Classify", icon=":material/image_search:", default=True),
        st.Page("build.py", title="Build", icon=":material/deployed_code:"),
        st.Page("profile.py", title="Profile", icon=":material/speed:"),
    ]
)
try:
    _picker.draw()
    page.run()
except DeployError as error:
    _parts.show(error)
except Exception:
    logging.getLogger("deit_deploy").exception("The page %s failed", page.title)
    st.error("Something went wrong on this page. Reload it; if it happens again, the server's log has the details.")
