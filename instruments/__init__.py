"""QCoDeS drivers of the instruments in a pulsed DLCZ experiment."""
