"""The class of each pixel of a semantic prediction, by a rule that does not depend on the library or the block size.

A pixel's class is the first one with the largest sum over the queries q of p(k | q) * m_q, summed in float64 in the
order of the queries. Almost always, the sums of a float32 product decide it: computed in any order, each differs from
the exact sum by at most a factor 1 +- (Q + 1) * 2^-24. Only a pixel with several classes that close to its largest sum
is *near-tied*, and only near-tied pixels are summed in float64.

Shapes: Q queries, N classes, K of them, X pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.floating]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.intp]

_SMALL = 1e-30  # below it products may underflow, so a relative bound of rounding does not hold
_BLOCK_BYTES = 1 << 19  # of class sums at a time, so that they stay in a core's cache
_MOST_TIED = 2048  # near-tied pixels that are decided together
_LARGE_BLOCK = 1 << 19  # pixels at a time on a GPU


def rounding(num_queries: int, bits: int = 24) -> float:
    """Return a relative bound on how much rounding changes the ratio of two sums, with a factor of 2 to spare."""
    return 4 * (num_queries + 2) * 2.0**-bits


def least_near(best: Floats32, relative: float) -> Floats32:
    """Return the sums from which a class may still be the largest: within ``relative`` of ``best``, and all if tiny."""
    least = best * np.float32(1 - relative)
    least[best < _SMALL] = 0
    return least


def by_class(probabilities_QN1: Tensor) -> tuple[Floats32, NDArray[np.integer]]:
    """Return the class probabilities [K, Q] and class ids [K] of the distinct classes, without no-object.

    Of several classes with the same probabilities, only the first one can be a pixel's class.
    """
    probabilities_NQ = np.ascontiguousarray(probabilities_QN1[:, :-1].T.float().cpu().numpy())
    first: dict[bytes, int] = {}
    for k, row in enumerate(probabilities_NQ):
        first.setdefault(row.tobytes(), k)
    dtype = np.uint8 if len(probabilities_NQ) <= 256 else np.int32
    ids: NDArray[np.integer] = np.array(list(first.values()), dtype)
    probabilities_KQ: Floats32 = probabilities_NQ if len(ids) == len(probabilities_NQ) else probabilities_NQ[ids]
    return probabilities_KQ, ids


def pixel_classes(probabilities_QN1: Tensor, masks_QX: Tensor) -> NDArray[np.integer]:
    """Return the class of every pixel, flat [X].

    Args:
        probabilities_QN1: class probabilities of the queries, no-object last.
        masks_QX: their mask probabilities, float32, on the device that multiplies them.
    """
    probabilities_KQ, ids = by_class(probabilities_QN1)
    sums = product_on_device if masks_QX.device.type != "cpu" else product_on_cpu
    found: NDArray[np.integer] = ids[sums(probabilities_KQ, masks_QX)]
    return found


def product_on_cpu(probabilities_KQ: Floats32, masks_QX: Tensor) -> Ints:
    """`pixel_classes` as indices of K on a CPU."""
    num_pixels = masks_QX.shape[1]
    block = max(512, _BLOCK_BYTES // (4 * len(probabilities_KQ)))
    decided = Decided(probabilities_KQ, num_pixels, block)
    for start in range(0, num_pixels, block):
        decided.append(masks_QX[:, start : start + block])
    return decided.indices()


def product_on_device(probabilities_KQ: Floats32, masks_QX: Tensor) -> Ints:
    """`pixel_classes` as indices of K on any device: PyTorch does all but near-tied pixels, which the CPU decides."""
    rows_KQ = torch.from_numpy(probabilities_KQ).to(masks_QX.device)
    num_classes, num_pixels = len(rows_KQ), masks_QX.shape[1]
    factor = 1 - rounding(rows_KQ.shape[1])
    # faster than argmax along the first axis: the largest code among the classes with the largest sum
    codes_K1 = torch.arange(num_classes - 1, -1, -1, dtype=torch.int32, device=rows_KQ.device)[:, None]
    first_X = np.empty(num_pixels, np.intp)
    for start in range(0, num_pixels, _LARGE_BLOCK):
        masks_Qx = masks_QX[:, start : start + _LARGE_BLOCK]
        sums_Kx = rows_KQ @ masks_Qx
        best_x = sums_Kx.amax(0)
        near_Kx = sums_Kx >= torch.where(best_x < _SMALL, 0, best_x * factor)
        first_x = (num_classes - 1 - (near_Kx * codes_K1).amax(0)).cpu().numpy().astype(np.intp)
        tied = (near_Kx.sum(0) > 1).nonzero()[:, 0]
        if len(tied):
            masks_Qt, near_Kt = masks_Qx[:, tied].cpu().numpy(), near_Kx[:, tied].cpu().numpy()
            first_x[tied.cpu().numpy()] = in_float64(probabilities_KQ, masks_Qt, near_Kt)
        first_X[start : start + _LARGE_BLOCK] = first_x
    return first_X


class Decided:
    """Decides pixels block by block on the CPU, for one classifier; buffers are used again.

    Args:
        probabilities_KQ: class probabilities of the classes to choose from.
        num_pixels: number of pixels in all.
        largest: the largest number of pixels in a block.
    """

    def __init__(self, probabilities_KQ: Floats32, num_pixels: int, largest: int) -> None:
        num_classes, num_queries = probabilities_KQ.shape
        self._probabilities_KQ, self._rows_KQ = probabilities_KQ, torch.from_numpy(probabilities_KQ)
        self._relative = rounding(num_queries)
        dtype = np.uint8 if num_classes <= 256 else np.int32
        # The largest code among the near classes is that of the first; argmax along the first axis takes longer.
        self._codes_K1 = np.arange(num_classes - 1, -1, -1, dtype=dtype)[:, None]
        size = num_classes * largest
        self._sums, self._near, self._coded = torch.empty(size), np.empty(size, bool), np.empty(size, dtype)
        self._index_X, self._end = np.empty(num_pixels, np.intp), 0
        self._tied: list[tuple[Ints, Floats32, NDArray[np.bool_]]] = []

    def append(self, masks_Qx: Tensor) -> None:
        """Decide the next pixels, given their mask probabilities; near-tied ones are kept for later."""
        shape = num_classes, num_pixels = len(self._rows_KQ), masks_Qx.shape[1]
        size = num_classes * num_pixels
        sums_Kx = torch.mm(self._rows_KQ, masks_Qx, out=self._sums[:size].view(shape)).numpy()
        near_Kx, coded_Kx = self._near[:size].reshape(shape), self._coded[:size].reshape(shape)
        np.greater_equal(sums_Kx, least_near(np.maximum.reduce(sums_Kx, axis=0), self._relative), out=near_Kx)
        np.multiply(near_Kx.view(np.uint8), self._codes_K1, out=coded_Kx)
        index_x = num_classes - 1 - np.maximum.reduce(coded_Kx, axis=0).astype(np.intp)
        self._index_X[self._end : self._end + num_pixels] = index_x
        if np.count_nonzero(near_Kx) > num_pixels:
            np.multiply(near_Kx.view(np.uint8), self._codes_K1[::-1], out=coded_Kx)
            (tied,) = (np.maximum.reduce(coded_Kx, axis=0) != index_x).nonzero()
            self._tied.append((self._end + tied, masks_Qx.numpy()[:, tied], near_Kx[:, tied]))
            if sum(len(places) for places, _, _ in self._tied) > _MOST_TIED:
                self._settle()
        self._end += num_pixels

    def _settle(self) -> None:
        places, masks, near = zip(*self._tied, strict=True)
        found = in_float64(self._probabilities_KQ, np.concatenate(masks, 1), np.concatenate(near, 1))
        self._index_X[np.concatenate(places)] = found
        self._tied.clear()

    def indices(self) -> Ints:
        """Return the index of each pixel's class, in the order of the pixels appended."""
        if self._tied:
            self._settle()
        return self._index_X


def in_float64(probabilities_KQ: Floats32, masks_Qx: Floats32, near_Kx: NDArray[np.bool_]) -> Ints:
    """Decide near-tied pixels: the index of the first class with the largest float64 sum in the order of the queries.

    Args:
        probabilities_KQ: class probabilities.
        masks_Qx: mask probabilities of the pixels.
        near_Kx: which classes can be a pixel's; at least one each.
    """
    rows = np.flatnonzero(near_Kx.any(1))
    p_KQ, m_Qx = probabilities_KQ[rows].astype(np.float64), masks_Qx.astype(np.float64)
    # A product in any order rules out most classes; those within its own rounding are summed in order.
    sums_Kx = (torch.from_numpy(p_KQ) @ torch.from_numpy(m_Qx)).numpy()
    sums_Kx[~near_Kx[rows]] = -1
    best_x = sums_Kx.max(0)
    equal_Kx = sums_Kx >= best_x * (1 - rounding(len(m_Qx), bits=53))
    first_x = equal_Kx.argmax(0)
    tied = np.flatnonzero((np.count_nonzero(equal_Kx, axis=0) > 1) & (best_x > 0))  # sums of 0 are equal in any order
    if len(tied):
        ordered_Kt = _in_order(p_KQ, m_Qx[:, tied])
        ordered_Kt[~equal_Kx[:, tied]] = -1
        first_x[tied] = ordered_Kt.argmax(0)
    found: Ints = rows[first_x]
    return found


def _in_order(p_KQ: Floats, m_Qx: Floats) -> Floats:
    sums_Kx = np.zeros((len(p_KQ), m_Qx.shape[1]))
    for p_K, m_x in zip(p_KQ.T, m_Qx, strict=True):
        sums_Kx += p_K[:, None] * m_x
    return sums_Kx
