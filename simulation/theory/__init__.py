"""Gaussian theory of optomechanical entanglement: pure numpy and scipy, no files, no hardware."""
