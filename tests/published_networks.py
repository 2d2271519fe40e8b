"""Two published PTB-XL networks beside the project, as networks that a user brings and as teachers for training.

``ecg-widget train --teacher tests/published_networks.py:plaincnn7 ...``
"""

import importlib.util
from pathlib import Path

import torch

from ecg_widget.networks import ECGNetwork, InputSpec

FOLDER = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "networks"


def _load(name):
    spec = importlib.util.spec_from_file_location("shared_networks", FOLDER / "networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(name)


def plaincnn7():
    return ECGNetwork(
        _load("plaincnn7"),
        InputSpec(),
        ["CD", "HYP", "MI", "NORM", "STTC"],
        "sigmoid",
        name="Jagrit7/ecg-ptbxl-multilabel-cnn",
        provenance={
            "licence": "MIT",
            "data": "PTB-XL 1.0.3, 100 Hz",
            "fold_9": "not fitted to, but used by its authors to choose the learning rate and the checkpoint "
            "(their README: folds 1-8 train, 9 validates, 10 tests)",
        },
    )


# Its authors divide each lead by the standard deviation over their training set, which they do not publish. These are
# those of folds 1-8 of the 425 records beside the project after the band-pass, in mV. Scaling each record by its own
# deviation instead hides voltage, and with it hypertrophy: AUROC .70 instead of .93 on fold 9.
DEVIATION = (0.138, 0.155, 0.129, 0.132, 0.108, 0.124, 0.188, 0.315, 0.293, 0.267, 0.237, 0.197)


class PerLead(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None])

    def forward(self, x):
        return x / self.deviation


def smallresnet():
    return ECGNetwork(
        torch.nn.Sequential(PerLead(), _load("smallresnet")),
        InputSpec(band=(0.5, 40.0)),
        ["NORM", "MI", "STTC", "CD", "HYP"],
        "sigmoid",
        name="iskoo-14/ecgresnet-ptbxl",
        provenance={
            "licence": "Apache-2.0",
            "data": "PTB-XL 1.0.1, 100 Hz",
            "fold_9": "may have been fitted to: its authors do not state the folds of their split",
        },
    )
