"""Figures for README.md: run by hand, never by the tests."""
