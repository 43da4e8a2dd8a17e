"""Figures for README.md and docs/benchmarks.md: run by hand; the tests run a cut of them."""
