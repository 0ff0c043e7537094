"""The commands of `python -m gan`, one file each."""
