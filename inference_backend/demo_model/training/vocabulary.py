"""Words from which unknown experts are made up, so that reading their cards is learned, not their names."""

from __future__ import annotations

import numpy as np


def _entries(text: str) -> tuple[str, ...]:
    return tuple(" ".join(entry.split()) for entry in text.split(","))


TARGETS = _entries(
    """
    liver, spleen, pancreas, stomach, left kidney, colon, small bowel, esophagus, urinary bladder,
    prostate, thyroid gland, brainstem, cerebellum, hippocampus, white matter, gray matter, ventricles,
    cochlea, larynx, pulmonary artery, aorta, vena cava, coronary arteries, portal vein,
    hepatic vessels, bile duct, lymph nodes, liver tumor, kidney tumor, lung nodule, brain tumor, polyp,
    cyst, aneurysm, hemorrhage, stroke lesion, plaque, effusion, pneumonia, fracture, femur, tibia,
    patella, cartilage, meniscus, humerus, scapula, clavicle, rib, sacrum, pelvis, vertebral body, disc,
    muscle, visceral fat, skin lesion, retina vessels, optic disc, macula, breast mass, calcification,
    nucleus, cell membrane, mitochondria, neuron, bacteria, embryo, fetus head, placenta,
    carotid artery, tendon, nerve, implant, catheter, lead, stent, screw, whole brain, whole heart,
    left lung, right lung, lungs, bone, airways, body, organs, everything, vessels
    """
)
"""What an expert may find; medical."""

THINGS = _entries(
    """
    cars, bridges, red wine, apple trees, chimneys, violins, clouds, small boats, road signs, bicycles,
    faces, penguins, wheat, old coins, stamps, butterflies, mountains, houses, windows, letters, spoons,
    mushrooms, solar panels, ice, rivers, glaciers, craters, keyboards, shoes, gears, pipes, cracks,
    rust, wood grain
    """
)
"""What an expert may find that no doctor asks for: only reading the card helps."""

ADJECTIVES = (
    "left", "right", "upper", "lower", "anterior", "posterior", "small", "large", "early",
    "calcified", "deep",
    "lateral", "medial", "distal", "proximal", "main", "outer", "inner", "acute", "chronic",
)  # fmt: skip
MODALITIES = (
    "CT",
    "MRI",
    "chest x-ray (CXR)",
    "cell imaging",
    "ultrasound",
    "PET",
    "mammography",
    "microscopy",
)
TASKS = ("segmentation", "classification", "detection", "measurement", "segmentation and measurement")
_SYLLABLES = _entries(
    """
    ba, ko, ri, ten, lu, mo, sa, vi, dra, el, ne, tor, qua, zi, pha, gon, ix, um, ar, bel, cy, do, fa, gi, hu,
    jo, ka, len
    """
)
_SUFFIXES = ("NET", "SEG", "Former", "3D", "2D", "AI", "Scan", "_v2", "-XL", "Lab", "Mark", "7", "Finder", "")
_ACCURACY = (
    "Dice {n} on average", "not measured", "Good accuracy on several datasets", "AUC {n}",
    "{n} on 200 test cases",
    "mean Dice: {n}", "checked against 40 expert readings", "Sensitivity {n}, specificity {n}",
)  # fmt: skip
_OVERVIEWS = (
    "model for {task} of {what}", "finds {what} in {modality} images",
    "network trained on {modality} for {what}",
    "{task} of {what}, trained on public data", "a small model that delineates {what}",
    "classical method for {what}, no training data", "pre-trained on large cohorts for {task} of {what}",
    "foundation model adapted to {what}", "{what}: {task} with a U-Net",
)  # fmt: skip


def pick(random: np.random.Generator, choices: tuple[str, ...] | list[str]) -> str:
    """One of the choices, stripped."""
    return choices[int(random.integers(len(choices)))].strip()


def argument(random: np.random.Generator) -> str:
    """An argument that some expert might take."""
    target = pick(random, TARGETS if random.random() < 0.75 else THINGS)
    return f"{pick(random, ADJECTIVES)} {target}" if random.random() < 0.25 else target


def expert_name(random: np.random.Generator) -> str:
    """A name that some expert might have: an acronym, syllables or a word with an ending."""
    kind = random.random()
    if kind < 0.35:
        letters = "".join(chr(65 + int(random.integers(26))) for _ in range(int(random.integers(2, 6))))
        return letters + pick(random, ("", "", "_SEG", "2", "-1", "NET", "3D"))
    stem = "".join(pick(random, _SYLLABLES) for _ in range(int(random.integers(2, 4))))
    if kind < 0.6:
        stem = pick(random, TARGETS).replace(" ", "_")
    cased = (stem.upper(), stem.capitalize(), stem)[int(random.integers(3))]
    return cased + pick(random, _SUFFIXES)


def word(random: np.random.Generator) -> str:
    """A word that no language has."""
    return "".join(pick(random, _SYLLABLES) for _ in range(int(random.integers(2, 4))))


def accuracy(random: np.random.Generator) -> str:
    """What a card may say of an expert's accuracy."""
    return pick(random, _ACCURACY).replace("{n}", f"{random.uniform(0.6, 0.99):.2f}")


def overview(random: np.random.Generator, what: str, modality: str, task: str) -> str:
    """What a card may say of an expert that finds ``what``."""
    return pick(random, _OVERVIEWS).format(what=what, modality=modality, task=task)
