"""The methods: one file, one method."""
