"""One pass over raw records: decode, gate and count in constant memory."""

from analysis.counting.count import count, follow

__all__ = ["count", "follow"]
