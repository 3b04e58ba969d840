"""Killable, limited worker processes."""
