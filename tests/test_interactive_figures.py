"""Bokeh companions: their numbers are those that were measured, siblings share a source, names are only text."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from bokeh.embed import file_html
from bokeh.models import ColumnDataSource, HoverTool, Whisker
from bokeh.resources import INLINE

import ecg_widget as ecg
from ecg_widget.evaluation import alignment, association
from ecg_widget.figures import interactive, tables
from ecg_widget.figures.interactive.look import plain, readable_on, signed_palette
from ecg_widget.palette import cluster_colours

HOSTILE = ["<script>alert(1)</script>", "a\u202eb$$x^2$$", "L" * 10_000, "<img src=x onerror=alert(1)>"]


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(4, seed=0)


@pytest.fixture(scope="module")
def embedding(ds):
    return ecg.embed(ecg.activations(ecg.load_network(), ds))


@pytest.fixture(scope="module")
def segmentation(embedding):
    return ecg.TimeClusters(6, random_state=0).fit_predict(embedding)


def renamed(data, names):
    return data.assign_coords(record=names)


def cells_of(fig) -> ColumnDataSource:
    return next(r.data_source for r in fig.renderers if "entropy" in r.data_source.data)


def test_cells_are_on_their_principal_components(segmentation, embedding):
    table = tables.cell_table(segmentation, embedding)
    x = embedding.values.reshape(-1, embedding.sizes["feature"]).astype(float)
    cluster = segmentation["cluster"].values.ravel()
    x = x[cluster >= 0]
    _, size, axes = np.linalg.svd(x - x.mean(0), full_matrices=False)
    for i in (0, 1):
        expected = (x - x.mean(0)) @ axes[i]
        got = table[f"component_{i + 1}"].to_numpy()
        np.testing.assert_allclose(got * np.sign(got @ expected), expected, atol=1e-3 * size[0])
    np.testing.assert_allclose(table.attrs["explained"], size[:2] ** 2 / (size**2).sum(), rtol=1e-4)
    assert table["cluster"].tolist() == cluster[cluster >= 0].tolist()
    assert len(table) == (cluster >= 0).sum()


def test_map_and_time_share_their_cells(segmentation, embedding, ds):
    names = segmentation["record"].values.tolist()
    chart, strip = interactive.embedding_map(segmentation, embedding, ds, record=names[2], threshold=0.4).children
    table = tables.cell_table(segmentation, embedding)
    source = cells_of(chart)
    assert source is next(r for r in strip.renderers if "left" in r.data_source.data).data_source
    np.testing.assert_array_equal(source.data["entropy"], table["entropy"])
    grey = np.array(source.data["colour"]) == "#9a9a9a"
    np.testing.assert_array_equal(grey, table["entropy"].to_numpy() > 0.4)
    assert set(np.array(source.data["marker"])[grey]) == {"x"}
    shown = np.array(strip.renderers[0].view.filter.booleans)
    np.testing.assert_array_equal(shown, table["record"].to_numpy() == names[2])
    line = strip.renderers[1].data_source.data
    np.testing.assert_array_equal(line["y"], ds["signal"].sel(record=names[2], lead="II"))


def test_of_many_cells_all_of_the_record_and_evenly_drawn_others_are_shown(segmentation, embedding):
    few = segmentation.sizes["cell"] + 100
    chart, strip = interactive.embedding_map(segmentation, embedding, max_cells=few).children
    total = int((segmentation["cluster"] >= 0).sum())
    shown = np.array(strip.renderers[0].view.filter.booleans)
    assert len(shown) == few
    assert shown.sum() == (segmentation["cluster"][0] >= 0).sum()
    assert re.sub(r"\s", "", chart.title.text) == f"{few}of{total}cells,evenlydrawn"
    again, _ = interactive.embedding_map(segmentation, embedding, max_cells=few).children
    np.testing.assert_array_equal(cells_of(chart).data["component_1"], cells_of(again).data["component_1"])


def test_letters_and_colours_are_those_of_the_view(segmentation, embedding):
    slots = [3, 2, 1, 0, 5, 27]
    seg = segmentation.assign(slot=("cluster", np.array(slots, np.uint8)))
    table = tables.cell_table(seg, embedding)
    names = dict(zip(table["cluster"], table["letter"], strict=True))
    assert [names[c] for c in range(6)] == ["D", "C", "B", "A", "F", "AB"]
    chart = interactive.embedding_map(seg, embedding, threshold=0.3).children[0]
    data = cells_of(chart).data
    assert list(data["letter"]) == table["letter"].tolist()
    sure = np.array(data["entropy"]) <= 0.3
    expected = np.array(cluster_colours(slots))[table["cluster"].to_numpy()]
    np.testing.assert_array_equal(np.array(data["colour"])[sure], expected[sure])
    assert set(np.array(data["hatch"])[~sure]) == {"right_diagonal_line"}


def test_choice_shows_every_measure_of_every_number():
    sweep = xr.Dataset({"inertia": ("n_clusters", [9.0, 4.0, 1.0])}, {"n_clusters": [2, 3, 5]})
    seeds = np.random.default_rng(0).random((2, 10))
    stability = xr.Dataset({"ari_seed": (("n_clusters", "pair"), seeds)}, {"n_clusters": [3, 5]})
    scores = {"kappa_mean": ("surrogate", [0.8]), "kappa_sd": ("surrogate", [0.1])}
    fidelity = {3: xr.Dataset(scores, {"surrogate": ["clusters"]})}
    table = tables.choice_table(sweep, stability, fidelity).set_index(["measure", "n_clusters"])
    assert table.loc[("inertia", 5), "value"] == 1
    assert table.loc[("stability, seeds", 3), "low"] == pytest.approx(np.quantile(seeds[0], 0.1))
    assert table.loc[("fidelity, kappa", 3)].tolist() == pytest.approx([0.8, 0.7, 0.9])
    figures = interactive.cluster_choice(sweep, stability, fidelity).children
    assert [f.title.text for f in figures] == ["Inertia", "Stability", "Fidelity on held-out folds"]
    dots = [f.renderers[-1] for f in figures]
    assert len({d.data_source.id for d in dots}) == 1  # a number tapped in one is marked in all
    np.testing.assert_allclose(dots[1].data_source.data["value_1"], [np.nan, *np.median(seeds, axis=1)])
    assert [len(list(f.select({"type": Whisker}))) for f in figures] == [0, 1, 1]
    with pytest.raises(ValueError, match="got none"):
        interactive.cluster_choice()


def test_lift_of_a_class_is_that_of_its_mean_shares(segmentation, ds):
    found = association(segmentation, label=ds["label"])
    share, member = segmentation["proportion"].values, ds["label"].values[:, 1] == 1
    expected = share[member].mean(0) / share.mean(0)
    np.testing.assert_allclose(found["lift"].sel(source="true").values[:, 1], expected, rtol=1e-6)
    ages = xr.DataArray(
        [[20.0], [30.0], [50.0], [51.5]], {"record": ds["record"], "target": ["age"]}, ("record", "target")
    )
    assert np.isnan(association(segmentation, label=ages)["lift"]).all()


def test_waves_under_shifted_clusters_are_what_chance_gives(segmentation, ds):
    found = alignment(segmentation, ds, n_shifts=99, n_bootstrap=2)
    network = found.sel(source="network")
    assert float(network["q_value"].min()) <= 0.05
    strongest = network["lift"].where(network["q_value"] < 0.05).max()
    assert float(strongest) > 1.5
    assert bool((network["q_value"] >= network["p_value"] - 1e-12).all())
    rng = np.random.default_rng(0)
    drawn = segmentation.copy(deep=True)
    drawn["cluster"] = (
        segmentation["cluster"].dims,
        rng.integers(0, 6, segmentation["cluster"].shape).astype(np.int16),
    )
    assert float(alignment(drawn, ds, n_shifts=99, n_bootstrap=2)["q_value"].sel(source="network").min()) > 0.05


@pytest.mark.parametrize("value", ["lift", "correlation"])
def test_heat_maps_say_the_numbers_and_mark_what_is_significant(segmentation, ds, value):
    found = association(segmentation, label=ds["label"])
    found["q_value"][0, 1, 0] = 0.01
    (fig,) = interactive.association_map(found, value=value).children
    data = fig.renderers[0].data_source.data
    shape = found[value].shape[1:]
    np.testing.assert_allclose(np.reshape(data[f"{value}_0"], shape), found[value].values[0])
    text = np.reshape(data["text_0"], shape)
    assert text[1, 0].endswith("*")
    assert text[0, 0] == ("" if np.isnan(found[value][0, 0, 0]) else f"{float(found[value][0, 0, 0]):.2f}")
    mapper = fig.renderers[0].glyph.fill_color["transform"]
    assert mapper.low == -mapper.high
    shade = np.reshape(data["shade_0"], shape)
    with np.errstate(divide="ignore"):
        expected = np.log2(found[value].values[0]) if value == "lift" else found[value].values[0]
    np.testing.assert_allclose(shade, np.clip(expected, mapper.low, mapper.high))


def test_signed_colours_are_white_in_the_middle_and_text_stays_readable():
    palette = signed_palette()
    assert (len(palette), palette[127]) == (255, "#ffffff")
    light = [sum(int(c[i : i + 2], 16) * w for i, w in ((1, 0.2126), (3, 0.7152), (5, 0.0722))) for c in palette]
    ink = readable_on(np.linspace(-1, 1, 255), 1.0)
    contrast = [abs(value - (255 if text == "#ffffff" else 0x22)) for value, text in zip(light, ink, strict=True)]
    assert min(contrast) > 70


def test_entropy_by_class_and_risk_are_what_was_measured(segmentation, ds):
    fig = interactive.entropy_by_class(segmentation, ds["label"])
    table = tables.entropy_table(segmentation, ds["label"])
    np.testing.assert_allclose(cells_of(fig).data["entropy"], table["entropy"])
    means = [
        segmentation["entropy"].sel(record=r).values[segmentation["cluster"].sel(record=r).values >= 0].mean()
        for r in table["record"]
    ]
    np.testing.assert_allclose(table["entropy"], means, rtol=1e-6)
    nobody = xr.zeros_like(ds["label"])
    with pytest.raises(ValueError, match="expected a record in a class"):
        interactive.entropy_by_class(segmentation, nobody)
    curve = {"selective_risk": (("measure", "coverage"), [[0.0, 0.1]]), "auroc": ("measure", [0.7]), "risk": 0.1}
    result = xr.Dataset(curve, {"measure": ["entropy"], "coverage": [0.5, 1.0]})
    assert interactive.risk_coverage(result).renderers[0].data_source.data["risk"].tolist() == [0.0, 0.1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_need_no_network_and_names_are_only_text(segmentation, embedding, ds, theme):
    named = [renamed(part, HOSTILE) for part in (segmentation, embedding, ds)]
    label = ds["label"].assign_coords(record=HOSTILE, target=["<b>x</b>", *ds["label"]["target"].values[1:]])
    layout = interactive.embedding_map(*named, theme=theme)
    layout.children += [
        interactive.entropy_by_class(named[0], label, theme=theme),
        *interactive.association_map(association(named[0], label=label), theme=theme).children,
    ]
    page = file_html(layout, INLINE, "figures")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page.split("<body>")[1])
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert "L" * 300 not in page
    for hover in layout.select({"type": HoverTool}):
        assert all("{safe}" not in form for _, form in hover.tooltips)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$$x$$", "$x$"), ("$$$$", "$"), (r"\[x\]", "[x]"), ("a\nb\tc\u2028", "abc"), ("ü€", "ü€"), (7, "7")],
)
def test_text_is_plain(text, expected):
    assert plain(text) == expected


def test_errors_say_what_to_do(segmentation, embedding, ds):
    with pytest.raises(ValueError, match="theme: expected 'light' or 'dark', got 'sepia'"):
        interactive.embedding_map(segmentation, embedding, theme="sepia")
    with pytest.raises(ValueError, match=r"lead: expected one of .*, got 'V9'"):
        interactive.embedding_map(segmentation, embedding, ds, lead="V9")
    with pytest.raises(ValueError, match=r"record: expected one of .*, got 'nobody'"):
        interactive.embedding_map(segmentation, embedding, record="nobody")
    with pytest.raises(ValueError, match="embedding: expected the 4 records"):
        interactive.embedding_map(segmentation, embedding[:2])
    with pytest.raises(ValueError, match="value: expected 'lift' or 'probability'"):
        interactive.alignment_map(xr.Dataset(), value="odds")
    with pytest.raises(ValueError, match="measure it anew"):
        tables.association_table(xr.Dataset())
    with pytest.raises(ValueError, match="max_cells: expected at least the 500 cells of record"):
        interactive.embedding_map(segmentation, embedding, max_cells=100)
    twice = ["a", "a", "b", "c"]
    with pytest.raises(ValueError, match="record: expected different names"):
        tables.cell_table(renamed(segmentation, twice), renamed(embedding, twice))
    nothing = segmentation.copy(deep=True)
    nothing["cluster"][:] = -1
    with pytest.raises(ValueError, match="expected a valid cell, got none"):
        interactive.embedding_map(nothing, embedding)
    scores = xr.Dataset({"kappa_mean": ("surrogate", [0.8])}, {"surrogate": ["majority"]})
    with pytest.raises(ValueError, match=r"fidelity\[3\]: expected the surrogate 'clusters', got \['majority'\]"):
        tables.choice_table(fidelity={3: scores})
    dims = ("source", "cluster", "target")
    names = ("lift", "correlation", "p_value", "q_value")
    same = xr.Dataset({n: (dims, np.ones((1, 1, 2))) for n in names}, {"source": ["true"], "target": ["MI", "MI"]})
    with pytest.raises(ValueError, match="target: expected different names"):
        interactive.association_map(same)
    assert isinstance(tables.cell_table(segmentation, embedding), pd.DataFrame)
