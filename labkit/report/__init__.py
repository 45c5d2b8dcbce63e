"""What a measurement says: one HTML page, and what the counts tell of the set-up."""

from labkit.report.page import headline, write_report

__all__ = ["headline", "write_report"]
