"""The workflows. Nothing here imports an activity's implementation."""
