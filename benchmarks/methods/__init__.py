"""Methods compared over seeds: accuracy, unimodal accuracy, fit and flatness.

.venv/bin/python -m benchmarks.methods.training emoji       # hours; begins again where it stopped
.venv/bin/python -m benchmarks.methods.measuring emoji
.venv/bin/python -m benchmarks.methods.table                # benchmarks/results/methods.md
"""
