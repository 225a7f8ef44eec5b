"""An expert of one's own: everything brighter than the mean."""

import numpy as np

from inference_backend.conversation.model_cards import ModelCard
from inference_backend.experts.interface import Expert, Segment, Segmentation


class Brightness(Expert):
    card = ModelCard(
        name="BRIGHTNESS",
        modality="CT",
        task="segmentation",
        overview="marks what is brighter than the mean, an example of an expert of one's own",
        accuracy="not a medical model",
        arguments=("bright",),
    )
    version = "0.1.0"

    def run(self, request, report_progress, is_cancelled):
        report_progress(0.5, "comparing with the mean")
        voxels = request.volume.voxels
        bright = np.asfortranarray(voxels > voxels.mean()).astype(np.uint8)
        return Segmentation(request.volume.with_voxels(bright), (Segment("bright tissue", (1,)),))
