"""The fixture for run folders as a finished evaluation leaves them."""

from report_runs import make_run as make_run
