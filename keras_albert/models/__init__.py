"""The ALBERT backbone, and the same stack as one loop."""
