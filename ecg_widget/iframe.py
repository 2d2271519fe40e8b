"""The live view inside a page or a notebook without a kernel: an exported page in an ``iframe``."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from ecg_widget.export import page
from ecg_widget.still import static_picture

if TYPE_CHECKING:
    from ecg_widget.widget import ECGWidget

__all__ = ["HEIGHT", "Frame", "to_iframe"]

HEIGHT = 1200  # px: all of the view at 640 to 1200 px of width, where it needs 1100 to 1198


class Frame:
    """An exported page that a notebook shows as the output of a cell; made by `to_iframe`.

    Parameters
    ----------
    text
        The page.
    height
        px.
    picture
        SVG for readers of notebooks that show no HTML, as on paper; ``""`` for none.

    Attributes
    ----------
    nbytes : int
        By which the notebook grows.
    """

    def __init__(self, text: str, height: int, picture: str = "") -> None:
        # Without allow-same-origin: the page cannot reach the notebook around it, nor the notebook's cookies.
        self._html = (
            '<iframe title="ECG with segments as a network sees them" sandbox="allow-scripts allow-downloads" '
            f'style="width:100%;height:{height}px;border:0" loading="lazy" srcdoc="{html.escape(text)}"></iframe>'
        )
        self._picture = picture

    @property
    def nbytes(self) -> int:
        """Bytes of HTML and picture."""
        return len(self._html.encode()) + len(self._picture.encode())

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, str]:
        bundle = {"text/html": self._html, "text/plain": repr(self)}
        return {**bundle, "image/svg+xml": self._picture} if self._picture else bundle

    def __repr__(self) -> str:
        return f"<interactive figure, {self.nbytes / 1e6:.2f} MB>"


def to_iframe(widget: ECGWidget, *, height: int = HEIGHT, max_bytes: int | None = None, **options: Any) -> Frame:
    """Freeze a view into an output that stays interactive without a kernel and without a network.

    For saved notebooks, nbconvert, MyST and Quarto, wherever HTML with an ``iframe`` is shown. It is asked for and not
    the rule because the notebook grows by as much as the page has.

    Parameters
    ----------
    widget
        The view.
    height
        px of the frame.
    max_bytes
        More is refused.
    **options
        Of `ecg_widget.export.to_html`: records, layers, n_clusters, names, title.

    Returns
    -------
    Frame
        Display it as the last line of a cell.

    Raises
    ------
    ValueError
        More than `max_bytes`; a height that is none; options out of range.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> w = ecg.explore(ecg.load_network(), ecg.load_example(), n_clusters=4)
    >>> frame = to_iframe(w, layers=["blocks.3"], n_clusters=[4, 6])
    >>> sorted(frame._repr_mimebundle_()), frame.nbytes < 700_000
    (['image/svg+xml', 'text/html', 'text/plain'], True)
    >>> w.close()
    """
    if not isinstance(height, int) or height < 1:
        raise ValueError(f"height: expected a whole number of px > 0, got {height!r}")
    made = Frame(page(widget, **options)[0], height, static_picture(widget))
    if max_bytes is not None and made.nbytes > max_bytes:
        raise ValueError(
            f"max_bytes: expected at most {max_bytes} bytes, got {made.nbytes}; leave out records, choices "
            "of layers or numbers of clusters: to_iframe(layers=[...], n_clusters=[...])"
        )
    return made
