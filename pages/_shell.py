"""The frame around the pages: navigation, and the model picker that all pages share."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from deploy_core import settings
from deploy_core.errors import DeployError
from deploy_core.storage import home
from pages.parts import notices
from pages.state import picker, session

# Streamlit puts this folder on the import path, so a page must not have the name of a module that others import.
PAGES = Path(__file__).parent
# A file, because browsers would load one of Streamlit's icons from another site.
st.set_page_config(page_title="DeiT Deploy", page_icon=PAGES / "icon.svg", layout="wide")
st.logo(PAGES / "logo.svg", size="large")

page = st.navigation(
    [
        st.Page("classify_picture.py", title="Classify", icon=":material/image_search:", default=True),
        st.Page("build_files.py", title="Build", icon=":material/deployed_code:", url_path="build"),
        st.Page("evaluate_files.py", title="Evaluate", icon=":material/fact_check:", url_path="evaluate"),
        st.Page("profile_files.py", title="Profile", icon=":material/speed:", url_path="profile"),
        st.Page("on_your_device.py", title="On your device", icon=":material/smartphone:", url_path="device"),
    ]
)
try:
    session.note_session()
    home.require(settings.load())
    if picker.draw():
        page.run()
except DeployError as error:
    notices.show(error)
except Exception:
    logging.getLogger("deit_deploy").exception("The page %s failed", page.title)
    st.error("Something went wrong on this page. Reload it; if it happens again, the server's log has the details.")
