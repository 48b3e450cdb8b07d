"""The commands for texture models of one image."""
