"""The page that shows a run's records in a browser: one file of HTML with all that it needs in itself."""
