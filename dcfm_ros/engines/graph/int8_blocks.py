"""Which blocks of a network are quantised: as many as labels allow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from dcfm_ros.engines.graph.openvino_cut import multiplications

logger = logging.getLogger(__name__)

ENOUGH = 0.992
"""Share of the float32 labels that is to be kept on calibration's frames: a little more than 99 %, since others differ."""
ALLOWED_COST = 0.002
"""What int8 may cost in any case: some labels are lost with no block in int8, where the rest runs in bfloat16."""


def choose_blocks(work: Mapping[str, float], agreement: Callable[[Collection[str]], float]) -> set[str]:
    """All blocks, or as many as keep the labels: those that lose most labels for what they save are left out first.

    work: of each block, the multiplications that int8 makes faster. agreement: of the labels with these blocks in int8,
    the share that is as in float32, 0-1; it may take minutes.
    """
    chosen = set(work)
    share = agreement(chosen)
    if share >= ENOUGH:
        return chosen
    logger.warning(
        "in int8 %.2f %% of the labels stay as they are; looking for the blocks that cost most", 100 * share
    )
    without = agreement(set())
    enough = min(ENOUGH, without - ALLOWED_COST)
    costs = {}
    for number, block in enumerate(sorted(work), 1):
        costs[block] = without - agreement({block})
        cost = 100 * costs[block]
        logger.warning(
            "int8 in block '%s' alone costs %.2f %% of the labels (%d of %d)", block, cost, number, len(work)
        )
    while without - sum(costs[block] for block in chosen) < enough or agreement(chosen) < enough:
        chosen.remove(max(sorted(chosen), key=lambda block: costs[block] / work[block]))
    return chosen


def work_of(model: Any) -> dict[str, int]:
    """Of a graph's blocks, the multiplications, which int8 makes faster."""
    counts: dict[str, int] = {}
    for node in model.get_ops():
        if (block := block_of(node)) and (work := multiplications(node)):
            counts[block] = counts.get(block, 0) + work
    return counts


def block_of(node: Any) -> str:
    """The part of a layer's name, /BLOCK/.../LAYER, that is its block's; "" for a layer outside all blocks.

    Fusion and classifier are such, where they are matrix products: they decide the labels, and stay in float32.
    """
    parts = str(node.get_friendly_name()).split("/")
    return parts[1] if len(parts) > 2 else ""
