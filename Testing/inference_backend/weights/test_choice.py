"""What is chosen for how much free memory, and that the reason is told."""

from __future__ import annotations

import pytest

from inference_backend.vila_m3.precision import Precision
from inference_backend.weights.catalogue import Entry, read_catalogue
from inference_backend.weights.choice import DeviceKind, Machine, choose_model, choose_precision
from inference_backend.weights.memory import embedding_weights, linear_weights, memory_needed
from VILAM3SlicerLib.protocol.errors import InvalidRequest, ModelError

GB = 1_000_000_000
CATALOGUE = read_catalogue()
MODELS = [entry for entry in CATALOGUE if entry.is_model]


def gpu(free: float, **more: bool) -> Machine:
    return Machine("cuda", "a GPU", round(free * GB), **{"can_quantise": True, **more})


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.id)
def test_the_shapes_give_the_published_sizes_of_the_weights(entry: Entry) -> None:
    assert entry.language_model is not None
    weights = linear_weights(entry.language_model) + embedding_weights(entry.language_model)
    files = sum(size for path, size in entry.files.items() if path.startswith("llm/model"))
    assert 2 * weights == pytest.approx(files, rel=0.005)


def test_what_is_needed_agrees_with_what_the_publisher_states() -> None:
    """About 18 GB for 8B and 30 GB for 13B at 16 bits (facts/vila_m3.md); the goal for NF4 is 8 GB."""
    assert memory_needed(CATALOGUE["VILA-M3-8B"])[Precision.FP16] == pytest.approx(18 * GB, rel=0.06)
    assert memory_needed(CATALOGUE["VILA-M3-13B"])[Precision.FP16] == pytest.approx(30 * GB, rel=0.06)
    assert memory_needed(CATALOGUE["VILA-M3-8B"])[Precision.NF4] == pytest.approx(8 * GB, rel=0.06)


@pytest.mark.parametrize(
    ("free", "precision"),
    [(80, "bf16"), (19, "bf16"), (18, "int8"), (12, "int8"), (11.5, "nf4"), (8.5, "nf4")],
)
def test_8b_takes_the_most_faithful_precision_that_fits(free: float, precision: str) -> None:
    choice = choose_precision(CATALOGUE["vila-m3-8b"], gpu(free))
    assert choice.precision == precision
    assert choice.fits
    assert choice.needed_bytes <= free * GB
    assert f"in {precision}" in choice.reason
    assert f"{free:.1f} GB free on a GPU" in choice.reason


def test_the_reason_says_what_the_next_better_one_would_have_needed() -> None:
    assert "bf16 would need 18.7 GB" in choose_precision(CATALOGUE["VILA-M3-8B"], gpu(16)).reason


def test_too_little_memory_names_both_figures_and_the_ways_out() -> None:
    with pytest.raises(ModelError) as raised:
        choose_precision(CATALOGUE["VILA-M3-13B"], gpu(6))
    assert raised.value.code == "out_of_memory"
    assert "12.7 GB in nf4" in raised.value.message
    assert "6.0 GB free" in raised.value.message
    assert "--model" in raised.value.hint


def test_room_for_the_experts_costs_8_bits_but_never_4() -> None:
    entry = CATALOGUE["VILA-M3-8B"]
    roomy = choose_precision(entry, gpu(24), reserved_bytes=12 * GB)
    assert roomy.precision == "int8"
    assert "12.0 GB stay free for the experts" in roomy.reason
    tight = choose_precision(entry, gpu(22), reserved_bytes=12 * GB)
    assert tight.precision == "bf16"
    assert "have to wait for room" in tight.reason


def test_older_gpus_compute_in_float16() -> None:
    assert choose_precision(CATALOGUE["VILA-M3-8B"], gpu(40, has_bfloat16=False)).precision == "fp16"


@pytest.mark.parametrize(
    ("kind", "free", "precision"),
    [("mps", 30, "bf16"), ("cpu", 64, "fp32"), ("cpu", 24, "bf16"), ("mps", 12, None), ("cpu", 12, None)],
)
def test_without_bitsandbytes_nothing_is_quantised(
    kind: DeviceKind, free: int, precision: str | None
) -> None:
    machine = Machine(kind, kind, free * GB)
    entry = CATALOGUE["VILA-M3-8B"]
    if precision is None:
        with pytest.raises(ModelError):
            choose_precision(entry, machine)
    else:
        assert choose_precision(entry, machine).precision == precision


def test_the_demo_model_stays_as_it_was_on_a_cpu() -> None:
    assert choose_precision(CATALOGUE["demo"], Machine("cpu", "the CPU", 4 * GB)).precision == "fp32"


def test_a_person_is_obeyed_and_warned() -> None:
    choice = choose_precision(CATALOGUE["VILA-M3-8B"], gpu(10), Precision.BF16)
    assert (choice.precision, choice.fits) == ("bf16", False)
    assert "as asked" in choice.reason
    assert "only 10.0 GB are free" in choice.reason


def test_what_the_machine_cannot_compute_in_is_refused_with_what_it_can() -> None:
    with pytest.raises(InvalidRequest) as raised:
        choose_precision(CATALOGUE["VILA-M3-8B"], Machine("mps", "Apple GPU", 99 * GB), Precision.NF4)
    assert "bitsandbytes" in raised.value.message
    assert raised.value.hint == "Use one of bf16."


@pytest.mark.parametrize(
    ("free", "model", "precision"),
    [(80, "VILA-M3-8B", "bf16"), (9, "VILA-M3-8B", "nf4"), (7, "VILA-M3-3B", "int8"), (4, "demo", "bf16")],
)
def test_the_best_model_that_fits_is_chosen(free: int, model: str, precision: str) -> None:
    choice = choose_model(MODELS, gpu(free))
    assert (choice.entry.id, choice.precision) == (model, precision)
    assert ("would not fit" in choice.reason) == (model != "VILA-M3-8B")


def test_a_precision_that_only_a_smaller_model_fits_in_takes_that_one() -> None:
    assert choose_model(MODELS, gpu(10), Precision.BF16).entry.id == "VILA-M3-3B"


def test_nothing_that_fits_is_an_error() -> None:
    with pytest.raises(ModelError):
        choose_model(MODELS, gpu(0.5))
