"""Every expert next to its peer, in one table: time, memory, and Dice and 95 % Hausdorff distance.

    python -m Testing.benchmarks.experts --device cuda

The peer is the published bundle's own workflow, run by MONAI on the same scan; that of CXR is what the
published demo does with its models, that of CT_TISSUE, which has no published counterpart, a bare threshold.
Without ``--weights VISTA3D=FOLDER`` a network has random weights of the released size: time and memory are
the real ones, there is no Dice. VISTA3D then works on a 512x512x300 CT of 0.75 mm pixels and 1.0 mm slices,
with weights on the chest CT with 89 reference labels. ``--quick`` takes small networks and scans, to see
that everything runs. On a CPU GPU memory is unmeasured.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from Testing.benchmarks import (
    expert_rows_brats,
    expert_rows_ct_tissue,
    expert_rows_cxr,
    expert_rows_vista3d,
)
from Testing.benchmarks.expert_table import Options, Row, table

ROWS: dict[str, Callable[[Options], list[Row]]] = {
    "CT_TISSUE": expert_rows_ct_tissue.rows,
    "VISTA3D": expert_rows_vista3d.rows,
    "BRATS": expert_rows_brats.rows,
    "CXR": expert_rows_cxr.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data", type=Path, default=Path(".cache/data"))
    parser.add_argument("--weights", action="append", default=[], metavar="EXPERT=FOLDER")
    parser.add_argument("--experts", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    named = (weights.partition("=") for weights in given.weights)
    weights = {name: Path(folder) for name, _, folder in named}
    options = Options(given.device, given.data, given.quick, weights)
    print(f"{given.device}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(table([row for name in given.experts for row in ROWS[name](options)]))


if __name__ == "__main__":
    main()
