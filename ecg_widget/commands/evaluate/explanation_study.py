"""What ``ecg-widget evaluate explanations`` measures, step by step."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_widget.commands.evaluate.settings import digest

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from ecg_widget.activations import Activations
    from ecg_widget.clusters import TimeClusters
    from ecg_widget.evaluation.fidelity import Arrays
    from ecg_widget.evaluation.journal import Journal
    from ecg_widget.networks import ECGNetwork

__all__ = ["Study"]

_PART = 32  # records in one step: integrated gradients of them take about half a minute
_SWEPT = 4  # numbers of clusters in one step
_CURVES = ("morf", "lerf", "random", "insertion", "insertion_random")
_OF_CELLS = ("cluster", "entropy", "margin", "probability")


class Study:
    """What the measures share, each read or computed when it is first needed."""

    def __init__(self, options: argparse.Namespace, net: ECGNetwork, folder: Path) -> None:
        from ecg_widget.formats import ludb, ptbxl  # noqa: PLC0415

        self.options, self.net, self.folder = options, net, folder
        self.rate = 100 if net.spec.sampling_rate <= 100 else 500  # the files that hold what the network reads
        found = [
            sum(ptbxl.count(folder, sampling_rate=self.rate, folds=folds, missing=options.missing).values())
            for folds in (options.folds, options.fit_folds)
        ]
        self.n_records = found[0]
        self.every = -(-found[1] // options.fit_records)
        self.n_fit = -(-found[1] // self.every)
        self.ludb = None if options.ludb is None else ludb.locate(options.ludb)
        if options.ludb is not None and self.ludb is None:
            raise ValueError(f"--ludb: expected LUDB's folder with RECORDS and ludb.csv, got {options.ludb}")
        preset = options.presets[0]
        self.layers = preset.split("+") if "+" in preset else preset

    @property
    def settings(self) -> dict[str, Any]:
        """All that the numbers depend on."""
        from ecg_widget import __version__  # noqa: PLC0415

        options, template = self.options, self.template()
        marks = None if self.ludb is None else digest(self.ludb / "RECORDS", *sorted((self.ludb / "data").glob("*")))
        return {
            "data": digest(self.folder / "ptbxl_database.csv", self.folder / "scp_statements.csv"),
            "ludb": marks,
            "folds": options.folds,
            "fit_folds": options.fit_folds,
            "records": self.n_records,
            "fit_records": self.n_fit,
            "network": self.net.fingerprint,
            "network_name": self.net.name,
            "layers": options.presets[0],
            "clusters": template.n_clusters,
            "normalization": options.normalization,
            "n_init": template.n_init,
            "methods": options.methods.split(","),
            "steps": options.steps,
            "placements": options.placements,
            "seeds": options.seeds,
            "stability_clusters": options.stability_clusters,
            "weight_seeds": options.weight_seeds,
            "seed": options.seed,
            "version": __version__,
        }

    def measure(self, journal: Journal) -> dict[str, xr.Dataset]:
        """Everything, step by step."""
        parts = [
            journal.keep(f"records {first}", partial(self._part, first)) for first in range(0, self.n_records, _PART)
        ]
        labels = ("uncertainty", "audit")
        stated = {name: _kept(journal, name, partial(getattr(self, f"_{name}"), parts)) for name in labels}
        return {
            "faithfulness": self._faithfulness(parts),
            **self._stability(journal),
            **self._sanity(journal),
            **stated,
        }

    def template(self) -> TimeClusters:
        """An estimator that is not fitted."""
        from ecg_widget.clusters import TimeClusters  # noqa: PLC0415

        chosen = (self.options.clusters or [TimeClusters().n_clusters])[0]
        return TimeClusters(chosen, normalization=self.options.normalization, random_state=self.options.seed)

    def read(self, folds: list[int], part: slice) -> xr.Dataset:
        """Records of some folds."""
        from ecg_widget.formats import ptbxl  # noqa: PLC0415

        return ptbxl.read(self.folder, sampling_rate=self.rate, folds=folds, missing=self.options.missing, part=part)

    def activations(self, ds: xr.Dataset) -> Activations:
        """Of the layers that were named."""
        from ecg_widget.activations import activations  # noqa: PLC0415

        return activations(self.net, ds, self.layers)

    @cached_property
    def fit_records(self) -> xr.Dataset:
        """Those that are clustered."""
        return self.read(self.options.fit_folds, slice(None, None, self.every))

    @cached_property
    def tested(self) -> xr.Dataset:
        """Those of the folds that are explained, as many as are clustered at most."""
        every = -(-self.n_records // self.options.fit_records)
        return self.read(self.options.folds, slice(None, None, every))

    @cached_property
    def fitted(self) -> tuple[TimeClusters, xr.DataArray, np.ndarray]:
        """Clusters, the cluster shares of their records, and the mean activation of the deepest layer."""
        from ecg_widget.clusters.embedding import channel_statistics  # noqa: PLC0415

        acts = self.activations(self.fit_records)
        clusters = self.template().fit(acts)
        return clusters, clusters.predict(acts)["proportion"], channel_statistics(list(acts.values())[-1])[0]

    def _part(self, first: int) -> Arrays:
        """Deletion curves and clusters of a few records."""
        from ecg_widget.evaluation.faithfulness import faithfulness  # noqa: PLC0415
        from ecg_widget.networks import predict  # noqa: PLC0415

        ds = self.read(self.options.folds, slice(first, first + _PART))
        clusters, _, mean = self.fitted
        acts = self.activations(ds)
        seg = clusters.predict(acts)
        curves = faithfulness(
            self.net,
            ds,
            acts,
            seg,
            methods=self.options.methods.split(","),
            n_steps=self.options.steps,
            n_random=self.options.placements,
            baseline=mean,
            random_state=self.options.seed + first,
        )
        return {
            **{name: curves[name].values for name in (*_CURVES, "explanation", "share", "watched")},
            **{name: seg[name].values for name in (*_OF_CELLS, "valid", "proportion", "centre")},
            "record": ds["record"].values.astype(str),
            "label": ds["label"].values,
            "target": ds["target"].values.astype(str),
            "prediction": predict(self.net, ds).sel(target=ds["target"].values).values,
        }

    def _faithfulness(self, parts: list[Arrays]) -> xr.Dataset:
        import xarray as xr  # noqa: PLC0415

        from ecg_widget.evaluation.faithfulness import compare_orders  # noqa: PLC0415

        dims = ("explanation", "record", "step")
        coords = {"explanation": parts[0]["explanation"], "share": ("step", parts[0]["share"])}
        each = [
            xr.Dataset(
                {name: (dims, part[name]) for name in _CURVES},
                {**coords, "record": part["record"], "watched": ("record", part["watched"])},
            )
            for part in parts
        ]
        return compare_orders(xr.concat(each, "record"))

    def _labelled(self, parts: list[Arrays]) -> tuple[xr.Dataset, xr.DataArray, xr.DataArray]:
        """Segmentation, predictions and labels of all records that have a superclass."""
        import numpy as np  # noqa: PLC0415
        import xarray as xr  # noqa: PLC0415

        whole = {name: np.concatenate([part[name] for part in parts]) for name in
                 (*_OF_CELLS, "valid", "proportion", "record", "label", "prediction")}  # fmt: skip
        seg = xr.Dataset(
            {
                **{name: (("record", "cell"), whole[name]) for name in (*_OF_CELLS, "valid")},
                "proportion": (("record", "cluster"), whole["proportion"]),
            },
            {"record": whole["record"], "centre": ("cell", parts[0]["centre"])},
        )
        coords = {"record": whole["record"], "target": parts[0]["target"]}
        label, said = (xr.DataArray(whole[n], coords, ("record", "target")) for n in ("label", "prediction"))
        known = whole["label"].any(1)
        if not known.any():
            raise ValueError(f"--folds: expected records with a superclass, got none in {self.options.folds}")
        return seg.isel(record=known), said[known], label[known]

    def _uncertainty(self, parts: list[Arrays]) -> xr.Dataset:
        from ecg_widget.evaluation.uncertainty import uncertainty  # noqa: PLC0415

        return uncertainty(*self._labelled(parts), random_state=self.options.seed)

    def _audit(self, parts: list[Arrays]) -> xr.Dataset:
        """With a surrogate that learned from the shares and labels of the clustered records."""
        import xarray as xr  # noqa: PLC0415

        from ecg_widget.evaluation.audit import audit  # noqa: PLC0415
        from ecg_widget.evaluation.surrogates import forest_predictions  # noqa: PLC0415

        seg, said, label = self._labelled(parts)
        train, y = self.fitted[1].values, self.fit_records["label"].values
        taught = y.any(1)
        other = forest_predictions(
            train[taught], y[taught], seg["proportion"].values,
            random_state=self.options.seed, n_jobs=self.options.threads,
        )  # fmt: skip
        surrogate = xr.DataArray(
            other,
            label.coords,
            label.dims,
            attrs={"method": f"random forest on cluster shares of {taught.sum()} records"},
        )
        return audit(seg, said, label, surrogate)

    def _stability(self, journal: Journal) -> dict[str, xr.Dataset]:
        import xarray as xr  # noqa: PLC0415

        def measure(numbers: list[int], **options: Any) -> xr.Dataset:
            from ecg_widget.evaluation.stability import stability  # noqa: PLC0415

            return stability(
                self.net, self.fit_records, self.template(), layers=self.layers, n_clusters=numbers,
                n_seeds=self.options.seeds, held_out=self.tested, random_state=self.options.seed, **options,
            )  # fmt: skip

        chosen = self.template().n_clusters
        whole = _kept(journal, f"stability K={chosen}", partial(measure, [chosen], n_bootstrap=self.options.seeds))
        others = [k for k in self.options.stability_clusters if k != chosen]
        each = [whole]
        for first in range(0, len(others), _SWEPT):
            numbers = others[first : first + _SWEPT]
            step = f"stability K={','.join(map(str, numbers))}"
            seeds = _kept(journal, step, partial(measure, numbers, n_bootstrap=0, shifts=[], snr_db=[]))
            each.append(seeds[["ari_seed", "median_seed", "inertia"]])
        joined = xr.concat(each, "n_clusters", combine_attrs="override", data_vars="all").sortby("n_clusters")
        return {"stability": joined}

    def _sanity(self, journal: Journal) -> dict[str, xr.Dataset]:
        import xarray as xr  # noqa: PLC0415

        def measure(seed: int, read: Callable[[], xr.Dataset]) -> xr.Dataset:
            from ecg_widget.evaluation.sanity import sanity  # noqa: PLC0415

            return sanity(self.net, read(), self.template(), layers=self.layers, n_seeds=1, random_state=seed)

        def waves() -> xr.Dataset:
            from ecg_widget.formats import ludb  # noqa: PLC0415

            assert self.ludb is not None
            return ludb.read(self.ludb, missing=self.options.missing)

        sources = {"sanity": lambda: self.fit_records}
        if self.ludb is not None:
            sources["sanity_waves"] = waves
        out = {}
        for name, read in sources.items():
            each = [
                _kept(journal, f"{name} {seed}", partial(measure, seed, read))
                for seed in range(self.options.seed, self.options.seed + self.options.weight_seeds)
            ]
            out[name] = xr.concat(each, "seed", data_vars="minimal", combine_attrs="override")
        return out


def _kept(journal: Journal, step: str, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
    import numpy as np  # noqa: PLC0415

    from ecg_widget.evaluation.documents import from_document, to_document  # noqa: PLC0415

    arrays = journal.keep(step, lambda: {"json": np.array(json.dumps(to_document(compute())))})
    return from_document(json.loads(str(arrays["json"])))
