"""The layers of ALBERT: factorized embeddings, the encoder block, heads."""
