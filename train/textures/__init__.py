"""Texture models of one image: what is learnt from an exemplar gives images of any size."""
