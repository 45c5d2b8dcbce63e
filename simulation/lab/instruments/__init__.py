"""Simulated instruments: one module per driver, each speaking its device's own protocol."""
