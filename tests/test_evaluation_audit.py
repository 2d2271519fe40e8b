"""Label audit: a label that was swapped comes out on top."""

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import roc_auc_score
from test_evaluation_uncertainty import of_records, segmentation

import ecg_widget as ecg
from ecg_widget.evaluation import audit, surrogate_predictions

N = 60
SWAPPED = 17


@pytest.fixture
def planted():
    """Two kinds of records, whose shares of clusters tell their label, and one label that is wrong."""
    rng = np.random.default_rng(0)
    truth = np.arange(N) % 2 == 0
    seg = segmentation(rng.random(N) / 2)
    first = np.where(truth, 0.8, 0.2) + 0.05 * rng.normal(size=N)
    seg["proportion"] = (("record", "cluster"), np.stack([first, 1 - first], 1))
    prob = np.where(truth, 0.9, 0.1) + 0.05 * rng.normal(size=N)
    label = truth.copy()
    label[SWAPPED] ^= True
    return seg, of_records(np.stack([prob, 1 - prob], 1).clip(0, 1)), of_records(np.stack([label, ~label], 1))


def test_a_swapped_label_is_found_at_the_top(planted):
    seg, prob, label = planted
    table = audit(seg, prob, label)
    first = table.isel(record=0)
    assert str(first["record"].values) == f"r{SWAPPED}"
    assert float(first["worst"]) > 0.6
    assert table["worst"].values[1] < 0.3
    assert (int(first["against_prediction"]), int(first["against_surrogate"]), int(first["witnesses_differ"])) == (
        2, 2, 0,
    )  # fmt: skip
    np.testing.assert_array_equal(table["rank"], 1 + np.arange(N))
    assert (np.diff(table["worst"]) <= 0).all()
    assert sorted(table["record"].values) == sorted(seg["record"].values)
    both = np.minimum(abs(table["prediction"] - table["label"]), abs(table["surrogate"] - table["label"]))
    np.testing.assert_allclose(table["suspicion"], both)
    at = int(table["suspicion"].values[0].argmax())
    assert str(first["suspect"].values) == ("A", "B")[at]


def test_one_witness_alone_makes_no_suspect(planted):
    seg, prob, label = planted
    agrees = of_records(label.values.astype(float))
    table = audit(seg, prob, label, agrees)
    assert float(table["worst"].max()) == 0
    by = audit(seg, prob, label, agrees, by="disagreement")
    assert str(by["record"].values[0]) == f"r{SWAPPED}"
    assert int(by["against_prediction"][0]) == 2


def test_ranks_by_entropy(planted):
    seg, prob, label = planted
    table = audit(seg, prob, label, prob, by="entropy")
    expected = seg["record"].values[np.argsort(-seg["entropy"].mean("cell").values)]
    assert table["record"].values.tolist() == expected.tolist()
    assert table.attrs["by"] == "entropy"


def test_the_surrogate_has_not_seen_the_record_nor_its_patient(planted):
    """Labels drawn by lot, one a patient: a forest that saw another record of the patient would know them."""
    seg, _, _ = planted
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(N // 2), 2)
    share = rng.random(N // 2)[patient]
    seg["proportion"] = (("record", "cluster"), np.stack([share, 1 - share], 1))
    label = of_records((rng.random(N // 2) < 0.5)[patient][:, None], ["A"])
    groups = xr.DataArray(patient, {"record": seg["record"].values}, ("record",))
    apart = surrogate_predictions(seg, label, groups=groups)
    leaks = surrogate_predictions(seg, label)
    assert roc_auc_score(label.values, apart.values) < 0.7
    assert roc_auc_score(label.values, leaks.values) > roc_auc_score(label.values, apart.values) + 0.1
    assert "by patient" in apart.attrs["method"]


def test_records_without_cells_and_targets_without_labels(planted):
    seg, prob, label = planted
    seg["proportion"][4] = np.nan
    label[:, 1] = False
    said = surrogate_predictions(seg, label)
    assert np.isnan(said[4]).all()
    assert (said.sel(target="B").dropna("record") == 0).all()
    assert float(audit(seg, prob, label).sel(record="r4")["worst"]) == 0


def test_errors(planted):
    seg, prob, label = planted
    with pytest.raises(ValueError, match="by: expected one of"):
        audit(seg, prob, label, by="alphabet")
    with pytest.raises(KeyError):
        audit(seg, prob[:5], label, prob)
    with pytest.raises(ValueError, match="at least two patients"):
        surrogate_predictions(seg.isel(record=[0]), label)


@pytest.mark.real_data
def test_swapped_labels_of_real_records_rise(shared_data):
    """NORM and MI of ten records are exchanged: most of them are among the first twenty of 81."""
    net = ecg.load_network()
    ds = ecg.open_ecg(shared_data / "ptbxl", folds=[9])
    seg = ecg.TimeClusters(random_state=0).fit_predict(ecg.activations(net, ds))
    label = ds["label"].copy(deep=True)
    clear = np.flatnonzero(label.sel(target="NORM").values & (label.sum("target") == 1).values)[:10]
    label.loc[{"target": "NORM"}][clear] = False
    label.loc[{"target": "MI"}][clear] = True
    first = audit(seg, ecg.predict(net, ds), label, groups=ds["patient"])["record"].values[:20]
    assert len(set(first) & set(ds["record"].values[clear])) >= 6
