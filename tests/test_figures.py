"""Figures draw on the axes they are given, and what they draw is what was measured."""

import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import ecg_widget as ecg
from ecg_widget import evaluation, figures

CLUSTERS = ecg.TimeClusters(4, n_init=1, random_state=0)


@pytest.fixture(scope="module")
def measured():
    """Each measure on a few simulated records."""
    net, ds = ecg.load_network(), ecg.simulate(8, seed=3)
    acts = ecg.activations(net, ds)
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    prob = ecg.predict(net, ds)
    rng = np.random.default_rng(0)
    label = (prob >= 0.5) ^ (rng.random(prob.shape) < 0.3)
    few = ds.isel(record=slice(2))
    return {
        "faithfulness": evaluation.faithfulness(net, ds, acts, seg, methods=["contribution", "ig"], n_steps=3, n_random=2),
        "stability": evaluation.stability(net, few, CLUSTERS, n_clusters=[3, 4], n_seeds=3, n_bootstrap=2, snr_db=[20]),
        "sanity": evaluation.sanity(net, few, CLUSTERS, n_seeds=2),
        "uncertainty": evaluation.uncertainty(seg, prob, label, n_bootstrap=5),
        "audit": evaluation.audit(seg, prob, label, 1 - prob),
        "alignment": evaluation.alignment(seg, ds, n_shifts=3, n_bootstrap=3),
        "fidelity": xr.Dataset(
            {"kappa_mean": ("surrogate", [1.0, 0.8, 0.1]), "kappa_sd": ("surrogate", [0.0, 0.05, 0.02])},
            {"surrogate": ["network", "clusters", "majority"]},
        ),
    }  # fmt: skip


def draw(name, result, **options):
    ax = Figure().add_subplot()
    assert getattr(figures, f"plot_{name}")(result, ax=ax, **options) is ax
    assert ax.get_title()
    assert ax.get_xlabel()
    ax.figure.canvas.draw()
    return ax


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


@pytest.mark.parametrize(
    "name", ["faithfulness", "stability", "sanity", "uncertainty", "audit", "alignment", "fidelity"]
)
def test_a_figure_of_its_own_when_no_axes_are_given(measured, name):
    ax = getattr(figures, f"plot_{name}")(measured[name])
    assert isinstance(ax.figure, Figure)


def test_faithfulness(measured):
    result = measured["faithfulness"]
    drawn = lines(draw("faithfulness", result))
    assert len(drawn) == 5  # two orders, most and least important first, and chance
    for name in ("contribution", "ig"):
        line = drawn[f"{name}, most important first"]
        np.testing.assert_allclose(line.get_xdata(), [0, *result["share"].values])
        np.testing.assert_allclose(line.get_ydata(), [0, *result["morf"].sel(explanation=name).mean("record").values])
        least = drawn[f"{name}, least important first"]
        np.testing.assert_allclose(least.get_ydata()[1:], result["lerf"].sel(explanation=name).mean("record"))
    chance = result["random"].sel(explanation="contribution").mean("record")
    np.testing.assert_allclose(drawn["random runs of equal lengths"].get_ydata()[1:], chance)


def test_stability(measured):
    result = measured["stability"]
    drawn = lines(draw("stability", result))
    np.testing.assert_allclose(drawn["other seed"].get_ydata(), result["median_seed"])
    np.testing.assert_allclose(drawn["other records"].get_ydata(), result["median_bootstrap"])
    np.testing.assert_allclose(drawn["noise, 20 dB"].get_ydata(), result["ari_noise"].sel(snr=20))
    np.testing.assert_allclose(drawn["other seed"].get_xdata(), [3, 4])
    one = draw("stability", result.isel(n_clusters=[0]))
    assert len(lines(one)) == len(drawn)


def test_sanity(measured):
    result = measured["sanity"]
    ax = draw("sanity", result)
    drawn = lines(ax)
    for label, name in (("clusters", "ari"), ("contributions", "contribution_rank"), ("outputs", "output_rank")):
        line = next(v for k, v in drawn.items() if k.startswith(label) and "seed" not in k)
        np.testing.assert_allclose(line.get_ydata(), result[name].mean("seed"))
    np.testing.assert_allclose(drawn["alignment with waves (AMI)"].get_ydata(), result["ami"].mean("seed"))
    assert [t.get_text() for t in ax.get_xticklabels()] == result["stage"].values.tolist()
    low, high = ax.get_ylim()
    assert low <= float(result[["contribution_rank", "output_rank"]].to_array().min())
    assert high >= 1
    assert "alignment with waves (AMI)" not in lines(draw("sanity", result.drop_vars(["ami", "ami_signal"])))


def test_uncertainty(measured):
    result = measured["uncertainty"]
    drawn = lines(draw("uncertainty", result))
    for measure in result["measure"].values:
        label = next(k for k in drawn if k.startswith(measure.replace("_", ", ") + " ("))
        assert f"{float(result['auroc'].sel(measure=measure)):.2f}" in label
        np.testing.assert_allclose(drawn[label].get_ydata(), result["selective_risk"].sel(measure=measure))
        np.testing.assert_allclose(drawn[label].get_xdata(), result["coverage"])
    assert drawn["random order"].get_ydata()[0] == float(result["risk"])


def test_audit(measured):
    result = measured["audit"]
    ax = draw("audit", result, n_records=5)
    texts = [t.get_text() for t in ax.get_yticklabels()]
    first = result.isel(record=slice(5))
    assert texts == [f"{r}, {s}" for r, s in zip(first["record"].values, first["suspect"].values, strict=True)]
    points = {c.get_label(): c.get_offsets() for c in ax.collections if not c.get_label().startswith("_")}
    for name in ("label", "prediction", "surrogate"):
        expected = [float(first[name].isel(record=i).sel(target=s)) for i, s in enumerate(first["suspect"].values)]
        np.testing.assert_allclose(points[name][:, 0], expected)
        np.testing.assert_allclose(points[name][:, 1], range(5))
    assert ax.yaxis_inverted()


def test_alignment(measured):
    result = measured["alignment"]
    ax = draw("alignment", result)
    image = next(i for i in ax.images if isinstance(i, AxesImage))
    np.testing.assert_allclose(image.get_array(), result["probability"].sel(source="network"))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["none", "P", "QRS", "T"]
    assert f"{float(result['ami'].sel(source='network')):.2f}" in ax.get_title()
    other = next(iter(draw("alignment", result, source="signal").images))
    np.testing.assert_allclose(other.get_array(), result["probability"].sel(source="signal"))


def test_fidelity(measured):
    ax = draw("fidelity", measured["fidelity"])
    assert [bar.get_width() for bar in ax.patches] == [0.8, 0.1]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["clusters", "majority"]


def test_without_matplotlib(measured, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"ecg-widget\[evaluation\]"):
        figures.plot_fidelity(measured["fidelity"])
