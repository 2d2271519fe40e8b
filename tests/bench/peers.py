"""The same record and segments in the widgets that a user would take instead, each as fast as its library lets Python make it.

Every peer is a setup cell and the cell that shows it. `redraw` runs after each move, in the kernel, as these libraries
have it; only what changed is handed over wherever the library has a way to say so. None of them decimates, none runs
JavaScript of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

HANDLE = ".noUi-handle"  # of an ipywidgets slider, in the order of display: threshold, stored K, fitted K


@dataclass(frozen=True)
class Peer:
    """A widget to measure: its two cells, and the CSS of what is looked at.

    ``index`` picks one of several matches: a library may draw on layers, only one of which holds the traces.
    """

    title: str
    packages: tuple[str, ...]
    setup: str
    show: str
    picture: str
    index: int | None = None


START = """import ipywidgets as widgets
import numpy as np
from IPython.display import display
import peer_data as P
scene = P.Scene("scene.npz")
x0, x1, y0, y1 = scene.limits()
"""

# One line for each colour: Matplotlib simplifies those, which it does not for a collection of short ones.
MATPLOTLIB = """import matplotlib.pyplot as plt
plt.ioff()
figure, axes = plt.subplots(figsize=(P.WIDTH / 100, P.HEIGHT / 100), dpi=100)
axes.set(xlim=(x0, x1), ylim=(y0, y1), yticks=scene.offset, yticklabels=scene.leads)
lines = [axes.plot(x, y, color=pen, lw=0.8)[0] for (x, y), pen in zip(scene.lines(), P.PENS)]
def renew():
    for line, (x, y) in zip(lines, scene.lines()):
        line.set_data(x, y)
"""

INLINE = Peer(
    "ipywidgets + Matplotlib inline",
    ("ipywidgets", "matplotlib", "matplotlib-inline"),
    START + "%matplotlib inline\n",
    MATPLOTLIB
    + """plt.close(figure)  # shown below, not once more at the end of the cell
%config InlineBackend.print_figure_kwargs = {"bbox_inches": None}
out = widgets.Output()
def redraw():
    renew()
    with out:
        out.clear_output(wait=True)
        display(figure)
display(widgets.HBox(P.sliders(scene, redraw)), out)
redraw()
""",
    ".jp-OutputArea-output img",
)

# Axes and labels stay: they are kept as a background, only the lines are drawn again.
IPYMPL = Peer(
    "ipympl",
    ("ipympl", "matplotlib"),
    START + "%matplotlib widget\n",
    MATPLOTLIB
    + """canvas = figure.canvas
canvas.header_visible = canvas.footer_visible = canvas.toolbar_visible = False
for line in lines:
    line.set_animated(True)
background = []
def drawn(event):
    background[:] = [canvas.copy_from_bbox(figure.bbox)]
    for line in lines:
        axes.draw_artist(line)
canvas.mpl_connect("draw_event", drawn)
def redraw():
    renew()
    canvas.restore_region(background[0])
    for line in lines:
        axes.draw_artist(line)
    canvas.blit(figure.bbox)
display(widgets.VBox([widgets.HBox(P.sliders(scene, redraw)), canvas]))
""",
    ".jupyter-matplotlib-canvas-div canvas",
    0,
)

BOKEH = """from bokeh.io import output_notebook, push_notebook, show
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from bokeh.resources import INLINE
output_notebook(INLINE, hide_banner=True)
"""
# A line for each cell and lead that never changes, and a column of colours, of which only changed ones travel.
BOKEH_FIGURE = """plot = figure(width=P.WIDTH, height=P.HEIGHT, x_range=(x0, x1), y_range=(y0, y1), tools="", output_backend="canvas")
cells = [np.flatnonzero(scene.cell == c) for c in range(scene.cell[-1] + 1)]
cells = [np.append(c, c[-1] + 1)[: len(scene.time) - c[0]] for c in cells]
colours = np.array(P.PENS)
old = scene.pens()
source = ColumnDataSource(dict(
    xs=[scene.time[c] for row in scene.rows for c in cells], ys=[row[c] for row in scene.rows for c in cells],
    colour=list(np.tile(colours[old], len(scene.rows))),
))
plot.multi_line("xs", "ys", line_color="colour", line_width=0.8, source=source)
def renew():
    global old
    new = scene.pens()
    n = len(new)
    changed = np.flatnonzero(new != old)
    if len(changed):
        source.patch({"colour": [(int(lead * n + c), colours[new[c]]) for lead in range(len(scene.rows)) for c in changed]})
    old = new
"""

JUPYTER_BOKEH = Peer(
    "Bokeh, jupyter_bokeh",
    ("bokeh", "jupyter_bokeh"),
    START + BOKEH + "from jupyter_bokeh.widgets import BokehModel\n",
    BOKEH_FIGURE
    + """model = BokehModel(plot)
display(widgets.VBox([widgets.HBox(P.sliders(scene, renew)), model]))
""",
    "canvas.bk-layer",
    0,
)

PUSH_NOTEBOOK = Peer(
    "Bokeh, push_notebook",
    ("bokeh",),
    START + BOKEH,
    BOKEH_FIGURE
    + """def redraw():
    renew()
    push_notebook(handle=handle)
display(widgets.HBox(P.sliders(scene, redraw)))
handle = show(plot, notebook_handle=True)
""",
    "canvas.bk-layer",
    0,
)


def plotly(title: str, trace: str, picture: str, index: int | None) -> Peer:
    return Peer(
        title,
        ("plotly", "anywidget"),
        START + "import plotly.graph_objects as go\n",
        f"""old = scene.lines()
figure = go.FigureWidget([
    go.{trace}(x=x, y=y, mode="lines", line=dict(color=pen, width=1), hoverinfo="skip", connectgaps=False)
    for (x, y), pen in zip(old, P.PENS)
])
figure.update_layout(
    width=P.WIDTH, height=P.HEIGHT, showlegend=False, xaxis_range=[x0, x1], yaxis_range=[y0, y1],
    margin=dict(l=40, r=10, t=10, b=30), template="plotly_white",
)
def redraw():
    global old
    new = scene.lines()
    with figure.batch_update():
        for line, before, (x, y) in zip(figure.data, old, new):
            if not (np.array_equal(before[0], x, equal_nan=True) and np.array_equal(before[1], y, equal_nan=True)):
                line.x, line.y = x, y
    old = new
display(widgets.VBox([widgets.HBox(P.sliders(scene, redraw)), figure]))
""",
        picture,
        index,
    )


BQPLOT = Peer(
    "bqplot",
    ("bqplot",),
    START + "import bqplot\n",
    """x_scale, y_scale = bqplot.LinearScale(min=x0, max=x1), bqplot.LinearScale(min=y0, max=y1)
old = scene.lines()
marks = [
    bqplot.Lines(x=x, y=y, scales=dict(x=x_scale, y=y_scale), colors=[pen], stroke_width=0.8)
    for (x, y), pen in zip(old, P.PENS)
]
plot = bqplot.Figure(
    marks=marks, axes=[bqplot.Axis(scale=x_scale), bqplot.Axis(scale=y_scale, orientation="vertical")], animation_duration=0,
    layout=widgets.Layout(width=f"{P.WIDTH}px", height=f"{P.HEIGHT}px"), fig_margin=dict(top=10, bottom=30, left=40, right=10),
)
def redraw():
    global old
    new = scene.lines()
    for mark, before, (x, y) in zip(marks, old, new):
        if not (np.array_equal(before[0], x, equal_nan=True) and np.array_equal(before[1], y, equal_nan=True)):
            with mark.hold_sync():
                mark.x, mark.y = x, y
    old = new
display(widgets.VBox([widgets.HBox(P.sliders(scene, redraw)), plot]))
""",
    ".bqplot svg.svg-figure",
)

PEERS = {
    "inline": INLINE,
    "ipympl": IPYMPL,
    "bokeh": JUPYTER_BOKEH,
    "push_notebook": PUSH_NOTEBOOK,
    "plotly": plotly("Plotly FigureWidget, SVG", "Scatter", ".js-plotly-plot svg.main-svg", 0),
    "plotly_gl": plotly("Plotly FigureWidget, WebGL", "Scattergl", ".js-plotly-plot canvas.gl-canvas-context", None),
    "bqplot": BQPLOT,
}
