"""K-means proves most labels instead of computing them: what it returns must be what computing them all gives."""

from threading import Event

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from ecg_widget.clusters import device, kmeans, kmeans_many
from ecg_widget.clusters.interruption import Interrupted, interruptible
from ecg_widget.clusters.products import squared_distances, tiled, two_nearest
from ecg_widget.clusters.sketch import LEAST_ROWS, Rows

N_ROWS = LEAST_ROWS + 77  # enough for a sketch, and a tile that is not full


def low_rank(n, features, rank=12, noise=0.3, dtype=torch.float64):
    """Overlapping groups in few dimensions, as activations have them."""
    rng = np.random.default_rng(0)
    groups = rng.normal(size=(15, rank))
    inner = groups[rng.integers(0, 15, n)] + rng.normal(size=(n, rank))
    return torch.as_tensor(
        inner @ rng.normal(size=(rank, features)) + noise * rng.normal(size=(n, features)), dtype=dtype
    )


def starts(x, *numbers):
    return [x[torch.as_tensor(np.random.default_rng(k).choice(len(x), k, replace=False))] for k in numbers]


@pytest.fixture(scope="module")
def x():
    return low_rank(N_ROWS, 100)


@pytest.mark.parametrize("k", [2, 8, 12])
def test_labels_that_are_proved_are_those_of_scikit_learn(x, k):
    (start,) = starts(x, k)
    rows = Rows(x)
    assert rows.sketch(k) is not None
    ours = kmeans(rows, start, max_iter=25, tol=0)
    theirs = KMeans(k, init=start.numpy(), n_init=1, tol=0, max_iter=25, algorithm="lloyd").fit(x.numpy())
    np.testing.assert_array_equal(ours.labels.numpy(), theirs.labels_)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, atol=1e-9)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)
    assert theirs.n_iter_ - ours.n_iter in (0, 1)  # it counts the assignment that changes nothing
    single = kmeans(x.float(), start.float(), max_iter=25, tol=0)
    assert single.inertia == pytest.approx(theirs.inertia_, rel=1e-4)


@pytest.mark.parametrize("moved", [0.0, 0.05, 1.0])
def test_no_row_that_changes_escapes_the_doubts(x, moved):
    """Whatever the centres: every row whose nearest centre is another one now is among the doubtful ones."""
    rows = Rows(x)
    sketch = rows.sketch(10)
    centers = starts(x, 10)[0]
    before = two_nearest(x, centers)[0]
    centers = centers + moved * torch.randn(centers.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    after = two_nearest(x, centers)[0]
    changed = (before != after).nonzero().flatten()
    for doubts in (sketch.doubtful(centers - rows.origin, before), rows.doubtful(centers - rows.origin, before)):
        assert set(changed.tolist()) <= set(doubts.tolist())
        assert (doubts.diff() > 0).all()
    assert len(rows.doubtful(centers - rows.origin, before)) <= len(changed) + 5
    assert moved > 0 or len(sketch.doubtful(centers - rows.origin, before)) < len(x) // 2


def test_a_row_between_two_centres_is_doubtful():
    """Rounding may put a row on the border on either side: it is never taken as proved."""
    x = torch.zeros(N_ROWS, 96)
    x[:, 0] = torch.linspace(-1, 1, N_ROWS)
    x[7] = 0
    centers = torch.zeros(2, 96)
    centers[:, 0] = torch.tensor([-0.5, 0.5])
    rows = Rows(x)
    labels = two_nearest(x, centers)[0]
    for doubts in (
        rows.sketch(2).doubtful(centers - rows.origin, labels),
        rows.doubtful(centers - rows.origin, labels),
    ):
        assert 7 in doubts.tolist()


def test_no_sketch_of_what_varies_alike_in_all_directions():
    noise = torch.randn(N_ROWS, 100, generator=torch.Generator().manual_seed(0))
    rows = Rows(noise)
    assert rows.sketch(8) is None
    start = starts(noise.double(), 8)[0]
    ours = kmeans(noise.double(), start, max_iter=8, tol=0)
    theirs = KMeans(8, init=start.numpy(), n_init=1, tol=0, max_iter=8, algorithm="lloyd").fit(noise.double().numpy())
    np.testing.assert_array_equal(ours.labels.numpy(), theirs.labels_)


def test_the_rows_are_neither_copied_nor_changed(x):
    kept = x.clone()
    rows = Rows(x)
    kmeans(rows, starts(x, 5)[0], max_iter=6)
    assert rows.x is x
    assert torch.equal(x, kept)


def test_rows_far_from_zero_lose_no_digits(x):
    """Centred, products have digits to spare; as they lie, 1e4 from 0, float32 would keep none of these clusters."""
    start = starts(x, 6)[0]
    near = kmeans(x, start, max_iter=10, tol=0)
    far = kmeans((x + 1e4).float(), (start + 1e4).float(), max_iter=10, tol=0)
    assert far.inertia == pytest.approx(near.inertia, rel=1e-3)
    assert (far.labels == near.labels).double().mean() > 0.99
    np.testing.assert_allclose(far.centers.double() - 1e4, near.centers, atol=0.05)


def test_tight_clusters_keep_their_inertia():
    """Its difference of large sums would be rounding."""
    owner = torch.arange(6000) % 3
    x = 1000.0 * torch.eye(3)[owner] + 1e-2 * torch.randn(6000, 3, generator=torch.Generator().manual_seed(0))
    found = kmeans(x, 990 * torch.eye(3))
    wide = x.double()
    assert found.inertia == pytest.approx(float((wide - found.centers[found.labels].double()).square().sum()), rel=1e-3)


def test_equal_rows_converge():
    found = kmeans(torch.ones(500, 4), torch.ones(2, 4))
    assert found.converged
    assert found.inertia == 0


@pytest.mark.parametrize("features", [100, 300])
def test_the_number_of_threads_changes_no_bit_of_what_is_proved(features):
    x = low_rank(2 * N_ROWS, features, dtype=torch.float32)
    before, found = torch.get_num_threads(), []
    for n in (1, 2, 3):
        torch.set_num_threads(n)
        rows = Rows(x)
        found.append([kmeans(rows, start, max_iter=12) for start in starts(x, 7, 20)])
        assert rows.sketch(7) is not None
    torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            assert torch.equal(a.centers, b.centers)
            assert torch.equal(a.labels, b.labels)
            assert a.inertia == b.inertia


@given(st.integers(1, 700), st.integers(1, 9), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_tiles_hold_every_row_once(n, features, k):
    rng = np.random.default_rng(n)
    x, centers = (torch.as_tensor(rng.normal(size=(rows, features))) for rows in (n, k))
    found = torch.cat([tiles.reshape(-1, features)[: part.stop - part.start] for part, tiles in tiled(x)])
    assert torch.equal(found, x)
    want = torch.cdist(x, centers).square()
    np.testing.assert_allclose(squared_distances(x, centers), want, atol=1e-9)
    labels, first, second = two_nearest(x, centers)
    two = want.topk(2, largest=False)
    np.testing.assert_array_equal(labels, two.indices[:, 0])
    np.testing.assert_allclose(torch.stack([first, second], 1), two.values, atol=1e-9)


def as_on_a_device(x, inits, max_iter=300, tol=1e-5):
    """The loop for accelerators, on the CPU."""
    rows = Rows(x)
    return device.lloyd(rows, [init - rows.origin - rows.shift for init in inits], max_iter, tol)


@pytest.mark.parametrize("max_iter", [0, 3, 8, 300])
def test_many_runs_at_once_are_the_runs_one_by_one(monkeypatch, max_iter):
    monkeypatch.setattr(device, "PRODUCTS", 38 * 700)  # in several blocks
    x = low_rank(3000, 40)
    inits = starts(x, 2, 3, 5, 8, 20)
    for alone, run in zip(kmeans_many(x, inits, max_iter=max_iter), as_on_a_device(x, inits, max_iter), strict=True):
        centers, labels, inertia, n_iter, converged = run
        assert torch.equal(labels, alone.labels)
        np.testing.assert_allclose(centers + Rows(x).origin, alone.centers, atol=1e-9)
        assert inertia == pytest.approx(alone.inertia, rel=1e-9)
        assert (n_iter, converged) == (alone.n_iter, alone.converged)


def test_many_runs_refill_empty_clusters():
    x = torch.tensor([[0.0], [0.1], [10.0], [10.1], [20.0]])
    inits = [torch.tensor([[0.0], [500.0], [600.0]]), torch.tensor([[0.0], [9.0]])]
    for alone, (_, labels, inertia, n_iter, _) in zip(kmeans_many(x, inits), as_on_a_device(x, inits), strict=True):
        assert torch.equal(labels, alone.labels)
        assert inertia == pytest.approx(alone.inertia, rel=1e-5)
        assert n_iter == alone.n_iter


def test_many_runs_of_nothing():
    assert kmeans_many(torch.ones(4, 2), []) == []


@pytest.mark.parametrize("run", [kmeans, lambda x, init: as_on_a_device(x, [init])])
def test_runs_end_between_two_iterations(run):
    stop = Event()
    x = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0))
    with interruptible(stop):
        run(x, x[:3])
        stop.set()
        with pytest.raises(Interrupted):
            run(x, x[:3])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds(x):
    inits = starts(x, 2, 5, 11)
    there = kmeans_many(x.cuda(), [init.cuda() for init in inits])
    for gpu, cpu in zip(there, kmeans_many(x, inits), strict=True):
        assert gpu.labels.device.type == "cuda"
        assert (gpu.labels.cpu() == cpu.labels).double().mean() > 0.999
        assert gpu.inertia == pytest.approx(cpu.inertia, rel=1e-4)
