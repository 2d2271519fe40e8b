"""Bokeh companions of the view: hover says the numbers, and what is selected in one figure is selected in its siblings.

Each function gives a Bokeh layout: ``bokeh.plotting.show`` puts it into a notebook, and
``bokeh.embed.file_html(layout, bokeh.resources.INLINE)`` makes a page that needs no network. The data behind each is a
tidy table of `ecg_widget.figures.tables`.
"""

from ecg_widget.figures.interactive.choice import cluster_choice
from ecg_widget.figures.interactive.heat_maps import alignment_map, association_map
from ecg_widget.figures.interactive.maps import embedding_map
from ecg_widget.figures.interactive.uncertainty import entropy_by_class, risk_coverage

__all__ = [
    "alignment_map",
    "association_map",
    "cluster_choice",
    "embedding_map",
    "entropy_by_class",
    "risk_coverage",
]
