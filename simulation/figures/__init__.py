"""Every data figure of the five seed papers, recomputed under any parameters."""
