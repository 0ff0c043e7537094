"""Makes tables and pictures from runs."""
