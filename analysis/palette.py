"""The one palette of all pictures: colours that everybody can tell apart (Okabe and Ito, 2008)."""

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of curves, in this order: blue, vermilion, green, purple, orange, sky blue."""

CROSSED, SAME = COLORS[0], COLORS[1]
"""Different detectors, the same detector."""

OF_LASER = {"pump": COLORS[0], "read": COLORS[1]}

NEUTRAL, FAINT = "#57534e", "#a8a29e"
"""What is no curve: points without a family, guides."""

LEFT_OUT = "#78716c"
"""What does not count."""

TEXT, ALARM, SHADE = "#44403c", "#b91c1c", "#e7e5e4"
"""Near black; what must be read first; the ground of what does not exist."""

GATE_SHADE = "#e8e4d8"

DENSITY = "YlGnBu"
"""Map of numbers that begin at zero, even in grey."""
