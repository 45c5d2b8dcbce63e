"""Bench checks of each device: what a driver expects, asked of the hardware itself."""
