"""Problems of a source: where rows lie, what they mean, which of them are taken."""
