"""What came out, as Markdown and HTML, and as a page for a repository."""
