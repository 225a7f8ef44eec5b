"""Sequences by the names that scanners, BraTS and people give them."""

from __future__ import annotations

import pytest

from VILAM3SlicerLib.protocol.mri_sequences import guess_role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("BraTS20_Training_001_t1ce.nii.gz", "T1c"),
        ("BraTS-GLI-00000-000-t1c", "T1c"),
        ("BraTS-GLI-00000-000-t1n", "T1"),
        ("BraTS-GLI-00000-000-t2w", "T2"),
        ("BraTS-GLI-00000-000-t2f", "FLAIR"),
        ("mri_Brats18_2013_31_1_flair", "FLAIR"),
        ("AX T1 POST", "T1c"),
        ("Ax T1 +C", "T1c"),
        ("t1_mprage_sag_p2_iso_KM", "T1c"),
        ("T1 GAD", "T1c"),
        ("MPRAGE post contrast", "T1c"),
        ("T1 without contrast", "T1"),
        ("T1 pre contrast", "T1"),
        ("t1_mpr_nativ", "T1"),
        ("Sag MPRAGE", "T1"),
        ("AX T2 FSE", "T2"),
        ("t2_tse_tra", "T2"),
        ("t2_tirm_tra_dark-fluid", "FLAIR"),
        ("AX T2 FLAIR FS", "FLAIR"),
        ("ax t2* gre", ""),
        ("DWI b1000", ""),
        ("localizer", ""),
        ("T10 vertebra", ""),
    ],
)
def test_roles_by_name(name: str, role: str) -> None:
    assert guess_role(name) == role
