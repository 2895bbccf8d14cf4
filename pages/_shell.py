"""The frame around the pages: the stepper with the model picker, and the next step."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from deploy_core import settings
from deploy_core.errors import DeployError
from deploy_core.storage import home
from pages.parts import notices
from pages.state import address, picker, session
from pages.way import stepper
from pages.way.steps import STEPS

# Streamlit puts this folder on the import path, so a page must not have the name of a module that others import.
PAGES = Path(__file__).parent
# A file, because browsers would load one of Streamlit's icons from another site.
st.set_page_config(page_title="DeiT Deploy", page_icon=PAGES / "icon.svg", layout="wide")
st.logo(PAGES / "logo.svg", size="large")
st.html(PAGES / "style.css")

page = st.navigation(
    [st.Page(step.file, title=step.title, url_path=step.address or None, default=not step.address) for step in STEPS],
    position="hidden",
)
step = next(step for step in STEPS if step.title == page.title)
try:
    notices.begin()
    address.look()
    session.note_session()
    home.require(settings.load())
    if picker.settle():
        stepper.draw(step)
        picker.finish()
        page.run()
        stepper.draw_next(step)
except DeployError as error:
    notices.show(error)
except Exception:
    logging.getLogger("deit_deploy").exception("The page %s failed", page.title)
    st.error("Something went wrong on this page. Reload it; if it happens again, the server's log has the details.")
