"""One-way attention of map tokens over map tokens and partial-structure tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crysformer.models.dropout import Dropout
from crysformer.models.shared_keys import SharedKeys, join_shared


class OneWayAttention(nn.Module):
    """Multi-head attention of map tokens over themselves and over partial structures.

    Queries come from the map tokens X only. Keys and values come from X and, by separate
    projections, from the partial tokens U; one softmax runs over both. U is never updated, and
    no token of U attends to X.

    Parameters
    ----------
    width
        Width D of X and U.
    heads, head_width
        Number and width of the heads.
    landmarks
        None for exact attention. Otherwise attention over U goes through this many landmarks
        (`landmark_attention`).
    dropout
        Dropout rate of the output in training. Dropout of the attention weights themselves would
        exclude the fused kernels.
    landmarks_over
        "partial": attention over X stays exact (the paper). "all": it goes through the landmarks as
        well.

    References
    ----------
    Dun et al., arXiv:2310.03899, section 3 and appendix A.
    """

    def __init__(
        self, width: int, heads: int, head_width: int, landmarks: int | None, dropout: float,
        landmarks_over: str = "partial",
    ) -> None:  # fmt: skip
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.landmarks = landmarks
        self.landmarks_over = landmarks_over
        self.dropout = Dropout(dropout)
        self.query_key_value = nn.Linear(width, 3 * inner)
        self.partial_key_value = nn.Linear(width, 2 * inner)
        self.output = nn.Linear(inner, width)

    def forward(
        self,
        x: Tensor,
        u: Tensor | SharedKeys,
        rotation: Tensor | None = None,
    ) -> Tensor:
        """Attend.

        Parameters
        ----------
        x
            Map tokens, shape (B, N, D).
        u
            Partial tokens, shape (B, M, D), or the keys and values of those that examples share.
        rotation
            Rotary angles of the map tokens, radians, shape (B, 1, N, head_width / 2), or None.
        """
        q, k, v = self._split(self.query_key_value(x), 3)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        if self.landmarks is None:
            y = functional.scaled_dot_product_attention(q, *self._join(k, v, u))
        elif self.landmarks_over == "all":
            ku, vu = self._join(k, v, u)
            y = landmark_attention(q, k[:, :, :0], v[:, :, :0], ku, vu, self.landmarks)
        else:
            ku, vu = self._join(k[:, :, :0], v[:, :, :0], u)
            y = landmark_attention(q, k, v, ku, vu, self.landmarks)
        mixed: Tensor = self.dropout(self.output(y.transpose(1, 2).flatten(2)))
        return mixed

    def _join(self, k: Tensor, v: Tensor, u: Tensor | SharedKeys) -> tuple[Tensor, Tensor]:
        """Append the keys and values of the partial tokens to those of the map tokens."""
        if isinstance(u, SharedKeys):
            return join_shared(k, v, u)
        ku, vu = self._split(self.partial_key_value(u), 2)
        return torch.cat((k, ku), dim=2), torch.cat((v, vu), dim=2)

    def _split(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        return split_heads(projected, parts, self.heads)


class SelfAttention(nn.Module):
    """Exact multi-head attention of tokens over themselves.

    Parameters as for `OneWayAttention`.
    """

    def __init__(self, width: int, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.dropout = Dropout(dropout)
        self.query_key_value = nn.Linear(width, 3 * inner)
        self.output = nn.Linear(inner, width)

    def forward(self, tokens: Tensor, rotation: Tensor | None = None) -> Tensor:
        """Attend; tokens (B, N, D), rotary angles (B, 1, N, head_width / 2) or None."""
        q, k, v = split_heads(self.query_key_value(tokens), 3, self.heads)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        y = functional.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.dropout(self.output(y.transpose(1, 2).flatten(2)))
        return mixed


def split_heads(projected: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B, N, parts * H * d) to `parts` tensors (B, H, N, d)."""
    shaped = projected.unflatten(2, (parts, heads, -1))
    return shaped.permute(2, 0, 3, 1, 4).unbind(0)


def rotate(x: Tensor, angle: Tensor) -> Tensor:
    """Rotary positions: rotate each pair (x_i, x_{i + d/2}) by its angle (Su et al., 2021).

    A dot product of two vectors rotated by their own positions depends on the difference of the
    positions only.
    """
    first, second = x.chunk(2, dim=-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def landmark_attention(
    q: Tensor, k: Tensor, v: Tensor, ku: Tensor, vu: Tensor, landmarks: int,
    iterations: int = 6,
) -> Tensor:  # fmt: skip
    """Exact attention over (k, v) and Nystrom attention over (ku, vu) under one softmax.

    N may be 0 for (k, v).

    The Nystrom approximation exp(Q Ku') ~ exp(Q L') exp(P L')^+ exp(P Ku'), with landmarks P of
    the queries and L of the keys, is attention over the m keys L with other values and with
    weights w in the denominator. The latter ride along as one more channel of the values, so the
    whole is a single fused call over N + m keys instead of N + M.

    Parameters
    ----------
    q, k, v
        Map tokens, shape (B, H, N, d).
    ku, vu
        Partial tokens, shape (B, H, M, d).
    landmarks
        m; segment means of the queries and of ku.
    iterations
        Steps of the pseudo-inverse.

    References
    ----------
    Xiong et al., Nystromformer, AAAI 2021 (arXiv:2102.03902).
    """
    scale = q.shape[-1] ** -0.5
    p, keys = segment_means(q, landmarks) * scale, segment_means(ku, landmarks)
    among = p @ keys.mT
    across = p @ ku.mT
    # exp(P L')^+ exp(P Ku') from row-normalised factors, which never overflow.
    growth = (across.logsumexp(-1) - among.logsumexp(-1)).exp()[..., None]
    inverse = pseudo_inverse(among.softmax(-1), iterations)
    values = inverse @ (growth * (across.softmax(-1) @ vu))
    weight = inverse @ growth
    width = -(-(v.shape[-1] + 1) // 8) * 8  # fused kernels want a multiple of 8
    y = functional.scaled_dot_product_attention(
        functional.pad(q, (0, width - q.shape[-1])),
        functional.pad(torch.cat((k, keys), dim=2), (0, width - k.shape[-1])),
        torch.cat((_with_weight(v, torch.ones_like(v[..., :1])), _with_weight(values, weight)), 2),
        scale=scale,
    )
    total = y[..., v.shape[-1], None]
    return y[..., : v.shape[-1]] / total.clamp_min(1e-4)


def segment_means(x: Tensor, segments: int) -> Tensor:
    """Means of equally long segments of tokens, (B, H, N, d) to (B, H, m, d)."""
    means = functional.adaptive_avg_pool1d(x.flatten(0, 1).mT, min(segments, x.shape[2]))
    return means.mT.unflatten(0, x.shape[:2])


def pseudo_inverse(a: Tensor, iterations: int) -> Tensor:
    """Moore-Penrose inverse of row-stochastic matrices (..., m, m), by matrix products only.

    The iteration of Razavi et al. (2014), as in Nystromformer.
    """
    eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    z = a.mT / (a.abs().sum(-1).amax(-1) * a.abs().sum(-2).amax(-1))[..., None, None]
    for _ in range(iterations):
        az = a @ z
        z = 0.25 * z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
    return z


def _with_weight(values: Tensor, weight: Tensor) -> Tensor:
    together = torch.cat((values, weight), dim=-1)
    return functional.pad(together, (0, -together.shape[-1] % 8))
