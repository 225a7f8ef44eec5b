"""The VISTA3D network of MONAI, as far as it is needed for class prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from inference_backend.experts.state_dict import fill
from VILAM3SlicerLib.protocol.errors import ExpertError

if TYPE_CHECKING:
    from torch import Tensor

_EMBEDDINGS = "class_head.class_embeddings.weight"
_HUGGING_FACE_PREFIX = "network."


class SegmentsByClass(Protocol):
    """What the sliding window needs: features of a window, and the prompt vectors that they are read with.

    A class's logit at a voxel is the dot product of its prompt vector and the voxel's features.
    """

    def features(self, windows: Tensor) -> Tensor:
        """Features, shape (batch, channels, X, Y, Z), of windows of shape (batch, 1, X, Y, Z)."""

    def prompt_vectors(self, labels: Sequence[int]) -> Tensor:
        """Shape (labels, channels)."""


def build_network(tensors: dict[str, Tensor], name: str) -> Any:
    """MONAI's ``vista3d132`` with these weights, ready for inference.

    The width is read off the weights. Weights of the Hugging Face edition have a prefix, which is taken off.

    Raises:
        ExpertError: the weights are of another network.
    """
    from monai.networks.nets import vista3d132

    plain = {key.removeprefix(_HUGGING_FACE_PREFIX): tensor for key, tensor in tensors.items()}
    if _EMBEDDINGS not in plain:
        raise ExpertError(f"The weights in {name} are not VISTA3D's.", "Fetch the weights again.")
    network = vista3d132(encoder_embed_dim=plain[_EMBEDDINGS].shape[1])
    fill(network, plain, name)
    return network.eval().requires_grad_(False)


class ClassPrompted:
    """Implements ``SegmentsByClass`` with the network's automatic branch.

    The network computes a class's logits as prompt vector times features. Both are linear in each other, so
    the average of logits over overlapping windows is the prompt vector times the average of the features:
    one can average 48 channels instead of one channel per class.
    """

    def __init__(self, network: Any) -> None:
        self._network = network

    def features(self, windows: Tensor) -> Tensor:
        _, encoded = self._network.image_encoder(windows, with_point=False, with_label=True)
        features: Tensor = self._network.class_head.image_post_mapping(encoded)
        return features

    def prompt_vectors(self, labels: Sequence[int]) -> Tensor:
        import torch

        head = self._network.class_head
        indices = torch.tensor(labels, device=head.class_embeddings.weight.device)
        vectors: Tensor = head.mlp(head.class_embeddings(indices[:, None]))[:, 0]
        return vectors
