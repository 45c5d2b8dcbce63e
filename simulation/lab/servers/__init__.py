"""Servers that give simulated instruments a wire: TCP sockets and serial lines."""
