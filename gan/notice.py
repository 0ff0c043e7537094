"""The category of warnings that programs print as one line."""


class Notice(UserWarning):
    """Warns the user, for example about lost data or different results. The program continues."""
