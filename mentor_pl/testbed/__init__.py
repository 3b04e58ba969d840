"""The embedded task: problems, tokenizer, two small models."""
