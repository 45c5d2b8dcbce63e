"""Questions asked of tags beyond one sum: segments, drift, coherence against delay, detectors."""
