"""Where simulated instruments touch the world: what each does to it and what each sees of it.

A simulated device keeps its settings as the real one would and publishes their physical effect
through its port; it reads the world through the same port. A port made without a world is
free-standing: it remembers what was published and reads a quiet, empty world. SI units throughout.

What a device publishes is a frozen value that replaces the former one (one assignment, so that no
thread sees half of it). Publish under ``clock.lock`` when several ports change together.
"""
