"""What has been found in one CT so far; each structure is computed when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.airways import BRONCHIAL_WALL_MM, find_airways
from inference_backend.experts.ct_tissue.blood import find_enhanced_blood, smooth_bright_cores
from inference_backend.experts.ct_tissue.body import find_body
from inference_backend.experts.ct_tissue.lungs import find_aerated_lungs, split_lungs
from inference_backend.experts.ct_tissue.skeleton import find_bone
from inference_backend.experts.ct_tissue.soft_tissue import (
    find_muscle,
    find_skin,
    find_subcutaneous_fat,
    inside_the_wall,
)
from inference_backend.experts.ct_tissue.structures import Tissue
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask, WorkingGrid

Step = Callable[[str], None]
"""Told what is done next; raises Cancelled where the person has stopped the expert."""


class TissueAnalysis:
    """The structures of one CT as masks.

    ``mask`` gives them on the working grid; the properties are cut to the box around the body.
    """

    def __init__(self, grid: WorkingGrid, step: Step) -> None:
        self._grid = grid
        self._spacing = grid.spacing
        self._step = step

    def mask(self, tissue: Tissue) -> Mask:
        """Where a tissue is. Masks may overlap; the one with the lower label value has the voxel."""
        found = self._find(tissue)
        whole = np.zeros(self._grid.hounsfield.shape, bool)
        whole[self._box] = found
        return whole

    def _find(self, tissue: Tissue) -> Mask:
        match tissue:
            case Tissue.LEFT_LUNG:
                return self.lungs[0]
            case Tissue.RIGHT_LUNG:
                return self.lungs[1]
            case Tissue.AIRWAYS:
                return self.airways
            case Tissue.BONE:
                return self.bone
            case Tissue.HEART_AND_VESSELS:
                return self.enhanced_blood
            case Tissue.SKIN:
                return self.skin
            case Tissue.SUBCUTANEOUS_FAT:
                return self.subcutaneous_fat
            case Tissue.MUSCLE:
                return self.muscle
            case Tissue.OTHER_BODY:
                return self.body

    @cached_property
    def body(self) -> Mask:
        return self._whole_body[self._box]

    @cached_property
    def _whole_body(self) -> Mask:
        self._step("finding the body")
        return find_body(self._grid.hounsfield, self._spacing)

    @cached_property
    def _box(self) -> tuple[slice, ...]:
        """The part of the grid with the body and a rim of air; all else is looked for in there."""
        (box,) = morphology.boxes_around(self._whole_body, 2 * max(self._spacing), self._spacing)
        return box

    @cached_property
    def _hounsfield(self) -> Hounsfield:
        return np.ascontiguousarray(self._grid.hounsfield[self._box])

    @cached_property
    def airways(self) -> Mask:
        """Air and inner walls of windpipe and bronchi outside the lungs."""
        return self._bronchial_tree & ~self.lungs[0] & ~self.lungs[1]

    @cached_property
    def lungs(self) -> tuple[Mask, Mask]:
        aerated = self._aerated_lungs & ~self._bronchial_tree
        self._step("telling left from right lung")
        return split_lungs(self._hounsfield, aerated, self.body, self._spacing)

    @cached_property
    def bone(self) -> Mask:
        lungs, cores = self._both_lungs, self._smooth_cores
        self._step("finding bone")
        return find_bone(self._hounsfield, self.body, lungs, cores, self._spacing)

    @cached_property
    def enhanced_blood(self) -> Mask:
        not_blood, cores = self.bone | self._both_lungs, self._smooth_cores
        self._step("finding contrast-filled vessels")
        return find_enhanced_blood(self._hounsfield, self.body, not_blood, cores, self._spacing)

    @cached_property
    def skin(self) -> Mask:
        body = self.body
        self._step("finding the skin")
        return find_skin(body, self._spacing)

    @cached_property
    def subcutaneous_fat(self) -> Mask:
        return find_subcutaneous_fat(self._hounsfield, self.body, self.skin, self._inside_the_wall)

    @cached_property
    def muscle(self) -> Mask:
        bone, inside = self.bone, self._inside_the_wall
        not_muscle = self.enhanced_blood | self._both_lungs | self._bronchial_tree
        self._step("finding muscle")
        return find_muscle(self._hounsfield, inside, bone, not_muscle, self._spacing)

    @cached_property
    def _both_lungs(self) -> Mask:
        return self.lungs[0] | self.lungs[1]

    @cached_property
    def _smooth_cores(self) -> Mask:
        body = self.body
        self._step("looking for contrast")
        return smooth_bright_cores(self._hounsfield, body, self._spacing)

    @cached_property
    def _inside_the_wall(self) -> Mask:
        skin = self.skin
        self._step("telling inside from outside of the muscles")
        return inside_the_wall(self._hounsfield, self.body, skin, self._spacing)

    @cached_property
    def _aerated_lungs(self) -> Mask:
        body = self.body
        self._step("finding the lungs")
        return find_aerated_lungs(self._hounsfield, body, self._spacing)

    @cached_property
    def _bronchial_tree(self) -> Mask:
        aerated = self._aerated_lungs
        self._step("following the airways")
        lumen = find_airways(self._hounsfield, self.body, aerated, self._spacing)
        return morphology.dilate(lumen, BRONCHIAL_WALL_MM, self._spacing) & aerated
