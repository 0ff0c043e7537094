"""The commands of `python -m gan`, one module for each command."""
