"""Property tests: the same examples in every run, and no deadline, which a busy machine breaks."""

from hypothesis import settings

settings.register_profile("labkit", deadline=None, derandomize=True)
settings.load_profile("labkit")
