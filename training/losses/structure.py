"""How far is the false sentence behind the true one, and which of many texts belong to which picture?

u_j is the vector of image j, v_k that of text k, w_m that of a false text; all of unit length, so that products are
cosines; s = 1/temperature.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["hardest_in_batch_loss", "hinge_loss", "image_text_graph_loss"]


def hinge_loss(true: Tensor, false: Tensor, *, margin: float) -> Tensor:
    """How much of the margin between a true and a false text is missing, on average; 0 where there is no pair.

    L = 1/m sum_i max(0, margin - <u_i, v_i> + <u_i, w_i>)

    Shapes: true (m,) and false (m,) cosines; result a scalar.
    Reference: Huang et al. 2024 (Structure-CLIP), the hinge loss, margin 0.2; its code takes margin 0.1.
    """
    return F.relu(margin - true + false).sum() / max(1, len(true))


def hardest_in_batch_loss(image: Tensor, text: Tensor, *, margin: float, mean_over_images: bool = False) -> Tensor:
    """Triplet loss against the nearest wrong text and the nearest wrong image of the batch.

    L = 1/n sum_i [ max(0, margin - c_ii + max_{j != i} c_ij) + max(0, margin - c_ii + max_{j != i} c_ji) ],
    c = image text^T; with `mean_over_images` the second maximum is the mean over all j, the right one included.

    Shapes: image (n, dim) and text (n, dim); result a scalar.
    Reference: the published code of Structure-CLIP (`WinoLoss`), which has no InfoNCE; a mean in its first 100 steps.
    """
    cosines = image @ text.T  # (n, n)
    right = cosines.diagonal()
    wrong = cosines - 10 * torch.eye(len(cosines), device=cosines.device)
    of_text = cosines.mean(0) if mean_over_images else wrong.amax(0)
    return (F.relu(wrong.amax(1) + margin - right) + F.relu(of_text + margin - right)).mean()


def image_text_graph_loss(
    image: Tensor,
    text: Tensor,
    belongs: Tensor,
    *,
    scale: Tensor | float,
    false: Tensor | None = None,
    ignored: Tensor | None = None,
) -> Tensor:
    """InfoNCE where several texts, coarse and fine, belong to one image, and false texts to none.

    P(j) are the texts of image j, Q(k) the images of text k (`belongs`); T all texts, the false ones included:
    L = 1/2 [ 1/n sum_j 1/|P(j)| sum_{k in P(j)} -log exp(s <u_j, v_k>) / sum_{t in T} exp(s <u_j, v_t>)
            + 1/K sum_k 1/|Q(k)| sum_{j in Q(k)} -log exp(s <u_j, v_k>) / sum_i exp(s <u_i, v_k>) ]
    With one text an image and no false text this is CLIP's loss; with false texts, one an image, NegCLIP's. Pairs that
    are `ignored` are left out of both sums below: texts that are true of an image, but do not belong to it.

    Shapes: image (n, dim), text (K, dim), belongs (n, K) bool with something in each row and column, false (m, dim),
    ignored (n, K + m) bool, False wherever a text belongs; result a scalar.
    Reference: Singh et al. 2023 (MosaiCLIP), after the paper's description; Yuksekgonul et al. 2023 (NegCLIP).
    """
    every = text if false is None else torch.cat([text, false])
    weight = belongs.to(image.dtype)
    logits = scale * image @ every.T
    if ignored is not None:
        logits = logits.masked_fill(ignored, float("-inf"))
    of_image = F.log_softmax(logits, dim=1)[:, : len(text)].masked_fill(~belongs, 0.0)
    of_text = F.log_softmax(logits[:, : len(text)], dim=0).masked_fill(~belongs, 0.0)
    to_text = -(of_image.sum(1) / weight.sum(1)).mean()
    to_image = -(of_text.sum(0) / weight.sum(0)).mean()
    return 0.5 * (to_text + to_image)
