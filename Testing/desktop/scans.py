"""Small scans for the courses."""

import numpy as np
import slicer


def chest():
    """Two boxes of air in a body, in Hounsfield units; slices, rows, columns."""
    voxels = np.full((30, 50, 60), 40, np.int16)
    voxels[8:22, 12:38, 12:26] = -800
    voxels[8:22, 12:38, 34:48] = -800
    return voxels


def show_in_views(node):
    slicer.util.setSliceViewerLayers(background=node, fit=True)
