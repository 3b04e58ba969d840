"""The `mentor` command."""
