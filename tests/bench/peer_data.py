"""What the peers' notebooks share: the first record of the scene, coloured polylines, three sliders. Plain NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 1100, 760  # px of the picture
STRIDE, RATE = 16, 500  # samples a cell; Hz
GAP_MV = 1.6  # from lead to lead
UNCERTAIN = 0.1  # share of cells that is grey at first, as ecg_widget has it
GREY = "#c8c8c8"
COLOURS = [
    "#8040ff",
    "#ff3010",
    "#9fcfdf",
    "#801000",
    "#bf8f8f",
    "#006060",
    "#009fbf",
    "#bfcf30",
    "#607050",
    "#5000cf",
    "#af3010",
    "#70508f",
    "#8f8f50",
    "#8f80ff",
    "#208080",
    "#bf9fff",
    "#504030",
    "#ff9f80",
    "#ef50af",
    "#701070",
]
PENS = [GREY, *COLOURS]  # the first is for uncertain cells


class Scene:
    """One record and its segments for the K, threshold and re-fit that are chosen."""

    def __init__(self, path: str | Path = "scene.npz") -> None:
        stored = np.load(path)
        self.embedding = stored["embedding"]
        self.all_labels, self.all_entropy = stored["labels"], stored["entropy"]
        signal = stored["signal"].astype(np.float32)
        self.leads = stored["leads"].tolist()
        self.offset = -GAP_MV * np.arange(len(signal), dtype=np.float32)
        self.rows = signal + self.offset[:, None]
        self.time = np.arange(signal.shape[1], dtype=np.float32) / RATE
        cells = self.all_labels.shape[1]
        self.cell = np.minimum(np.rint(np.arange(signal.shape[1]) / STRIDE).astype(int), cells - 1)
        self.stored(10)
        self.threshold = round(float(np.ceil(np.quantile(self.entropy, 1 - UNCERTAIN) * 100)) / 100, 2)

    def stored(self, k: int) -> None:
        self.labels, self.entropy = self.all_labels[k - 2], self.all_entropy[k - 2]

    def refit(self, k: int) -> None:
        from sklearn.cluster import KMeans

        found = KMeans(n_clusters=k, n_init=1, random_state=0).fit(self.embedding)
        self.labels, self.entropy = found.labels_[: len(self.labels)], self.all_entropy[k - 2]

    def pens(self) -> np.ndarray:
        """Index into `PENS` for each cell."""
        return np.where(self.entropy > self.threshold, 0, self.labels + 1)

    def lines(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each pen, x and y of all its runs in all leads, NaN between; each run reaches the next one's first sample."""
        pen = self.pens()[self.cell]
        cuts = np.flatnonzero(np.diff(pen)) + 1
        starts, ends = np.r_[0, cuts], np.r_[cuts + 1, len(pen)]
        empty = np.zeros(0, np.float32)
        out = []
        for wanted in range(len(PENS)):
            runs = [(a, b) for a, b in zip(starts, ends, strict=True) if pen[a] == wanted]
            if not runs:
                out.append((empty, empty))
                continue
            x = np.concatenate([np.append(self.time[a:b], np.float32("nan")) for a, b in runs])
            rows = np.pad(self.rows, ((0, 0), (0, 1)), constant_values=np.nan)
            index = np.concatenate([np.append(np.arange(a, b), -1) for a, b in runs])
            out.append((np.tile(x, len(rows)), rows[:, index].ravel()))
        return out

    def limits(self) -> tuple[float, float, float, float]:
        return 0.0, float(self.time[-1]), float(self.offset[-1]) - 2, 2.5


def sliders(scene: Scene, redraw) -> list:
    """Threshold, K of stored labels, K that is fitted again; each calls `redraw`."""
    import ipywidgets

    wide = ipywidgets.Layout(width="420px")
    threshold = ipywidgets.FloatSlider(scene.threshold, min=0, max=1, step=0.01, description="threshold", layout=wide)
    k = ipywidgets.IntSlider(10, min=2, max=20, description="K", layout=wide)
    refit = ipywidgets.IntSlider(10, min=2, max=20, description="K, fitted", layout=wide)

    def on(change) -> None:
        if change.owner is threshold:
            scene.threshold = change.new
        elif change.owner is k:
            scene.stored(change.new)
        else:
            scene.refit(change.new)
        redraw()

    for slider in (threshold, k, refit):
        slider.observe(on, "value")
    return [threshold, k, refit]
