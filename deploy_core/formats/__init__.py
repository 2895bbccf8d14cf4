"""The formats that can be built, as one table: pages, command line, README and tests read it.

A family of formats is a room or a file here. Code outside asks the rows of ``FORMATS`` and never compares their keys.
"""

from deploy_core.formats.format import NOT_RUN, Format, FormatFamily, Workbench
from deploy_core.formats.operators import Run
from deploy_core.formats.table import FORMATS, ORIGINAL, by_filename, in_build_order

__all__ = [
    "FORMATS",
    "NOT_RUN",
    "ORIGINAL",
    "Format",
    "FormatFamily",
    "Run",
    "Workbench",
    "by_filename",
    "in_build_order",
]
