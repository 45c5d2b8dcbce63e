"""Gaussian theory of optomechanical entanglement: numpy and scipy, no files, no instruments."""
