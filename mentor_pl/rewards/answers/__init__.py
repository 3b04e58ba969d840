"""From text to an answer, and when two answers are equal; free of torch, since it runs in workers."""
