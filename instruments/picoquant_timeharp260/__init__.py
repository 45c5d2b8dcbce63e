"""PicoQuant TimeHarp 260 time tagger."""
