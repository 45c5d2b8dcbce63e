"""Physical values in the whole steps that a device understands."""


def whole_steps(value: float, step: float, name: str, unit: str) -> int:
    """Return `value` / `step` as an integer.

    Raises
    ------
    ValueError
        If `value` is no multiple of `step` (to 1e-6 of a step): the device would round it.
    """
    steps = round(value / step)
    if abs(value / step - steps) > 1e-6:
        message = (
            f"`{name}` must be a multiple of {step:g} {unit}, but is {value:.12g} {unit}; "
            f"the nearest is {steps * step:.12g} {unit}"
        )
        raise ValueError(message)
    return steps
