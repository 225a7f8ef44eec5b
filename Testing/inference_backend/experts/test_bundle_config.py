"""Values of a bundle's configuration, without running its code; hostile files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_backend.experts.bundle_config import BundleConfig
from VILAM3SlicerLib.protocol.errors import ExpertError


def test_constants_references_and_lists_of_numbers() -> None:
    config = BundleConfig(
        {
            "spacing": [1.5, 1.5, 1.5],
            "again": "@spacing",
            "labels": "$list(set([i+1 for i in range(6)]) - set([2, 4]))",
            "parts": {"2": [14, 5], "21": "$list(range(33, 36)) + [114]"},
        }
    )
    assert config.value("again") == [1.5, 1.5, 1.5]
    assert config.value("labels") == [1, 3, 5, 6]
    assert config.value("parts") == {"2": [14, 5], "21": [33, 34, 35, 114]}


def test_transforms_are_monais_with_the_files_values() -> None:
    config = BundleConfig(
        {
            "image_key": "image",
            "spacing": [2, 2, 2],
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {"_target_": "LoadImaged", "keys": "@image_key"},
                    {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
                    {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@spacing", "mode": "bilinear"},
                    {"_target_": "Orientationd", "keys": "x", "axcodes": "RAS", "_disabled_": True},
                ],
            },
        }
    )
    (spacing,) = config.transforms("preprocessing")
    assert type(spacing).__name__ == "Spacingd"
    assert spacing.keys == ("image",)
    assert list(spacing.spacing_transform.pixdim) == [2, 2, 2]


@pytest.mark.parametrize(
    "expression",
    [
        "$__import__('os').system('true')",
        "$open('/etc/passwd').read()",
        "$(1).__class__",
        "$[print(i) for i in range(3)]",
        "$eval('1')",
        "$range(9",
        "$lambda: 1",
    ],
)
def test_code_in_a_file_is_refused_not_run(expression: str) -> None:
    with pytest.raises(ExpertError):
        BundleConfig({"value": expression}).value("value")


def test_a_step_that_is_not_known_is_refused() -> None:
    with pytest.raises(ExpertError, match="Popen"):
        BundleConfig({"steps": [{"_target_": "subprocess.Popen", "args": ["true"]}]}).transforms("steps")


@pytest.mark.parametrize("content", ["", "{", "[1]", "\xff"])
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "inference.json").write_text(content, encoding="latin-1")
    with pytest.raises(ExpertError):
        BundleConfig.read(tmp_path / "inference.json")


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    (tmp_path / "inference.json").write_text(json.dumps({"patch_size": [1]}))
    with pytest.raises(ExpertError, match="everything_labels"):
        BundleConfig.read(tmp_path / "inference.json").value("everything_labels")
