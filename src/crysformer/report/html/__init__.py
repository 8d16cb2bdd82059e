"""The one-file report of a result folder, for a browser."""

from crysformer.report.html.batch import batch_report
from crysformer.report.html.page import REPORT, html_report

__all__ = ["REPORT", "batch_report", "html_report"]
