"""The category of the warnings that programs show as one line."""


class Notice(UserWarning):
    """Something that the user should know: data were lost, or results may differ. The work goes on."""
