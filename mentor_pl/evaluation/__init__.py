"""Measuring a policy on benchmarks: answer, keep, grade, tabulate."""
