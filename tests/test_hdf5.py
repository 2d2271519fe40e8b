"""What a hostile HDF5 file may ask for: other files, memory without end. Nothing of it is done."""

import h5py
import numpy as np
import pytest
from code15_folder import write

from ecg_widget.records import RecordError, open_ecg


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


def test_values_outside_the_file_are_refused(folder, tmp_path_factory):
    """A link, a virtual dataset and raw storage may each name any file of the machine."""
    path = folder / "exams_part0.hdf5"
    with h5py.File(path, "r") as file:
        ids, shape = file["exam_id"][()], file["tracings"].shape
    other = folder / "exams_part1.hdf5"
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_bytes(bytes(int(np.prod(shape)) * 4))

    def external(file):
        size = int(np.prod(shape)) * 4
        file.create_dataset("tracings", shape, "f4", external=[(str(secret), 0, size)])

    def virtual(file):
        layout = h5py.VirtualLayout(shape, "f4")
        layout[:] = h5py.VirtualSource(str(other), "tracings", shape)
        file.create_virtual_dataset("tracings", layout)

    def link(file):
        file["tracings"] = h5py.ExternalLink(str(other), "tracings")

    def soft(file):
        file["tracings"] = h5py.SoftLink("/exam_id")

    def group(file):
        file.create_group("tracings")

    for plant in (external, virtual, link, soft, group):
        with h5py.File(path, "w") as file:
            file.create_dataset("exam_id", data=ids)
            plant(file)
        with pytest.raises(RecordError, match=r"exams_part0.hdf5: tracings: expected a dataset"):
            open_ecg(folder, units="1e-4V", missing="drop")


def test_absurd_chunks_are_refused(folder):
    path = folder / "exams_part0.hdf5"
    with h5py.File(path, "r") as file:
        ids = file["exam_id"][()]
    with h5py.File(path, "w") as file:
        file.create_dataset("exam_id", data=ids)
        shape, chunks = (len(ids), 4096, 12), (2000, 4096, 12)
        file.create_dataset("tracings", shape, "f4", maxshape=(None, None, 12), chunks=chunks, compression="gzip")
    with pytest.raises(RecordError, match=r"exams_part0.hdf5: tracings: expected chunks of at most"):
        open_ecg(folder, units="1e-4V", missing="drop")


def test_absurd_shapes_are_refused_before_anything_is_read(folder):
    """Chunks that were never written take no space in a file, and zeros without end in memory."""
    path = folder / "exams_part0.hdf5"
    for ids, samples, message in (
        (40_000_000_000, 4096, "exam_id: expected at most"),
        (9, 1 << 40, "tracings: expected .* of at most 65536 samples"),
    ):
        with h5py.File(path, "w") as file:
            file.create_dataset("exam_id", (ids,), "i8", chunks=(min(ids, 1024),))
            if ids < 100:
                file["exam_id"][:] = np.arange(1, ids + 1)
            file.create_dataset("tracings", (ids, samples, 12), "f4", chunks=(1, 4096, 12))
        with pytest.raises(RecordError, match=rf"exams_part0.hdf5: {message}"):
            open_ecg(path)
